"""How often each hot operation waits for the server: at most so often as is written here, and 2.5 times on average.

Of every other operation the contract tests hold that it waits three times at most, whatever it finds.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lash.backends.sql.engine.postgres.costs import ScriptCost
from lash.backends.sql.postgres_database import PostgresDatabase
from lash.values import (
    ActivePath,
    ClaimedTurn,
    DeliveryPolicy,
    EffectClaim,
    EffectResult,
    EffectState,
    ExternalInput,
    HostEventOccurrenceRequest,
    ProcessEventAppendRequest,
    ProcessEventType,
    ProcessRegistration,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    SlotPolicy,
    TurnInput,
    TurnInputPayload,
)

from .turns import AGENT, identity, turn_commit, turn_draft

SESSION = "s"
IDLE = QueuedWorkClaimBoundary.IDLE
LONG_MS = 600_000
DONE = EffectResult(state=EffectState.DONE, outcome=b"outcome")

WRITING = {
    "turn_ingress.accept_turn": 2,
    "turn_ingress.claim_turn": 3,
    "turn_ingress.renew_turn": 2,
    "runtime_persistence.commit_runtime_state": 2,
    "runtime_persistence.enqueue_queued_work": 2,
    "runtime_persistence.claim_ready_queued_work": 3,
    "session_leases.renew_session_lease": 2,
    "effect_journal.claim_effect": 2,
    "effect_journal.start_effects": 2,
    "effect_journal.record_effect": 2,
    "process_registry.append_event": 2,
    "process_registry.claim_process_lease": 2,
    "host_event_store.record_and_reserve": 2,
    "durable_waits.resolve_wait": 2,
}
READING = {
    "runtime_persistence.load_session": 2,
    "turn_ingress.find_turn": 1,
    "effect_journal.load_effects": 1,
    "process_registry.events_after": 2,
}
AVERAGE = 2.5


@pytest.fixture
async def database(postgres_urls: Callable[[], str]) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(postgres_urls())
    await database.session_catalog.admit_session(SESSION, agent=AGENT)
    yield database
    await database.close()


class Measured:
    """Calls the ports of a database and keeps what each call cost."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self.costs: dict[str, list[tuple[int, int]]] = {}

    async def __call__(self, name: str, call: Awaitable[Any]) -> Any:
        before = self._total()
        answer = await call
        after = self._total()
        self.costs.setdefault(name, []).append((after[0] - before[0], after[1] - before[1]))
        return answer

    def _total(self) -> tuple[int, int]:
        costs: list[ScriptCost] = list(self._database._engine.costs.values())  # type: ignore[attr-defined]  # it is one on PostgreSQL
        return sum(cost.round_trips for cost in costs), sum(cost.statements for cost in costs)


async def test_hot_operations_wait_for_the_server_twice_and_claims_three_times(
    database: PostgresDatabase, postgres_urls: Callable[[], str]
) -> None:
    measured = Measured(database)
    await drive(measured, database)
    limits = WRITING | READING
    assert measured.costs.keys() == limits.keys()
    found = {name: max(trips for trips, _ in costs) for name, costs in measured.costs.items()}
    report(measured.costs)
    assert {name: trips for name, trips in found.items() if trips > limits[name]} == {}
    assert sum(found[name] for name in WRITING) / len(WRITING) <= AVERAGE


async def drive(measured: Measured, database: PostgresDatabase) -> None:
    """Call every hot operation, first on a fresh session and then on one that has a history."""
    store, ingress = database.runtime_persistence(SESSION), database.turn_ingress
    for number in range(3):
        turn_id = f"t{number}"
        draft = turn_draft(SESSION, turn_id)
        accepted = await measured("turn_ingress.accept_turn", ingress.accept_turn(draft))
        assert accepted.claimed is None
        claimed = await measured(
            "turn_ingress.claim_turn",
            ingress.claim_turn(SESSION, owner_id=database.owner_id, agents=[AGENT], lease_ttl_ms=LONG_MS),
        )
        assert isinstance(claimed, ClaimedTurn)
        await measured("turn_ingress.renew_turn", ingress.renew_turn(claimed, lease_ttl_ms=LONG_MS))
        await drive_effects(measured, database, turn_id)
        await measured(
            "runtime_persistence.commit_runtime_state", store.commit_runtime_state(turn_commit(claimed))
        )
        await measured("runtime_persistence.load_session", store.load_session(ActivePath()))
        await measured("turn_ingress.find_turn", ingress.find_turn(SESSION, turn_id))
    await drive_queue(measured, database)
    await drive_processes(measured, database)


async def drive_effects(measured: Measured, database: PostgresDatabase, turn_id: str) -> None:
    journal = database.effect_journal
    asked, announced = identity(SESSION, turn_id, 10), identity(SESSION, turn_id, 11)
    claim = await measured(
        "effect_journal.claim_effect",
        journal.claim_effect(asked, owner_id=database.owner_id, ttl_ms=LONG_MS),
    )
    assert isinstance(claim, EffectClaim)
    await measured("effect_journal.record_effect", journal.record_effect(claim, DONE))
    await measured(
        "effect_journal.start_effects", journal.start_effects([announced], ended=[(announced, DONE)])
    )
    await measured("effect_journal.load_effects", journal.load_effects(asked.scope))


async def drive_queue(measured: Measured, database: PostgresDatabase) -> None:
    store = database.runtime_persistence("queue")
    for number in range(2):  # the first one makes the session
        draft = QueuedWorkBatchDraft(
            session_id="queue",
            delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=SlotPolicy.EXCLUSIVE,
            payloads=(TurnInputPayload(input=TurnInput.text("x")),),
            source_key=f"key {number}",
        )
        await measured("runtime_persistence.enqueue_queued_work", store.enqueue_queued_work(draft))
    await measured(
        "runtime_persistence.claim_ready_queued_work",
        store.claim_ready_queued_work("queue", "somebody else", IDLE, LONG_MS, 1),
    )
    lease = await database.session_leases.claim_session_lease("queue", owner_id="o", ttl_ms=LONG_MS)
    await measured(
        "session_leases.renew_session_lease",
        database.session_leases.renew_session_lease(lease, ttl_ms=LONG_MS),
    )
    await measured("durable_waits.resolve_wait", database.durable_waits.resolve_wait("w", 1))


async def drive_processes(measured: Measured, database: PostgresDatabase) -> None:
    registry = database.process_registry
    line = ProcessEventType(name="line", payload_schema={})
    registration = ProcessRegistration(id="p", input=ExternalInput())
    await registry.register_process(registration.with_extra_event_types([line]))
    for number in range(2):
        await measured(
            "process_registry.append_event",
            registry.append_event("p", ProcessEventAppendRequest(event_type="line", payload=number)),
        )
    await measured("process_registry.events_after", registry.events_after("p", 0))
    await measured(
        "process_registry.claim_process_lease",
        registry.claim_process_lease("p", database.owner_id, LONG_MS),
    )
    source = await database.host_event_store.source_key_for_subscription("clock", {"every": 1})
    request = HostEventOccurrenceRequest(
        source_type="clock", source_key=source, payload={"at": 1}, idempotency_key="once"
    )
    await measured(
        "host_event_store.record_and_reserve", database.host_event_store.record_and_reserve(request)
    )


def report(costs: dict[str, list[tuple[int, int]]]) -> None:
    """Print the table, and leave it where `make test` collects such."""
    lines = [f"{'operation on PostgreSQL':44} round trips  statements (first call, later calls)"]
    for name, calls in costs.items():
        trips = "/".join(str(count) for count in sorted({trips for trips, _ in calls}))
        first, last = calls[0][1], calls[-1][1]
        lines.append(f"{name:44} {trips:>11}  {first:>4} {last:>4}")
    text = "\n".join(lines) + "\n"
    print(text)
    if folder := os.environ.get("LASH_REPORTS"):
        (Path(folder) / "round-trips.txt").write_text(text)
