"""Processes, blobs and waits under many tasks on two handles: one winner, no gap, nothing swept that is needed."""

from __future__ import annotations

import asyncio
from collections import Counter

from lash.contracts import Database
from lash.errors import LashError
from lash.values import (
    AttachmentCreateMeta,
    AttachmentIntent,
    FullGraph,
    HydratedSessionCheckpoint,
    PersistedTurnState,
    ProcessLease,
)

from .conftest import Backend
from .process_samples import ROOT, event, plain_type, registration, success, wake_type
from .samples import append, commit, node, refused

TASKS = 12


async def _handles(backend: Backend) -> list[Database]:
    other = await backend.another_handle()
    return [backend.db if i % 2 else other for i in range(TASKS)]


def _kinds(outcomes: list[object]) -> Counter[str]:
    return Counter(
        outcome.code if isinstance(outcome, LashError) else type(outcome).__name__ for outcome in outcomes
    )


async def test_one_log_written_by_many_has_no_gap_and_no_repetition(backend: Backend) -> None:
    handles = await _handles(backend)
    await backend.db.process_registry.register_process(registration("p1", plain_type()))
    await asyncio.gather(
        *(
            handle.process_registry.append_event("p1", event(payload=f"{i}.{n}"))
            for i, handle in enumerate(handles)
            for n in range(3)
        )
    )
    events = await backend.db.process_registry.events_after("p1", 0)
    assert [one.sequence for one in events] == list(range(1, TASKS * 3 + 1))
    assert len({one.payload for one in events}) == TASKS * 3


async def test_one_replay_key_appended_by_many_is_one_event(backend: Backend) -> None:
    handles = await _handles(backend)
    await backend.db.process_registry.register_process(registration("p1", plain_type()))
    results = await asyncio.gather(
        *(handle.process_registry.append_event("p1", event(payload="x", key="once")) for handle in handles)
    )
    assert len({result.event.sequence for result in results}) == 1
    assert len(await backend.db.process_registry.events_after("p1", 0)) == 1


async def test_of_many_lease_claims_and_completions_one_wins(backend: Backend) -> None:
    handles = await _handles(backend)
    await backend.db.process_registry.register_process(registration("p1"))
    leases = await asyncio.gather(
        *(
            handle.process_registry.claim_process_lease("p1", f"owner {i}", 1_000)
            for i, handle in enumerate(handles)
        ),
        return_exceptions=True,
    )
    assert _kinds(leases)["ProcessLease"] == 1
    assert all(isinstance(lease, (ProcessLease, LashError)) for lease in leases)
    ends = await asyncio.gather(
        *(handle.process_registry.complete_process("p1", success(i)) for i, handle in enumerate(handles)),
        return_exceptions=True,
    )
    assert _kinds(ends) == {"ProcessRecord": 1, "process_event_replay_conflict": TASKS - 1}
    assert len(await backend.db.process_registry.events_after("p1", 0)) == 1


async def test_one_process_registered_by_many_is_one_process(backend: Backend) -> None:
    handles = await _handles(backend)
    records = await asyncio.gather(
        *(handle.process_registry.register_process(registration("p1")) for handle in handles)
    )
    assert len({record.created_at_ms for record in records}) == 1
    assert len(await backend.db.process_registry.list_non_terminal()) == 1


async def test_who_follows_the_changes_misses_none(backend: Backend) -> None:
    """No change gets a smaller number than one that was read before."""
    handles = await _handles(backend)
    names = [f"p{i}" for i in range(TASKS)]
    seen: dict[str, int] = {}
    cursor = 0
    is_over = False

    async def write(handle: Database, name: str) -> None:
        await handle.process_registry.register_process(registration(name, plain_type()))
        for n in range(4):
            await handle.process_registry.append_event(name, event(payload=n))

    async def follow() -> None:
        nonlocal cursor
        while True:
            was_over = is_over
            records, cursor = await backend.db.process_registry.processes_changed_since(cursor)
            seen.update({record.id: record.last_sequence for record in records})
            if was_over and not records:
                return
            await asyncio.sleep(0)

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(handle, name) for handle, name in zip(handles, names, strict=True)))
    is_over = True
    await following
    assert seen == dict.fromkeys(names, 4)


async def test_wakes_of_many_processes_all_arrive_at_their_session(backend: Backend) -> None:
    handles = await _handles(backend)

    async def wake(handle: Database, name: str) -> None:
        await handle.process_registry.register_process(registration(name, wake_type()))
        await handle.process_registry.append_event(name, event("wake", {"wake_input": name}, target=ROOT))

    await asyncio.gather(*(wake(handle, f"p{i}") for i, handle in enumerate(handles)))
    delivered = [
        record
        for i in range(TASKS)
        for record in await backend.db.process_registry.list_wake_deliveries(f"p{i}")
    ]
    assert len(delivered) == TASKS


async def test_a_sweep_takes_no_blob_that_a_commit_counts_on(backend: Backend) -> None:
    handles = await _handles(backend)
    shared = HydratedSessionCheckpoint(
        turn_state=PersistedTurnState(turn_index=1), execution_state=b"the same in every session"
    )
    other = HydratedSessionCheckpoint(turn_state=PersistedTurnState(turn_index=1), execution_state=b"another")

    async def write(handle: Database, session_id: str) -> None:
        store = handle.runtime_persistence(session_id)
        for n in range(4):
            checkpoint = shared if n % 2 else other
            graph = append(node(f"{session_id}.{n}", f"{session_id}.{n - 1}" if n else None))
            await store.commit_runtime_state(
                commit(session_id, expected=n, graph=graph, checkpoint=checkpoint)
            )

    async def sweep(handle: Database) -> None:
        for _ in range(8):
            await handle.runtime_persistence().gc_unreachable()

    await asyncio.gather(
        *(write(handle, f"s{i}") for i, handle in enumerate(handles[:6])), *map(sweep, handles[:2])
    )
    for i in range(6):
        read = await backend.db.runtime_persistence(f"s{i}").load_session(FullGraph())
        assert read is not None
        assert read.checkpoint is not None
        assert read.checkpoint.execution_state == b"the same in every session"


async def test_bytes_that_another_session_put_survive_a_deletion(backend: Backend) -> None:
    """Equal bytes are stored once; the session that is deleted takes them along only if nobody else wants them."""
    handles = await _handles(backend)
    data, meta = b"shared", AttachmentCreateMeta(media_type="text/plain")
    for n in range(4):
        first, second = f"old{n}", f"new{n}"
        await backend.db.session_catalog.admit_session(first, agent="a")
        ref = await backend.db.attachment_store.put(data, meta)
        intent = AttachmentIntent(attachment_id=ref.id, session_id=first, canonical_uri="x:y", intent_at_ms=1)
        await backend.db.runtime_persistence().record_intent(intent)

        async def put(handle: Database, intent: AttachmentIntent) -> None:
            await handle.runtime_persistence().record_intent(intent)
            await handle.attachment_store.put(data, meta)

        await asyncio.gather(
            handles[0].session_catalog.delete_session(first),
            put(handles[1], intent.replace(session_id=second)),
        )
        assert (await backend.db.attachment_store.get(ref.id)).data == data
        await backend.db.runtime_persistence().forget(ref.id)


async def test_a_wait_resolved_by_many_has_the_value_of_the_first(backend: Backend) -> None:
    handles = await _handles(backend)
    resolutions = await asyncio.gather(
        *(handle.durable_waits.resolve_wait("w", i) for i, handle in enumerate(handles))
    )
    assert [resolution.first for resolution in resolutions].count(True) == 1
    assert len({resolution.value for resolution in resolutions}) == 1


async def test_a_session_deleted_among_writers_stays_deleted(backend: Backend) -> None:
    handles = await _handles(backend)
    await backend.db.session_catalog.admit_session("s", agent="a")

    outcomes = await asyncio.gather(
        *(
            handle.runtime_persistence().commit_runtime_state(commit("s", graph=append(node(f"n{n}"))))
            for n, handle in enumerate(handles)
        ),
        handles[0].session_catalog.delete_session("s"),
        return_exceptions=True,
    )
    codes = {"RuntimeCommitResult", "SessionDeletion", "session_deleted", "head_revision_conflict"}
    assert set(_kinds(outcomes)) <= codes
    assert _kinds(outcomes)["SessionDeletion"] == 1
    with refused("session_deleted"):
        await backend.db.session_catalog.admit_session("s", agent="a")
    assert await backend.db.runtime_persistence("s").load_session(FullGraph()) is None
