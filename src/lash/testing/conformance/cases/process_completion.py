"""How processes end (contracts 2.C.14, 2.C.15 and B-10)."""

from __future__ import annotations

import asyncio
from typing import Any

from lash.contracts import ProcessRegistry
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect, expect_equal, refused, soon
from lash.testing.conformance.samples.processes import (
    MINUTE_MS,
    appends,
    process,
    registration,
    sequences,
    success,
)
from lash.testing.conformance.trial import Trial
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    FinishTurn,
    ProcessAwaitOutput,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessTerminalSpec,
    ProcessTerminalState,
    SelectPointer,
)

FAILURE = AwaitFailure(failure_class="execution", code="boom", message="it broke", raw={"n": 1})
CANCELLED = AwaitCancelled(message="stopped")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def await_reads_terminal_materialized_output(trial: Trial[ProcessRegistry]) -> None:
    """Awaiting an ended process returns exactly the output that it was completed with."""
    await trial.subject.register_process(registration("proc-2"))
    await trial.subject.complete_process("proc-2", success({"ok": True}))
    output = await soon(trial.subject.await_process("proc-2"), "the output of an ended process")
    expect_equal(output, success({"ok": True}), "the output")
    expect((await process(trial.subject, "proc-2")).is_terminal, "the record is terminal")


@case(Contract.PROCESS_REGISTRY)
async def every_kind_of_end_round_trips(trial: Trial[ProcessRegistry]) -> None:
    """Values, failures, cancellations and control come back whole, with the state they imply."""
    ends: list[tuple[ProcessAwaitOutput, ProcessTerminalState]] = [
        (success(1.0), ProcessTerminalState.COMPLETED),
        (success(None), ProcessTerminalState.COMPLETED),
        (AwaitSuccess(value=1, control=FinishTurn(value={"a": 1})), ProcessTerminalState.COMPLETED),
        (FAILURE, ProcessTerminalState.FAILED),
        (CANCELLED, ProcessTerminalState.CANCELLED),
    ]
    for index, (output, state) in enumerate(ends):
        process_id = f"p{index}"
        await trial.subject.register_process(registration(process_id))
        returned = await trial.subject.complete_process(process_id, output)
        for record in (returned, await process(trial.subject, process_id)):
            expect_equal((record.terminal_state, record.await_output), (state, output), "the record")
        awaited = await soon(trial.subject.await_process(process_id), "the output")
        expect_equal(awaited, output, "the awaited output")


@case(Contract.PROCESS_REGISTRY)
async def awaiting_ends_with_the_process(trial: Trial[ProcessRegistry]) -> None:
    """Who awaits a running process gets the output when it ends."""
    await trial.subject.register_process(registration("p1"))
    waits = [trial.start(trial.subject.await_process("p1")) for _ in range(3)]
    await asyncio.sleep(0.02)
    expect(not any(wait.done() for wait in waits), "a running process has no output")
    await trial.subject.complete_process("p1", success("over"))
    for output in await soon(asyncio.gather(*waits), "every wait ends"):
        expect_equal(output, success("over"), "the output")


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def the_first_end_wins(trial: Trial[ProcessRegistry]) -> None:
    """The same end again is no news; another output conflicts; another kind comes too late."""
    registry = trial.subject
    await registry.register_process(registration("p1"))
    await registry.complete_process("p1", success(1))
    await registry.complete_process("p1", success(1))
    expect_equal(await sequences(registry, "p1"), [1], "one terminal event")
    with refused("process_event_replay_conflict", "another output of the same kind"):
        await registry.complete_process("p1", success(2))
    for other in (FAILURE, CANCELLED):
        with refused("process_already_terminal", "an end of another kind"):
            await registry.complete_process("p1", other)
    expect_equal((await process(registry, "p1")).await_output, success(1), "the output that stays")


@case(Contract.PROCESS_REGISTRY)
async def of_concurrent_ends_one_counts(trial: Trial[ProcessRegistry]) -> None:
    """However many end a process at once, there is one terminal event, and its output is the record's."""
    registry = trial.subject
    await registry.register_process(registration("p1"))
    ends: list[ProcessAwaitOutput] = [success(1), FAILURE, CANCELLED, success(2)]
    answers: list[Any] = await asyncio.gather(
        *(registry.complete_process("p1", end) for end in ends), return_exceptions=True
    )
    won = [end for end, answer in zip(ends, answers, strict=True) if not isinstance(answer, Exception)]
    expect_equal(len(won), 1, "the ends that count")
    expect_equal(await sequences(registry, "p1"), [1], "the terminal events")
    expect_equal((await process(registry, "p1")).await_output, won[0], "the output")


def _closing(name: str, spec: ProcessTerminalSpec) -> ProcessEventType:
    return ProcessEventType(name=name, semantics=ProcessEventSemanticsSpec(terminal=spec))


@case(Contract.PROCESS_REGISTRY)
async def custom_terminal_events_end_a_process(trial: Trial[ProcessRegistry]) -> None:
    """A selected value that is no output is wrapped by the declared state; the whole payload without one."""
    registry = trial.subject
    value = SelectPointer(pointer="/value")
    ends: list[tuple[ProcessTerminalSpec, ProcessAwaitOutput]] = [
        (ProcessTerminalSpec(ProcessTerminalState.COMPLETED), success({"value": 7})),
        (ProcessTerminalSpec(ProcessTerminalState.COMPLETED, value), success(7)),
        (
            ProcessTerminalSpec(ProcessTerminalState.FAILED, value),
            AwaitFailure(failure_class="execution", code="process_failed", message="7", raw=7),
        ),
        (ProcessTerminalSpec(ProcessTerminalState.CANCELLED, value), AwaitCancelled(message="7", raw=7)),
    ]
    for index, (spec, output) in enumerate(ends):
        process_id = f"p{index}"
        await registry.register_process(registration(process_id, _closing("done", spec)))
        with refused("process_event_replay_required", "a custom end without a key"):
            await registry.append_event(process_id, appends("done", {"value": 7}))
        await registry.append_event(process_id, appends("done", {"value": 7}, key="k"))
        expect_equal((await process(registry, process_id)).await_output, output, "the output")
        with refused("process_already_terminal", "a completion after a custom end"):
            await registry.complete_process(process_id, success(1))


@case(Contract.PROCESS_REGISTRY, rule="R-25")
async def state_and_output_must_agree(trial: Trial[ProcessRegistry]) -> None:
    """A failure that is appended as completed is refused and ends nothing."""
    registry = trial.subject
    await registry.register_process(registration("p1"))
    wrong = {"await_output": {"type": "cancelled", "message": "stopped"}}
    for event_type in ("process.completed", "process.failed"):
        with refused("process_event_payload_invalid", f"a cancellation that is appended as {event_type}"):
            await registry.append_event("p1", appends(event_type, wrong, key="k"))
    expect_equal((await process(registry, "p1")).is_terminal, False, "the process goes on")
    expect_equal(await sequences(registry, "p1"), [], "the events")


@case(Contract.PROCESS_REGISTRY, rule="B-10")
async def completion_under_a_lease_is_fenced(trial: Trial[ProcessRegistry]) -> None:
    """The holder ends the process and gives the lease back at once; a superseded holder cannot."""
    registry = trial.subject
    await registry.register_process(registration("p1"))
    stale = await registry.claim_process_lease("p1", "owner-a", 0)
    live = await registry.claim_process_lease("p1", "owner-b", MINUTE_MS)
    with refused("process_lease_lost", "a completion under a superseded lease"):
        await registry.complete_process_with_lease(stale, success(1))
    expect_equal((await process(registry, "p1")).is_terminal, False, "the process goes on")
    record = await registry.complete_process_with_lease(live, success(2))
    expect_equal(record.await_output, success(2), "the output")
    freed = await registry.claim_process_lease("p1", "owner-c", MINUTE_MS)
    expect(freed.fencing_token > live.fencing_token, "the lease was given back, the fence kept")
