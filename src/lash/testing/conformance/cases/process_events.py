"""The event log of a process: order, cursors, replay, waits (contracts 2.C.8 and 2.C.10 to 2.C.14)."""

from __future__ import annotations

import asyncio

from lash.contracts import ProcessRegistry
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_json, refused, soon
from lash.testing.conformance.samples.processes import (
    appends,
    plain_type,
    registration,
    sequences,
    success,
    wake_type,
)
from lash.testing.conformance.trial import Trial
from lash.values import ProcessEvent, ProcessScope

ROOT = ProcessScope("root")


def _kinds(events: list[ProcessEvent]) -> list[tuple[int, str]]:
    return [(event.sequence, event.event_type) for event in events]


async def _streaming(registry: ProcessRegistry) -> None:
    """The seed's stream: line, wake, line, and a type that is never appended."""
    types = (plain_type("producer.line"), wake_type("producer.wake"), plain_type("producer.future"))
    await registry.register_process(registration("proc-stream", *types))
    await registry.append_event("proc-stream", appends("producer.line", {"line": "one"}))
    wake = appends("producer.wake", {"wake_input": "wake two"}, wakes=ROOT)
    await registry.append_event("proc-stream", wake)
    await registry.append_event("proc-stream", appends("producer.line", {"line": "three"}))


@case(Contract.PROCESS_REGISTRY, seed=True, rule="R-24")
async def event_streams_filter_order_and_wait_without_leaking_old_events(
    trial: Trial[ProcessRegistry],
) -> None:
    """Cursors exclude, wakes filter, and a wait returns the first match after its cursor, now or later."""
    registry = trial.subject
    await _streaming(registry)
    after_one = await registry.events_after("proc-stream", 1)
    expect_equal(_kinds(after_one), [(2, "producer.wake"), (3, "producer.line")], "events after one")
    expect_equal(await registry.events_after("proc-stream", 3), [], "events after the last")
    wakes = await registry.wake_events_after("proc-stream", 1)
    expect_equal(_kinds(wakes), [(2, "producer.wake")], "wakes after one")
    expect_equal(await registry.wake_events_after("proc-stream", 2), [], "wakes after the wake")
    immediate = await soon(
        registry.wait_event_after("proc-stream", "producer.line", 1), "a match that is there already"
    )
    expect_equal(immediate.sequence, 3, "the match that is there already")
    waiter = trial.start(registry.wait_event_after("proc-stream", "producer.future", 3))
    await asyncio.sleep(0.02)
    expect(not waiter.done(), "a wait without a match waits")
    await registry.append_event("proc-stream", appends("producer.future", {"line": "four"}))
    future = await soon(waiter, "a wait ends with the append that it waits for")
    expect_equal(future.sequence, 4, "the event that ended the wait")


@case(Contract.PROCESS_REGISTRY)
async def a_wait_takes_the_first_match_after_its_cursor(trial: Trial[ProcessRegistry]) -> None:
    """Other types do not end a wait, and of several matches the earliest counts."""
    registry = trial.subject
    await _streaming(registry)
    first = await soon(registry.wait_event_after("proc-stream", "producer.line", 0), "an existing match")
    expect_equal(first.sequence, 1, "the earliest match")
    waiter = trial.start(registry.wait_event_after("proc-stream", "producer.line", 3))
    await registry.append_event("proc-stream", appends("producer.future", {}))
    await asyncio.sleep(0.02)
    expect(not waiter.done(), "an event of another type does not end the wait")
    await registry.append_event("proc-stream", appends("producer.line", {}))
    expect_equal((await soon(waiter, "the wait ends")).sequence, 5, "the match")


@case(Contract.PROCESS_REGISTRY, rule="R-24")
async def many_waiters_are_all_woken(trial: Trial[ProcessRegistry]) -> None:
    """Every waiter gets the event, also one that starts while it is appended."""
    registry = trial.subject
    await registry.register_process(registration("p1", plain_type("note")))
    waits = [trial.start(registry.wait_event_after("p1", "note", 0)) for _ in range(8)]
    await asyncio.sleep(0)
    await registry.append_event("p1", appends("note", 1))
    events = await soon(asyncio.gather(*waits), "every wait ends")
    expect_equal({event.sequence for event in events}, {1}, "what they got")


@case(Contract.PROCESS_REGISTRY, rule="R-24", needs=Feature.SECOND_HANDLE)
async def waits_see_appends_of_the_other_handle(trial: Trial[ProcessRegistry]) -> None:
    """A waiter on one handle is woken by an append, and by an end, through the other."""
    registry, other = trial.subject, trial.second
    await registry.register_process(registration("p1", plain_type("note")))
    waiter = trial.start(other.wait_event_after("p1", "note", 0))
    ending = trial.start(other.await_process("p1"))
    await asyncio.sleep(0.02)
    await registry.append_event("p1", appends("note", 1))
    expect_equal((await soon(waiter, "a wait across handles")).sequence, 1, "the event")
    await registry.complete_process("p1", success("over"))
    expect_equal(await soon(ending, "a wait for the end across handles"), success("over"), "the output")


@case(Contract.PROCESS_REGISTRY)
async def a_cancelled_wait_leaves_nothing_behind(trial: Trial[ProcessRegistry]) -> None:
    """After a wait is cancelled the registry works as before."""
    registry = trial.subject
    await registry.register_process(registration("p1", plain_type("note")))
    waiter = trial.start(registry.wait_event_after("p1", "note", 0))
    await asyncio.sleep(0)
    waiter.cancel()
    await soon(asyncio.wait({waiter}), "a cancelled wait ends")
    expect(waiter.cancelled(), "a cancelled wait is cancelled")
    await registry.append_event("p1", appends("note", 1))
    event = await soon(registry.wait_event_after("p1", "note", 0), "a new wait")
    expect_equal(event.sequence, 1, "the event")


@case(Contract.PROCESS_REGISTRY)
async def sequences_have_no_gaps_under_concurrent_appends(trial: Trial[ProcessRegistry]) -> None:
    """Appends at the same time, refused ones among them, number events from 1 without a gap."""
    registry = trial.subject
    await registry.register_process(registration("p1", plain_type("note")))
    requests = [appends("note" if index % 3 else "undeclared", index) for index in range(12)]
    await asyncio.gather(
        *(registry.append_event("p1", request) for request in requests), return_exceptions=True
    )
    expect_equal(await sequences(registry, "p1"), list(range(1, 9)), "the sequences")


@case(Contract.PROCESS_REGISTRY)
async def sequences_belong_to_their_process(trial: Trial[ProcessRegistry]) -> None:
    """Two processes number their events apart, and a replay key belongs to one of them."""
    registry = trial.subject
    for process_id in ("p1", "p2"):
        await registry.register_process(registration(process_id, plain_type("note")))
    for index, process_id in enumerate(("p1", "p2", "p1")):
        await registry.append_event(process_id, appends("note", index, key=f"k{index // 2}"))
    expect_equal(await sequences(registry, "p1"), [1, 2], "the first process's events")
    expect_equal(await sequences(registry, "p2"), [1], "the second process's events")


@case(Contract.PROCESS_REGISTRY)
async def equal_appends_without_a_key_are_two_events(trial: Trial[ProcessRegistry]) -> None:
    """Only a key makes a repeat; payloads come back to the letter."""
    registry, payload = trial.subject, {"n": 1, "x": 1.0, "t": True, "s": "\u00fc\U0001f680"}
    await registry.register_process(registration("p1", plain_type("note")))
    for _ in range(2):
        await registry.append_event("p1", appends("note", payload))
    events = await registry.events_after("p1", 0)
    expect_equal([event.sequence for event in events], [1, 2], "two events")
    for event in events:
        expect_json(event.payload, payload, "the payload")


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def a_key_stands_for_one_payload(trial: Trial[ProcessRegistry]) -> None:
    """Another payload, number kind or type under a key conflicts, and nothing is appended."""
    registry = trial.subject
    await registry.register_process(registration("p1", plain_type("note"), plain_type("line")))
    await registry.append_event("p1", appends("note", 1, key="k"))
    for request in (appends("note", 2, key="k"), appends("note", 1.0, key="k"), appends("line", 1, key="k")):
        with refused("process_event_replay_conflict", "another event under the key"):
            await registry.append_event("p1", request)
    expect_equal(await sequences(registry, "p1"), [1], "the events")


@case(Contract.PROCESS_REGISTRY)
async def a_replay_is_answered_before_anything_is_checked(trial: Trial[ProcessRegistry]) -> None:
    """A keyed append replays after the process has ended, even the one that ended it."""
    registry = trial.subject
    await registry.register_process(registration("p1", plain_type("note")))
    first = await registry.append_event("p1", appends("note", 1, key="k"))
    ended = await registry.append_event(
        "p1", appends("process.completed", {"await_output": {"type": "success", "value": 1}}, key="end")
    )
    again = await registry.append_event("p1", appends("note", 1, key="k"))
    expect_equal(again.event, first.event, "the replayed event")
    end_again = await registry.append_event(
        "p1", appends("process.completed", {"await_output": {"type": "success", "value": 1}}, key="end")
    )
    expect_equal(end_again.event, ended.event, "the replayed end")
