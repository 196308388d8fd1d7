"""Wakes: their text, their identity, and their way into a session's queue (R-12, R-22, R-23, B-8; rulings 2, 4)."""

from __future__ import annotations

from typing import Any

import pytest

from lash.contracts import Database, ProcessRegistry
from lash.values import (
    CausedBySessionNode,
    DedupeConst,
    DedupeSelector,
    DeliveryPolicy,
    ProcessHandleDescriptor,
    ProcessProvenance,
    ProcessScope,
    ProcessValueSelector,
    ProcessWakeDelivery,
    ProcessWakePayload,
    ProcessWakeSpec,
    QueuedWorkBatch,
    SelectConst,
    SelectPayload,
    SelectPointer,
    SelectTemplate,
    SlotPolicy,
    WakeDeliveryState,
    WakeDiscardReason,
)

from .conftest import Backend
from .process_samples import ROOT, event, plain_type, registration, success, wake_type
from .samples import IDLE, commit, refused
from .settable import START_MS, SettableClock
from .test_host_events import draft


@pytest.fixture
def registry(db: Database) -> ProcessRegistry:
    return db.process_registry


async def _queued(db: Database, session_id: str = "root") -> list[QueuedWorkBatch]:
    return await db.runtime_persistence(session_id).list_queued_work(session_id)


async def _wake(registry: ProcessRegistry, *args: Any, **kwargs: Any) -> ProcessWakeDelivery:
    delivery = (await registry.append_event("p1", event(*args, **kwargs))).wake_delivery
    assert delivery is not None
    return delivery


async def test_wake_says_where_it_comes_from_and_where_it_goes(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    cause = CausedBySessionNode(session_id="target-session", node_id="n1")
    provenance = ProcessProvenance(owner_scope=ProcessScope("owner"), host_profile_id="h", caused_by=cause)
    target = ProcessScope("target-session", "target-frame")
    await registry.register_process(registration("proc-provenance", wake_type(), provenance=provenance))
    clock.advance(9)
    request = event("wake", {"wake_input": "build failed"}, "key", target)
    result = await registry.append_event("proc-provenance", request)
    assert result.wake_delivery == ProcessWakeDelivery(
        # The golden vector of contract A for this scope and dedupe text.
        wake_id="wake:46cb109adef9ba0513a94be3a54c1a0adf5e05fcbbe38b46ba57e14f546b1e00",
        target_session_id="target-session",
        target_scope_id="session:target-session/frame:target-frame",
        process_id="proc-provenance",
        sequence=1,
        event_type="wake",
        event_invocation=result.event.invocation,
        process_caused_by=cause,
        dedupe_key="proc-provenance:1",
        input="build failed",
        created_at_ms=START_MS + 9,
    )


@pytest.mark.parametrize("later", [None, ProcessScope("other")])
async def test_replay_returns_the_stored_wake_whatever_target_it_names(
    registry: ProcessRegistry, db: Database, clock: SettableClock, later: ProcessScope | None
) -> None:
    await registry.register_process(registration("p1", wake_type()))
    first = await registry.append_event("p1", event("wake", {"wake_input": "x"}, "k", ROOT))
    clock.advance(1000)
    assert await registry.append_event("p1", event("wake", {"wake_input": "x"}, "k", later)) == first
    assert len(await _queued(db)) == 1
    assert await _queued(db, "other") == []


async def test_wake_without_a_target_leaves_no_trace(registry: ProcessRegistry, db: Database) -> None:
    await registry.register_process(registration("p1", wake_type()))
    for target in (None, ProcessScope(""), ProcessScope("", "frame")):
        with refused("process_wake_target_missing") as problem:
            await registry.append_event("p1", event("wake", {"wake_input": "x"}, "k", target))
        assert "without a wake target scope" in str(problem.value)
    assert await registry.events_after("p1", 0) == []
    result = await registry.append_event("p1", event("wake", {"wake_input": "x"}, "k", ROOT))
    assert result.event.sequence == 1
    assert len(await _queued(db)) == 1


async def test_suppressed_wake_is_an_event_like_any_other(registry: ProcessRegistry, db: Database) -> None:
    await registry.register_process(registration("p1", wake_type()))
    result = await registry.append_event("p1", event("wake", {"no": "input"}))
    assert (result.event.sequence, result.event.semantics.wake, result.wake_delivery) == (1, None, None)
    assert await registry.wake_events_after("p1", 0) == []
    assert await _queued(db) == []


async def test_registered_target_is_used_unless_the_request_names_one(
    registry: ProcessRegistry, db: Database
) -> None:
    await registry.register_process(registration("p1", wake_type(), wake_target=ProcessScope("mine", "f")))
    first = await _wake(registry, "wake", {"wake_input": 1})
    assert (first.target_session_id, first.target_scope_id) == ("mine", "session:mine/frame:f")
    assert (await _wake(registry, "wake", {"wake_input": 2}, target=ROOT)).target_session_id == "root"
    assert (len(await _queued(db, "mine")), len(await _queued(db))) == (1, 1)


@pytest.mark.parametrize(
    ("selector", "payload", "text"),
    [
        (SelectPayload(), "as it is", "as it is"),
        (SelectPayload(), {"b": 1, "a": [7.0, None, "é"]}, '{"a":[7.0,null,"é"],"b":1}'),
        (SelectPayload(), 7, "7"),
        (SelectPayload(), 7.0, "7.0"),
        (SelectPayload(), None, "null"),
        (SelectConst("fixed"), {}, "fixed"),
        (SelectPointer("/a/0/b~1c~0d"), {"a": [{"b/c~d": True}]}, "true"),
        (SelectPointer(""), [1], "[1]"),
        (
            SelectTemplate("line {line} #{n}", {"line": SelectPointer("/line"), "n": SelectPointer("/n")}),
            {"line": "done", "n": 7},
            "line done #7",
        ),
        (
            SelectTemplate("{a}{b}{c} {}", {"a": SelectPointer("/a"), "b": SelectPointer("/b")}),
            {"a": "{b}", "b": "{a}"},
            "{b}{a}{c} {}",
        ),
    ],
)
async def test_wake_text_is_what_the_selector_picks(
    registry: ProcessRegistry, selector: ProcessValueSelector, payload: Any, text: str
) -> None:
    await registry.register_process(registration("p1", wake_type("wake", ProcessWakeSpec(input=selector))))
    assert (await _wake(registry, "wake", payload, target=ROOT)).input == text


@pytest.mark.parametrize(
    ("value", "wakes"),
    [(None, False), (False, False), ("", False), ([], False), ({}, False)]
    + [(value, True) for value in (True, 0, 0.0, -1, "0", "false", [None], {"a": None})],
)
async def test_when_is_met_by_every_number(registry: ProcessRegistry, value: Any, wakes: bool) -> None:
    spec = ProcessWakeSpec(input=SelectConst("x"), when=SelectPointer("/when"))
    await registry.register_process(registration("p1", wake_type("wake", spec)))
    result = await registry.append_event("p1", event("wake", {"when": value}, target=ROOT))
    assert (result.wake_delivery is not None) is wakes


@pytest.mark.parametrize(
    "pointer", ["/b", "/a/2", "/a/-1", "/a/00", "/a/01", "/a/-", "/a/b", "a", "/c~2", "/a/0/x"]
)
async def test_pointer_that_leads_nowhere_refuses_the_event(registry: ProcessRegistry, pointer: str) -> None:
    spec = ProcessWakeSpec(input=SelectPointer(pointer))
    await registry.register_process(registration("p1", wake_type("wake", spec)))
    with refused("process_event_selector_unmatched") as problem:
        await registry.append_event("p1", event("wake", {"a": [0, 1], "c~2": 1}, target=ROOT))
    assert problem.value.pointer == pointer
    assert await registry.events_after("p1", 0) == []


async def test_wake_goes_into_the_queue_of_its_session_with_its_event(
    registry: ProcessRegistry, db: Database
) -> None:
    await registry.register_process(registration("p1", wake_type()))
    delivery = await _wake(registry, "wake", {"wake_input": "x"}, target=ProcessScope("s1", "f"))
    (batch,) = await _queued(db, "s1")
    assert batch.source_key == "process:p1:event:1:wake"
    assert (batch.delivery_policy, batch.slot_policy) == (
        DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        SlotPolicy.EXCLUSIVE,
    )
    assert batch.payloads == (ProcessWakePayload(wake=delivery),)
    (line,) = await registry.list_wake_deliveries("p1")
    assert (line.delivery, line.state, line.batch_id) == (
        delivery,
        WakeDeliveryState.ENQUEUED,
        batch.batch_id,
    )


DEDUPED = ProcessWakeSpec(
    input=SelectPointer("/wake_input"), dedupe_key=DedupeSelector(SelectPointer("/dedupe"))
)


async def test_wakes_of_one_dedupe_key_share_a_batch_that_waits(
    registry: ProcessRegistry, db: Database
) -> None:
    await registry.register_process(registration("p1", wake_type("wake", DEDUPED)))
    first = await _wake(registry, "wake", {"wake_input": "one", "dedupe": "group-a"}, target=ROOT)
    second = await _wake(registry, "wake", {"wake_input": "two", "dedupe": "group-a"}, target=ROOT)
    other = await _wake(registry, "wake", {"wake_input": "three", "dedupe": "b"}, target=ROOT)
    golden = "wake:47638cea38923830386dd823b3b19b9ddc3dfdf6b2ac798f1be01f2400b61634"
    assert (first.wake_id, second.wake_id, first.dedupe_key) == (golden, golden, "group-a")
    assert other.wake_id != golden
    batches = await _queued(db)
    assert [batch.source_key for batch in batches] == [golden, other.wake_id]
    lines = await registry.list_wake_deliveries("p1")
    assert [line.batch_id for line in lines] == [
        batches[0].batch_id,
        batches[0].batch_id,
        batches[1].batch_id,
    ]
    assert [one.sequence for one in await registry.wake_events_after("p1", 0)] == [1, 2, 3]


async def test_const_dedupe_key_is_shared_by_processes(registry: ProcessRegistry, db: Database) -> None:
    spec = ProcessWakeSpec(input=SelectPayload(), dedupe_key=DedupeConst("constant-dedupe"))
    for process_id in ("p1", "p2"):
        await registry.register_process(registration(process_id, wake_type("wake", spec)))
        await registry.append_event(process_id, event("wake", process_id, target=ROOT))
    (batch,) = await _queued(db)
    assert batch.source_key == "wake:51dc335ff38dc3983b509f481f410868c1305dc00a8be990e1f123898d829e7d"


async def test_wake_of_a_dedupe_key_that_is_being_worked_on_is_not_lost(
    registry: ProcessRegistry, db: Database
) -> None:
    await registry.register_process(registration("p1", wake_type("wake", DEDUPED)))
    await _wake(registry, "wake", {"wake_input": "one", "dedupe": "a"}, target=ROOT)
    store = db.runtime_persistence("root")
    claim = await store.claim_ready_queued_work("root", "me", IDLE, 60_000, 1)
    assert claim is not None
    await _wake(registry, "wake", {"wake_input": "two", "dedupe": "a"}, target=ROOT)
    assert len(await _queued(db)) == 2
    await store.commit_runtime_state(commit().completing_queue_claim(claim.completion()))
    await _wake(registry, "wake", {"wake_input": "three", "dedupe": "a"}, target=ROOT)
    (left,) = await _queued(db)
    assert isinstance(left.payloads[0], ProcessWakePayload)
    assert left.payloads[0].wake.input == "two"


async def test_settled_wake_is_not_enqueued_again(registry: ProcessRegistry, db: Database) -> None:
    await registry.register_process(registration("p1", wake_type()))
    request = event("wake", {"wake_input": "x"}, "k", ROOT)
    delivery = (await registry.append_event("p1", request)).wake_delivery
    store = db.runtime_persistence("root")
    claim = await store.claim_ready_queued_work("root", "me", IDLE, 60_000, 1)
    assert claim is not None
    await store.commit_runtime_state(commit().completing_queue_claim(claim.completion()))
    assert (await registry.append_event("p1", request)).wake_delivery == delivery
    assert await _queued(db) == []


async def test_wake_to_a_deleted_session_is_discarded_and_its_event_kept(
    registry: ProcessRegistry, db: Database
) -> None:
    await registry.register_process(registration("p1", wake_type()))
    await db.session_catalog.admit_session("gone", agent="a")
    await db.session_catalog.delete_session("gone")
    delivery = await _wake(registry, "wake", {"wake_input": "x"}, target=ProcessScope("gone"))
    (line,) = await registry.list_wake_deliveries("p1")
    assert (line.delivery, line.state, line.batch_id, line.reason) == (
        delivery,
        WakeDeliveryState.DISCARDED,
        None,
        WakeDiscardReason.TARGET_GONE,
    )
    assert [one.sequence for one in await registry.events_after("p1", 0)] == [1]
    assert await _queued(db, "gone") == []


async def test_session_that_is_deleted_takes_its_side_of_every_edge_with_it(
    registry: ProcessRegistry, db: Database, clock: SettableClock
) -> None:
    await registry.register_process(registration("p1", wake_type()))
    await db.session_catalog.admit_session("gone", agent="a")
    store = db.runtime_persistence("gone")
    await _wake(registry, "wake", {"wake_input": 1}, target=ProcessScope("gone", "f"))
    claim = await store.claim_ready_queued_work("gone", "me", IDLE, 60_000, 1)
    assert claim is not None
    await store.commit_runtime_state(commit("gone").completing_queue_claim(claim.completion()))
    await _wake(registry, "wake", {"wake_input": 2}, target=ProcessScope("gone"))
    await _wake(registry, "wake", {"wake_input": 3}, target=ROOT)
    for scope in (ProcessScope("gone"), ProcessScope("gone", "f"), ROOT):
        await registry.grant_handle(scope, "p1", ProcessHandleDescriptor())
    await db.host_event_store.register_subscription(draft("gone"))
    await db.host_event_store.register_subscription(draft("root"))
    clock.advance(4)

    await db.session_catalog.delete_session("gone")

    lines = await registry.list_wake_deliveries("p1")
    # The first was worked on; the second never will be; the third goes elsewhere.
    assert [(line.state, line.reason) for line in lines] == [
        (WakeDeliveryState.ENQUEUED, None),
        (WakeDeliveryState.DISCARDED, WakeDiscardReason.TARGET_GONE),
        (WakeDeliveryState.ENQUEUED, None),
    ]
    assert [one.session_id for one in await registry.handle_grants_for_process("p1")] == ["root"]
    subscriptions = await db.host_event_store.list_subscriptions()
    assert [(one.session_id, one.enabled, one.updated_at_ms) for one in subscriptions] == [
        ("gone", False, START_MS + 4),
        ("root", True, START_MS),
    ]
    record = await registry.get_process("p1")
    assert record is not None
    assert not record.is_terminal
    assert len(await registry.events_after("p1", 0)) == 3


async def test_refused_append_enqueues_nothing(registry: ProcessRegistry, db: Database) -> None:
    await registry.register_process(registration("p1", wake_type()))
    await _wake(registry, "wake", {"wake_input": 1}, key="k", target=ROOT)
    with refused("process_event_replay_conflict"):
        await registry.append_event("p1", event("wake", {"wake_input": 2}, "k", ROOT))
    assert len(await _queued(db)) == 1


async def test_ack_hides_a_wake_and_nothing_else(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", wake_type(), plain_type()))
    await registry.append_event("p1", event("line"))
    await _wake(registry, "wake", {"wake_input": 1}, target=ROOT)
    await _wake(registry, "wake", {"wake_input": 2}, target=ROOT)
    assert [one.sequence for one in await registry.wake_events_after("p1", 0)] == [2, 3]
    assert [one.sequence for one in await registry.wake_events_after("p1", 2)] == [3]
    await registry.ack_wake("p1", 2)
    await registry.ack_wake("p1", 2)
    assert [one.sequence for one in await registry.wake_events_after("p1", 0)] == [3]
    assert [one.sequence for one in await registry.events_after("p1", 0)] == [1, 2, 3]


@pytest.mark.parametrize("sequence", [-1, 0, 1, 3, 2**32, 2**40, 2**32 + 2])
async def test_ack_of_what_is_no_wake_suppresses_nothing(registry: ProcessRegistry, sequence: int) -> None:
    for process_id in ("p1", "p2"):
        await registry.register_process(registration(process_id, wake_type(), plain_type()))
        await registry.append_event(process_id, event("line"))
        await registry.append_event(process_id, event("wake", {"wake_input": 1}, target=ROOT))
    await registry.ack_wake("p1", sequence)
    await _wake(registry, "wake", {"wake_input": 2}, target=ROOT)
    assert [one.sequence for one in await registry.wake_events_after("p1", 0)] == [2, 3]
    assert [one.sequence for one in await registry.wake_events_after("p2", 0)] == [2]


async def test_subscribers_are_told_after_the_commit(registry: ProcessRegistry, db: Database) -> None:
    await registry.register_process(registration("p1", wake_type()))
    listening = {
        topic: db.subscribe([topic]) for topic in ("process:p1", "session:s1", "queue", "process:p2")
    }
    try:
        await _wake(registry, "wake", {"wake_input": 1}, target=ProcessScope("s1"))
        for topic in ("process:p1", "session:s1", "queue"):
            assert await listening[topic].wait(1000), topic
        assert not await listening["process:p2"].wait(0)
    finally:
        for subscription in listening.values():
            subscription.close()


async def test_wake_is_seen_through_another_handle(backend: Backend) -> None:
    other = await backend.another_handle()
    registry = backend.db.process_registry
    await registry.register_process(registration("p1", wake_type()))
    await registry.append_event("p1", event("wake", {"wake_input": 1}, target=ROOT))
    assert len(await _queued(other)) == 1
    await other.process_registry.ack_wake("p1", 1)
    assert await registry.wake_events_after("p1", 0) == []
    await registry.complete_process("p1", success())
    assert len(await _queued(other)) == 1


async def test_discarded_wakes_are_listed_and_sent_again_to_another_session(db: Database) -> None:
    registry = db.process_registry
    await db.session_catalog.admit_session("gone", agent="helper")
    await db.session_catalog.admit_session("heir", agent="helper")
    await registry.register_process(registration("p1", wake_type(), wake_target=ProcessScope("gone")))
    await registry.register_process(registration("p2", wake_type(), wake_target=ProcessScope("gone")))
    await registry.append_event("p1", event("wake", {"wake_input": "one"}))
    await db.session_catalog.delete_session("gone")
    await registry.append_event("p1", event("wake", {"wake_input": "two"}))
    await registry.append_event("p2", event("wake", {"wake_input": "three"}))
    lost = await registry.list_discarded_wakes()
    assert [(one.delivery.process_id, one.delivery.input) for one in lost] == [
        ("p1", "one"),
        ("p1", "two"),
        ("p2", "three"),
    ]
    assert {one.reason for one in lost} == {WakeDiscardReason.TARGET_GONE}
    assert await registry.list_discarded_wakes(limit=1) == lost[:1]
    assert await registry.list_discarded_wakes(after=("p1", 1), limit=1) == lost[1:2]
    assert await registry.list_discarded_wakes(after=("nobody", 1)) == []
    with refused("session_deleted"):
        await registry.redrive_wake("p1", 2)
    sent = await registry.redrive_wake("p1", 2, target=ProcessScope("heir"))
    assert (sent.state, sent.reason) == (WakeDeliveryState.ENQUEUED, None)
    assert sent.delivery.wake_id != lost[1].delivery.wake_id
    (batch,) = await _queued(db, "heir")
    assert batch.batch_id == sent.batch_id
    assert isinstance(batch.payloads[0], ProcessWakePayload)
    assert batch.payloads[0].wake == sent.delivery
    assert await registry.list_discarded_wakes() == [lost[0], lost[2]]
    assert (await registry.list_wake_deliveries("p1"))[1] == sent


async def test_only_a_discarded_wake_is_sent_again(db: Database) -> None:
    registry = db.process_registry
    await registry.register_process(registration("p1", wake_type(), plain_type()))
    await registry.append_event("p1", event("wake", {"wake_input": "one"}, target=ROOT))
    await registry.append_event("p1", event())
    with refused("process_wake_not_discarded"):
        await registry.redrive_wake("p1", 1)
    for sequence in (2, 3, 0):
        with refused("process_wake_unknown"):
            await registry.redrive_wake("p1", sequence)
    with refused("process_unknown"):
        await registry.redrive_wake("nobody", 1)
