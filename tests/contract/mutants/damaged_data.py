"""Readers that take what they cannot read for something that is not there."""

from __future__ import annotations

from typing import Any

from lash.errors import LashError

from .mutant import Around, mutant

REGISTRY = "lash.backends.memory.process_registry:InMemoryProcessRegistry"
PERSISTENCE = "lash.backends.memory.persistence:MemoryRuntimePersistence"


def unless_corrupt(absence: Any) -> Around:
    """Answer with an absence where stored data does not decode."""

    def around(original: Any) -> Any:
        async def wrong(*args: Any) -> Any:
            try:
                return await original(*args)
            except LashError as error:
                if error.code != "stored_data_corrupt":
                    raise
                return absence

        return wrong

    return around


mutant(
    "a process that cannot be read is unknown",
    "a_process_that_cannot_be_read_is_not_unknown",
    (f"{REGISTRY}.get_process", unless_corrupt(None)),
)
mutant(
    "a node that cannot be read is left out",
    "a_node_that_cannot_be_read_is_not_left_out",
    (f"{PERSISTENCE}.load_node", unless_corrupt(None)),
)
mutant(
    "a session that cannot be read is a new one",
    "a_checkpoint_that_cannot_be_read_is_not_empty",
    (f"{PERSISTENCE}.load_session", unless_corrupt(None)),
)
mutant(
    "meta that cannot be read is missing",
    "meta_that_cannot_be_read_is_not_missing",
    (f"{PERSISTENCE}.load_session_meta", unless_corrupt(None)),
)
mutant(
    "work that cannot be read is no work",
    "work_that_cannot_be_read_is_not_passed_over",
    (f"{PERSISTENCE}.list_queued_work", unless_corrupt([])),
)
