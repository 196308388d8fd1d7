"""Planted bugs: wrong variants of single parts, which the simulation must find.

Each is selected by its name and put in the place of the right part while one simulation runs. They show that the
checks can fail, and that the faults reach where such bugs live.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from lash.backends.memory import InMemoryHostEventStore, InMemoryProcessRegistry, MemoryDatabase
from lash.backends.memory.hub import MemorySubscription
from lash.backends.memory.ingress import MemoryTurnIngress
from lash.backends.memory.journal import MemoryEffectJournal
from lash.backends.memory.parking import ParkedProcess, ParkingTable
from lash.backends.memory.persistence import MemoryRuntimePersistence
from lash.backends.memory.waits import MemoryDurableWaits
from lash.values import (
    ClaimTurnAnswer,
    EffectIdentity,
    EffectRecord,
    EffectScope,
    EffectState,
    HostEventIngest,
    HostEventOccurrenceRequest,
    Json,
    ProcessEventAppendRequest,
    ProcessEventAppendResult,
    ProcessLease,
    QueuedWorkState,
    ReadySession,
    RuntimeCommit,
    RuntimeCommitResult,
    TriggerDelivery,
    TriggerDeliveryState,
    TurnAcceptance,
    TurnDraft,
    WaitDraft,
    WaitRecord,
    WaitResolution,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A planted bug.

    Attributes:
        name: Says what is wrong.
        plant: Puts the wrong part into a handle of the database.
        workloads: What it is looked for with; empty for the usual mix.
    """

    name: str
    plant: Callable[[MemoryDatabase], None]
    workloads: tuple[str, ...] = ()


BUGS: Final[dict[str, Bug]] = {}


def _bug(name: str, *workloads: str) -> Callable[[Callable[[MemoryDatabase], None]], Any]:
    def add(plant: Callable[[MemoryDatabase], None]) -> Callable[[MemoryDatabase], None]:
        BUGS[name] = Bug(name=name, plant=plant, workloads=workloads)
        return plant

    return add


# ---- waits and parking


class _ForgetfulWaits(MemoryDurableWaits):
    async def resolve_wait(self, key: str, value: Json, *, scope_key: str = "") -> WaitResolution:
        # What is parked on the key is not made ready.
        parking, self._tables.parking = self._tables.parking, ParkingTable()
        try:
            return await super().resolve_wait(key, value, scope_key=scope_key)
        finally:
            self._tables.parking = parking


@_bug("a resolved wait leaves what is parked on it parked", "approvals", "processes")
def _(database: MemoryDatabase) -> None:
    database.durable_waits = _ForgetfulWaits(database.tables)


class _NoTimers(MemoryDurableWaits):
    async def resolve_due(self, *, now_ms: int | None = None, limit: int = 1000) -> list[WaitResolution]:
        return []


@_bug("timers never ring", "processes")
def _(database: MemoryDatabase) -> None:
    database.durable_waits = _NoTimers(database.tables)


class _LastWriterWins(MemoryDurableWaits):
    async def open_wait(self, draft: WaitDraft) -> WaitRecord:
        # A wait that was resolved before it was opened forgets it.
        self._tables.waits.remove(lambda wait: wait.key == draft.key and wait.is_resolved)
        return await super().open_wait(draft)


@_bug("a wait that is opened late forgets its resolution", "processes", "subagents")
def _(database: MemoryDatabase) -> None:
    database.durable_waits = _LastWriterWins(database.tables)


class _ParksAnyway(InMemoryProcessRegistry):
    async def park_process(self, lease: ProcessLease, wait_keys: Sequence[str], **options: Any) -> bool:
        if await super().park_process(lease, wait_keys, **options):
            return True
        # What was resolved in between is not looked at again.
        self._release(lease.process_id)
        self._tables.parking.park(ParkedProcess(lease.process_id), tuple(wait_keys))
        return True


@_bug("a process parks on what is resolved already", "processes", "subagents")
def _(database: MemoryDatabase) -> None:
    database.process_registry = _ParksAnyway(database.tables)


# ---- the journal


class _NoIntents(MemoryEffectJournal):
    async def start_effects(self, identities: Sequence[EffectIdentity], **options: Any) -> None:
        await super().start_effects(identities, **options)
        scopes = {identity.scope.key for identity in identities}
        lines = [line for scope in scopes for line in self._tables.effects.of_scope(scope)]
        self._tables.effects.remove([line for line in lines if line.row.state is EffectState.STARTED])


@_bug("at-most-once effects leave no intent", "turns", "processes")
def _(database: MemoryDatabase) -> None:
    database.effect_journal = _NoIntents(database.tables)


class _ForgetsRecords(MemoryEffectJournal):
    async def load_effects(self, scope: EffectScope) -> list[EffectRecord]:
        return [] if scope.key.startswith("process") else await super().load_effects(scope)


@_bug("a process that is taken up again does not read its journal", "processes")
def _(database: MemoryDatabase) -> None:
    database.effect_journal = _ForgetsRecords(database.tables)


# ---- the queue


class _AcceptsTwice(MemoryTurnIngress):
    async def accept_turn(self, draft: TurnDraft, **options: Any) -> TurnAcceptance:
        accepted = await super().accept_turn(draft, **options)
        if accepted.known:
            again = draft.replace(turn_id=f"{draft.turn_id}-again")
            await super().accept_turn(again)
        return accepted


@_bug("an input that is sent again is accepted again", "turns")
def _(database: MemoryDatabase) -> None:
    database.turn_ingress = _AcceptsTwice(database.tables)


class _LosesTheDead(MemoryTurnIngress):
    async def list_ready_sessions(self, agents: Sequence[str], *, limit: int = 100) -> list[ReadySession]:
        ready = await super().list_ready_sessions(agents, limit=limit)
        queue = self._tables.queue
        return [
            one
            for one in ready
            if all(batch.row.claim_token is None for batch in queue.open_batches(one.session_id))
        ]

    async def release_dead_owners(self) -> int:
        return 0


@_bug("what a dead worker had claimed is never ready again", "turns")
def _(database: MemoryDatabase) -> None:
    database.turn_ingress = _LosesTheDead(database.tables)


class _NewestFirst(MemoryTurnIngress):
    async def claim_turn(self, session_id: str, **options: Any) -> ClaimTurnAnswer:
        waiting = self._tables.queue.open_batches(session_id)
        if len(waiting) > 1 and all(one.row.run_turn_id is None for one in waiting):
            first, last = waiting[0].row, waiting[-1].row
            swapped = {first.batch_id: last.enqueue_seq, last.batch_id: first.enqueue_seq}
            for one in (waiting[0], waiting[-1]):
                row = msgspec.structs.replace(one.row, enqueue_seq=swapped[one.row.batch_id])
                self._tables.queue.put(msgspec.structs.replace(one, row=row))
        return await super().claim_turn(session_id, **options)


@_bug("the newest input is taken first", "turns")
def _(database: MemoryDatabase) -> None:
    database.turn_ingress = _NewestFirst(database.tables)


# ---- commits


class _CountsTwice(MemoryRuntimePersistence):
    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        result = await super().commit_runtime_state(commit)
        session_id = commit.session_id
        entries = self._tables.usage.get(session_id, ())
        if len(commit.usage_deltas) > 1:
            self._tables.usage[session_id] = tuple(
                entry.replace(usage=entry.usage + commit.usage_deltas[-1].usage)
                if entry.source == commit.usage_deltas[-1].source
                else entry
                for entry in entries
            )
        return result


@_bug("the last model call of a turn is counted twice", "turns")
def _(database: MemoryDatabase) -> None:
    _with_persistence(database, _CountsTwice)


class _KeepsBatches(MemoryRuntimePersistence):
    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        result = await super().commit_runtime_state(commit)
        queue = self._tables.queue
        for batch in [*queue._batches.values()]:
            if batch.session_id == commit.session_id and batch.row.injected_effect_id and not batch.is_open:
                queue.give_back([batch], leaves_turn=True)
        return result


@_bug("an injected input is open again after the commit", "turns")
def _(database: MemoryDatabase) -> None:
    _with_persistence(database, _KeepsBatches)


# ---- processes and events


class _LosesWakes(InMemoryProcessRegistry):
    async def append_event(
        self, process_id: str, request: ProcessEventAppendRequest
    ) -> ProcessEventAppendResult:
        result = await super().append_event(process_id, request)
        if result.wake_delivery is not None:
            for batch in self._tables.queue.open_batches(result.wake_delivery.target_session_id):
                if batch.row.turn_id is None and batch.row.claim_token is None:
                    self._tables.queue.settle([batch], QueuedWorkState.CANCELLED, 0)
        return result


@_bug("a wake is stored and not sent", "processes")
def _(database: MemoryDatabase) -> None:
    database.process_registry = _LosesWakes(database.tables)


class _ForgetsAnswers(InMemoryHostEventStore):
    async def list_deliveries(self, **options: Any) -> list[TriggerDelivery]:
        found = await super().list_deliveries(**options)
        return [one for one in found if one.state is not TriggerDeliveryState.RESERVED]


@_bug("deliveries that were reserved and not started are never looked for", "events")
def _(database: MemoryDatabase) -> None:
    database.host_event_store = _ForgetsAnswers(database.tables)


class _RecordsTwice(InMemoryHostEventStore):
    async def record_and_reserve(self, request: HostEventOccurrenceRequest) -> HostEventIngest:
        if request.idempotency_key in self._tables.triggers.by_key:
            request = request.replace(idempotency_key=f"{request.idempotency_key}-again")
        return await super().record_and_reserve(request)


@_bug("an event that is told twice happens twice", "events")
def _(database: MemoryDatabase) -> None:
    database.host_event_store = _RecordsTwice(database.tables)


class _Deaf(MemorySubscription):
    async def wait(self, timeout_ms: int | None = None) -> bool:
        return await super().wait(None if timeout_ms is None else timeout_ms + 10_000_000)


@_bug("nobody looks around when no notification comes", "turns", "events")
def _(database: MemoryDatabase) -> None:
    def subscribe(topics: Sequence[str]) -> MemorySubscription:
        inner = _Deaf(database.tables.hub, topics)
        for topic in inner.topics:
            database.tables.hub._listeners.setdefault(topic, {})[inner] = None
        return inner

    database.subscribe = subscribe  # type: ignore[method-assign]  # a handle of its own: no other one is changed


def _with_persistence(database: MemoryDatabase, kind: type[MemoryRuntimePersistence]) -> None:
    def persistence(session_id: str | None = None) -> MemoryRuntimePersistence:
        return kind(database.tables, session_id)

    database.runtime_persistence = persistence  # type: ignore[method-assign]  # of this handle only
