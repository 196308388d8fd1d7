"""Wrong answers to input that breaks careless stores."""

from __future__ import annotations

import posixpath
from typing import Any

from lash.values import ExternalInput, TurnInput, TurnInputPayload

from .mutant import LARGE, asked_at, mutant

KEPT = LARGE // 2  # what a store that cuts keeps
REGISTRY = "lash.backends.memory.process_registry:InMemoryProcessRegistry"
PERSISTENCE = "lash.backends.memory.persistence:MemoryRuntimePersistence"
EVENTS = "lash.backends.memory.host_events:InMemoryHostEventStore"
ATTACHMENTS = "lash.backends.memory.attachments:InMemoryAttachmentStore"
INGRESS = "lash.backends.memory.ingress:MemoryTurnIngress"
WAITS = "lash.backends.memory.waits:MemoryDurableWaits"


def cut(value: Any) -> Any:
    return value[:KEPT] if isinstance(value, str | bytes) else value


def flattened(value: Any) -> Any:
    """Null in place of what is nested deeper than a decoder stands."""
    inner, depth = value, 0
    while isinstance(inner, list | dict) and inner:
        inner, depth = (inner if isinstance(inner, list) else list(inner.values()))[0], depth + 1
    return None if depth > 1_000 else value


def text_cut(given: TurnInput) -> TurnInput:
    return given.replace(items=tuple(item.replace(text=cut(item.text)) for item in given.items))


def draft_cut(draft: Any) -> Any:
    payloads = [
        p.replace(input=text_cut(p.input)) if isinstance(p, TurnInputPayload) else p for p in draft.payloads
    ]
    return draft.replace(payloads=tuple(payloads))


mutant(
    "large events are cut",
    "processes_and_events_of_8_mib_are_kept_whole",
    (f"{REGISTRY}.append_event", asked_at(2, lambda request: request.replace(payload=cut(request.payload)))),
)


def _flat_input(registration: Any) -> Any:
    if not isinstance(registration.input, ExternalInput):
        return registration
    return registration.replace(input=ExternalInput(metadata=flattened(registration.input.metadata)))


mutant(
    "input that is nested too deep is dropped",
    "processes_and_events_nested_too_deep_are_refused",
    (f"{REGISTRY}.register_process", asked_at(1, _flat_input)),
)
mutant(
    "large work is cut",
    "nodes_and_work_of_8_mib_are_kept_whole",
    (f"{PERSISTENCE}.enqueue_queued_work", asked_at(1, draft_cut)),
)


def _flat_options(draft: Any) -> Any:
    def flat(payload: Any) -> Any:
        options = getattr(getattr(payload, "input", None), "protocol_turn_options", None)
        if options is None:
            return payload
        flat_options = {key: flattened(value) for key, value in options.items()}
        return payload.replace(input=payload.input.replace(protocol_turn_options=flat_options))

    return draft.replace(payloads=tuple(flat(payload) for payload in draft.payloads))


mutant(
    "options that are nested too deep are dropped",
    "nodes_and_work_nested_too_deep_are_refused",
    (f"{PERSISTENCE}.enqueue_queued_work", asked_at(1, _flat_options)),
)
mutant(
    "large payloads of occurrences are cut",
    "occurrences_of_8_mib_are_kept_whole",
    (
        f"{EVENTS}.record_occurrence",
        asked_at(1, lambda request: request.replace(payload=cut(request.payload))),
    ),
)
mutant(
    "payloads of occurrences that are nested too deep are dropped",
    "occurrences_nested_too_deep_are_refused",
    (
        f"{EVENTS}.record_occurrence",
        asked_at(1, lambda request: request.replace(payload=flattened(request.payload))),
    ),
)
mutant(
    "large values of waits are cut",
    "values_of_waits_are_whole_or_refused",
    (f"{WAITS}.resolve_wait", asked_at(2, cut)),
)
mutant(
    "large turns are cut",
    "turns_of_8_mib_are_kept_whole",
    (f"{INGRESS}.accept_turn", asked_at(1, lambda draft: draft.replace(input=text_cut(draft.input)))),
)
mutant(
    "an attachment is found by the last part of a path",
    "hostile_attachment_ids_read_nothing",
    (f"{ATTACHMENTS}.get", asked_at(1, lambda text: text.rpartition("/")[2])),
)
mutant(
    "large attachments are cut",
    "attachments_of_8_mib_are_kept_whole",
    (f"{ATTACHMENTS}.put", asked_at(1, cut)),
)
mutant(
    "ids of manifest rows are paths",
    "hostile_ids_are_names_and_nothing_else",
    (
        f"{PERSISTENCE}.record_intent",
        asked_at(1, lambda intent: intent.replace(attachment_id=posixpath.normpath(intent.attachment_id))),
    ),
)
