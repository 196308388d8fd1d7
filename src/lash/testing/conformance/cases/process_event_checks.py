"""What an append is refused for, in the order of contract 2.C.8; a refused one uses no sequence."""

from __future__ import annotations

from lash.contracts import ProcessRegistry
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect_equal, expect_present, refused
from lash.testing.conformance.samples.processes import (
    WAKE_BY_FIELD,
    appends,
    plain_type,
    process,
    registration,
    sequences,
    success,
    wake_type,
)
from lash.testing.conformance.trial import Trial
from lash.values import (
    AwaitCancelled,
    Json,
    ProcessEventAppendRequest,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessScope,
    ProcessTerminalState,
)

LINE_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"line": {"type": "string"}, "wake_input": {"type": "string"}},
    "required": ["line"],
}


@case(Contract.PROCESS_REGISTRY, seed=True)
async def validates_custom_events_and_materializes_wakes(trial: Trial[ProcessRegistry]) -> None:
    """Payloads are held to their schema; wakes are read from them, listed until acknowledged."""
    registry = trial.subject
    line = ProcessEventType(
        name="producer.line",
        payload_schema=LINE_SCHEMA,
        semantics=ProcessEventSemanticsSpec(wake=WAKE_BY_FIELD),
    )
    await registry.register_process(registration("proc-1", line))
    payload = {"line": "deploy failed", "wake_input": "Process event: deploy failed"}
    appended = await registry.append_event(
        "proc-1", appends("producer.line", payload, wakes=ProcessScope("s1"))
    )
    expect_equal(appended.event.sequence, 1, "the first sequence")
    wake = expect_present(appended.event.semantics.wake, "the event wakes")
    expect_equal(wake.input, "Process event: deploy failed", "the wake's input")
    expect_equal(len(await registry.wake_events_after("proc-1", 0)), 1, "the wakes")
    await registry.ack_wake("proc-1", appended.event.sequence)
    expect_equal(await registry.wake_events_after("proc-1", 0), [], "the wakes after the acknowledgement")
    with refused(None, "a payload without a required field"):
        await registry.append_event("proc-1", appends("producer.line", {"wake_input": "no line"}))


@case(Contract.PROCESS_REGISTRY, seed=True)
async def terminal_and_cancel_events_require_keys(trial: Trial[ProcessRegistry]) -> None:
    """A cancel request needs a key, is no end, and may be followed by an end as cancelled."""
    registry = trial.subject
    await registry.register_process(registration("proc-terminal"))
    with refused(None, "a cancel request without a key"):
        await registry.append_event("proc-terminal", appends("process.cancel_requested", {"reason": "stop"}))
    request = ProcessEventAppendRequest.cancel_requested("proc-terminal", "stop")
    await registry.append_event("proc-terminal", request)
    await registry.complete_process("proc-terminal", AwaitCancelled(message="stopped"))
    record = await process(registry, "proc-terminal")
    expect_equal(record.terminal_state, ProcessTerminalState.CANCELLED, "the terminal state")


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def refused_appends_use_no_sequence(trial: Trial[ProcessRegistry]) -> None:
    """Each refusal has its code, no row is left, and the next event is the first."""
    registry = trial.subject
    line = plain_type("line", LINE_SCHEMA)
    await registry.register_process(registration("p1", line, wake_type("wake")))
    refusals = [
        ("process_event_undeclared", appends("nobody.said")),
        ("process_event_replay_required", appends("process.cancel_requested", {})),
        ("process_event_replay_required", appends("process.completed", {"await_output": {}}, key="")),
        ("process_event_payload_invalid", appends("line", {"wake_input": "no line"})),
        ("process_event_payload_invalid", appends("line", {"line": 7})),
        ("process_event_payload_invalid", appends("line", "text")),
        ("process_event_selector_unmatched", appends("process.completed", {"other": 1}, key="k")),
        ("process_wake_target_missing", appends("wake", {"wake_input": "x"}, key="k")),
        ("json_not_representable", appends("wake", {"value": float("nan")})),
    ]
    for code, request in refusals:
        with refused(code, f"an append of {request.event_type} that must be refused"):
            await registry.append_event("p1", request)
    expect_equal(await sequences(registry, "p1"), [], "the events after refusals")
    fine = await registry.append_event("p1", appends("line", {"line": "x", "more": 1}))
    expect_equal(fine.event.sequence, 1, "the first sequence")


@case(Contract.PROCESS_REGISTRY)
async def a_refused_append_does_not_burn_its_key(trial: Trial[ProcessRegistry]) -> None:
    """The key of a refused append is free for the one that is right."""
    registry = trial.subject
    await registry.register_process(registration("p1", wake_type("wake")))
    with refused("process_wake_target_missing", "a wake without a target"):
        await registry.append_event("p1", appends("wake", {"wake_input": "x"}, key="k"))
    result = await registry.append_event(
        "p1", appends("wake", {"wake_input": "x"}, key="k", wakes=ProcessScope("root"))
    )
    expect_equal(result.event.sequence, 1, "the sequence of the one that is right")


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def ended_processes_take_notes_but_no_second_end(trial: Trial[ProcessRegistry]) -> None:
    """After the end, plain events and cancel requests are appended; another end is refused."""
    registry = trial.subject
    await registry.register_process(registration("p1", plain_type("note")))
    await registry.complete_process("p1", success(1))
    await registry.append_event("p1", appends("note", 1))
    await registry.append_event("p1", ProcessEventAppendRequest.cancel_requested("p1", "late"))
    end = {"await_output": {"type": "cancelled", "message": "late"}}
    with refused("process_already_terminal", "a second end"):
        await registry.append_event("p1", appends("process.cancelled", end, key="k"))
    expect_equal(await sequences(registry, "p1"), [1, 2, 3], "the events")
    expect_equal((await process(registry, "p1")).await_output, success(1), "the output")


@case(Contract.PROCESS_REGISTRY)
async def cancel_requests_are_keyed_by_their_reason(trial: Trial[ProcessRegistry]) -> None:
    """The same reason twice is one request; another reason is a second one."""
    registry = trial.subject
    await registry.register_process(registration("p1"))
    for reason in ("stop", "stop", "really", None, None):
        await registry.append_event("p1", ProcessEventAppendRequest.cancel_requested("p1", reason))
    expect_equal(await sequences(registry, "p1"), [1, 2, 3], "the requests")
    expect_equal((await process(registry, "p1")).is_terminal, False, "a request is no end")
