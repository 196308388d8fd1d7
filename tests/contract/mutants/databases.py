"""Wrong databases: contracts that do not know of each other."""

from __future__ import annotations

from typing import Any

import msgspec

from .mutant import asked_at, mutant

LOG = "lash.backends.memory.process_log"

mutant(
    "a wake is not enqueued",
    "an_event_commits_with_the_work_it_wakes",
    (
        f"{LOG}:_prepared_wake",
        lambda original: lambda tables, delivery: (original(tables, delivery)[0], None),
    ),
)


def _joins_what_runs(original: Any) -> Any:
    def stored(draft: Any, rows: Any) -> Any:
        waiting = [
            msgspec.structs.replace(row, state="pending") if row.state == "claimed" else row for row in rows
        ]
        return original(draft, waiting)

    return stored


mutant(
    "a wake joins the one that is worked on",
    "waiting_wakes_of_one_dedupe_key_coalesce",
    (f"{LOG}:stored_under_key", _joins_what_runs),
)


def _knows_no_deleted(original: Any) -> Any:
    def prepared(tables: Any, delivery: Any) -> Any:
        deleted, tables.deleted = tables.deleted, set()
        try:
            return original(tables, delivery)
        finally:
            tables.deleted = deleted

    return prepared


mutant(
    "wakes of deleted sessions are enqueued",
    "wakes_of_deleted_sessions_are_not_enqueued",
    (f"{LOG}:_prepared_wake", _knows_no_deleted),
)
mutant(
    "wakes are no turns",
    "a_wake_is_a_turn_of_its_session",
    (
        "lash.backends.memory.turn_claims:next_turn",
        lambda original: lambda rows, **facts: original([row for row in rows if row.turn_id], **facts),
    ),
)
mutant(
    "a tombstone is one for all sessions",
    "sessions_of_one_database_keep_apart",
    (
        "lash.backends.memory.persistence:MemoryRuntimePersistence.tombstone_nodes",
        lambda original: _everywhere(original),
    ),
)


def _everywhere(original: Any) -> Any:
    async def tombstone(self: Any, node_ids: Any) -> None:
        mine = self._session_id
        for session_id in list(self._tables.nodes):
            self._session_id = session_id
            await original(self, node_ids)
        self._session_id = mine

    return tombstone


mutant(
    "nobody hears of work",
    "drivers_are_told_of_work_through_the_other_handle",
    (
        "lash.backends.memory.hub:MemoryHub.subscribe",
        asked_at(1, lambda topics: [topic for topic in topics if topic != "queue"]),
    ),
)
