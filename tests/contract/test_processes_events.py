"""Appending events and what they mean (contract 1.9, 2.C.8 to 2.C.15; R-12, R-22, R-25; rulings 5, 23)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lash.contracts import Database, ProcessRegistry
from lash.rules.process_projection import folded
from lash.rules.process_registration import registered_record
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    CausedByProcess,
    FinishTurn,
    ProcessEventAppendRequest,
    ProcessEventSubject,
    ProcessExternalRef,
    ProcessProvenance,
    ProcessScope,
    ProcessTerminalState,
    RuntimeScope,
    SelectConst,
    SelectPayload,
    SelectPointer,
)

from .conftest import Backend
from .process_samples import (
    ROOT,
    cancelled,
    event,
    failure,
    plain_type,
    registration,
    success,
    terminal_type,
    wake_type,
)
from .samples import refused
from .settable import START_MS, SettableClock

LINE_SCHEMA = {
    "type": "object",
    "properties": {"line": {"type": "string", "maxLength": 3}},
    "required": ["line"],
    "additionalProperties": False,
}


@pytest.fixture
def registry(db: Database) -> ProcessRegistry:
    return db.process_registry


async def _sequences(registry: ProcessRegistry, process_id: str = "p1") -> list[int]:
    return [one.sequence for one in await registry.events_after(process_id, 0)]


async def test_event_carries_the_session_of_its_owner_and_its_process_as_cause(
    registry: ProcessRegistry, clock: SettableClock
) -> None:
    provenance = ProcessProvenance(owner_scope=ProcessScope("owner", "frame"), host_profile_id="h")
    await registry.register_process(registration("p1", plain_type(), provenance=provenance))
    clock.advance(7)
    appended = (await registry.append_event("p1", event("line", {"a": [1, 1.0]}, key="k"))).event
    assert (appended.process_id, appended.sequence, appended.occurred_at_ms) == ("p1", 1, START_MS + 7)
    assert appended.invocation.scope == RuntimeScope(session_id="owner")
    assert appended.invocation.subject == ProcessEventSubject(process_id="p1", sequence=1, event_type="line")
    assert appended.invocation.caused_by == CausedByProcess(process_id="p1")
    assert appended.invocation.replay_key == "k"
    assert await registry.events_after("p1", 0) == [appended]
    record = await registry.get_process("p1")
    assert record is not None
    assert (record.updated_at_ms, record.last_sequence) == (START_MS + 7, 1)


async def test_cursor_excludes_what_is_at_or_before_it(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", plain_type()))
    for number in range(1, 5):
        await registry.append_event("p1", event("line", number))
    assert [one.payload for one in await registry.events_after("p1", 2)] == [3, 4]
    assert await registry.events_after("p1", 4) == []
    assert await registry.events_after("p1", 99) == []


async def test_same_payload_without_a_key_is_another_event(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", plain_type()))
    for key in (None, None, "", ""):
        await registry.append_event("p1", event("line", "same", key=key))
    assert await _sequences(registry) == [1, 2, 3, 4]


async def test_replay_returns_the_stored_event(registry: ProcessRegistry, clock: SettableClock) -> None:
    await registry.register_process(registration("p1", plain_type()))
    first = await registry.append_event("p1", event("line", {"a": 1, "b": 2}, key="k"))
    before = await registry.get_process("p1")
    clock.advance(10)
    assert await registry.append_event("p1", event("line", {"b": 2, "a": 1}, key="k")) == first
    assert await registry.get_process("p1") == before
    assert await _sequences(registry) == [1]


@pytest.mark.parametrize("other", [event("line", 1.0, "k"), event("note", 1, "k"), event("line", True, "k")])
async def test_other_type_or_payload_under_a_key_is_a_conflict(
    registry: ProcessRegistry, other: ProcessEventAppendRequest
) -> None:
    await registry.register_process(registration("p1", plain_type("line"), plain_type("note")))
    await registry.append_event("p1", event("line", 1, key="k"))
    with refused("process_event_replay_conflict"):
        await registry.append_event("p1", other)
    assert await _sequences(registry) == [1]


async def test_replay_keys_belong_to_their_process(registry: ProcessRegistry) -> None:
    for process_id in ("p1", "p2"):
        await registry.register_process(registration(process_id, plain_type()))
        assert (
            await registry.append_event(process_id, event("line", process_id, key="k"))
        ).event.sequence == 1


async def test_the_replay_key_answers_before_every_other_check(registry: ProcessRegistry) -> None:
    """Undeclared type, wrong payload, terminal state and missing target all come after the conflict."""
    await registry.register_process(registration("p1", plain_type("line", LINE_SCHEMA), wake_type()))
    await registry.append_event("p1", event("wake", {"wake_input": "x"}, key="k", target=ROOT))
    await registry.complete_process("p1", success())
    for other in (
        event("undeclared", None, "k"),
        event("line", "no object", "k"),
        event("wake", {"wake_input": "y"}, "k"),
        event("process.completed", {"await_output": {"type": "success", "value": 2}}, "k"),
    ):
        with refused("process_event_replay_conflict"):
            await registry.append_event("p1", other)


async def test_checks_come_in_their_order(registry: ProcessRegistry) -> None:
    end = terminal_type("end", ProcessTerminalState.COMPLETED, SelectPointer("/output"))
    end = end.replace(payload_schema={"type": "object"})
    await registry.register_process(registration("p1", end, wake_type(), plain_type()))
    await registry.complete_process("p1", success())
    for request, code in (
        (event("undeclared"), "process_event_undeclared"),
        (event("end", "not an object"), "process_event_replay_required"),
        (event("end", "not an object", "k"), "process_event_payload_invalid"),
        (event("end", {}, "k"), "process_event_selector_unmatched"),
        (event("end", {"output": 1}, "k"), "process_already_terminal"),
    ):
        with refused(code):
            await registry.append_event("p1", request)
    assert await _sequences(registry) == [1]
    assert (await registry.append_event("p1", event("line", "late", "k"))).event.sequence == 2


async def test_refused_append_uses_no_number_and_no_key(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", plain_type("line", LINE_SCHEMA)))
    await registry.append_event("p1", event("line", {"line": "one"}))
    before = await registry.get_process("p1")
    for payload in ({}, {"line": 1}, {"line": "four"}, {"line": "one", "more": 1}, None):
        with refused("process_event_payload_invalid"):
            await registry.append_event("p1", event("line", payload, "k"))
    assert await registry.get_process("p1") == before
    assert (await registry.append_event("p1", event("line", {"line": "two"}, "k"))).event.sequence == 2


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "integer"}, [7, 7.0, -(2**63), 2**64 - 1], [7.5, "7", True, None]),
        ({"anyOf": [{"type": "string"}, {"minimum": 3, "type": "number"}]}, ["a", 3], [2, None]),
        ({"enum": [1, {"a": 1}]}, [1, {"a": 1}], [True, "1", {"a": 2}]),
        ({"minLength": 2, "maxLength": 2}, ["\U0001f600\U0001f600"], ["a", "abc"]),
        ({"type": ["array", "null"], "items": {"type": "string"}, "maxItems": 1}, [[], ["a"], None], [[1]]),
        ({"$ref": "#/$defs/name", "$defs": {"name": {"type": "string"}}}, ["a"], [1]),
    ],
)
async def test_schemas_are_json_schema(
    registry: ProcessRegistry, schema: dict[str, Any], right: list[Any], wrong: list[Any]
) -> None:
    await registry.register_process(registration("p1", plain_type("line", schema)))
    for payload in right:
        await registry.append_event("p1", event("line", payload))
    for payload in wrong:
        with refused("process_event_payload_invalid"):
            await registry.append_event("p1", event("line", payload))
    assert await _sequences(registry) == list(range(1, len(right) + 1))


async def test_payload_that_is_no_json_is_refused(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", plain_type()))
    deep: Any = None
    for _ in range(100_000):
        deep = [deep]
    for payload in (float("nan"), float("inf"), "\ud800", {1: 2}, 2**64, b"bytes", {"a"}, object(), deep):
        with refused("json_not_representable"):
            await registry.append_event("p1", event("line", payload))
    assert await _sequences(registry) == []


async def test_payload_comes_back_exactly(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", plain_type()))
    payloads: list[Any] = [
        None, True, 0, -1, 2**64 - 1, 1.5, 1e300, 0.1, "", "\x00\u2028é\U0001f600", [], {}, [[{"b": [], "a": {}}]],
        {"type": "success", "value": None},
    ]  # fmt: skip
    for payload in payloads:
        await registry.append_event("p1", event("line", payload))
    read = [one.payload for one in await registry.events_after("p1", 0)]
    assert [repr(one) for one in read] == [repr(one) for one in payloads]


async def test_event_of_eight_megabytes_is_kept_whole(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", plain_type()))
    text = "é" * (4 * 1024 * 1024)
    await registry.append_event("p1", event("line", text))
    assert (await registry.events_after("p1", 0))[0].payload == text


async def test_caller_cannot_change_what_is_stored(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", plain_type()))
    payload = {"a": [1]}
    result = await registry.append_event("p1", event("line", payload))
    payload["a"].append(2)
    result.event.payload["b"] = 3
    (await registry.events_after("p1", 0))[0].payload["c"] = 4
    assert [one.payload for one in await registry.events_after("p1", 0)] == [{"a": [1]}]


async def test_concurrent_appends_are_numbered_without_gaps(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1", plain_type()))
    await asyncio.gather(*(registry.append_event("p1", event("line", n, f"k{n}")) for n in range(20)))
    assert await _sequences(registry) == list(range(1, 21))


async def test_cancel_request_needs_a_key_and_ends_nothing(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1"))
    with refused("process_event_replay_required"):
        await registry.append_event("p1", event("process.cancel_requested", {"reason": "stop"}))
    for reason in ("stop", "stop", "now", None):
        await registry.append_event("p1", ProcessEventAppendRequest.cancel_requested("p1", reason))
    assert await _sequences(registry) == [1, 2, 3]
    record = await registry.complete_process("p1", cancelled())
    assert record.terminal_state is ProcessTerminalState.CANCELLED
    # A request that comes too late is still logged.
    await registry.append_event("p1", ProcessEventAppendRequest.cancel_requested("p1", "late"))
    assert await _sequences(registry) == [1, 2, 3, 4, 5]


OUTPUTS = [
    AwaitSuccess(value=None),
    AwaitSuccess(value={"type": "failure", "n": [1.0, 1]}),
    AwaitSuccess(value=1, control=FinishTurn(value="x")),
    failure(),
    AwaitFailure(failure_class="timeout", code="c", message="m", raw={"a": 1}),
    cancelled(),
    AwaitCancelled(message="m", raw=[1]),
]


@pytest.mark.parametrize("output", OUTPUTS)
async def test_output_is_what_completed_the_process(registry: ProcessRegistry, output: Any) -> None:
    await registry.register_process(registration("p1"))
    record = await registry.complete_process("p1", output)
    assert record.is_terminal
    assert record.await_output == output
    assert await registry.await_process("p1") == output
    assert await registry.get_process("p1") == record


async def test_first_terminal_wins(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1"))
    record = await registry.complete_process("p1", success(1))
    assert await registry.complete_process("p1", success(1)) == record
    with refused("process_event_replay_conflict"):
        await registry.complete_process("p1", success(2))
    for output in (failure(), cancelled()):
        with refused("process_already_terminal"):
            await registry.complete_process("p1", output)
    assert await registry.get_process("p1") == record
    assert await _sequences(registry) == [1]


async def test_one_of_many_completions_wins(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1"))
    answers = await asyncio.gather(
        *(registry.complete_process("p1", output) for output in (failure("a"), cancelled("b"), success("c"))),
        return_exceptions=True,
    )
    won = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(won) == 1
    assert (await registry.await_process("p1")) == won[0].await_output
    assert await _sequences(registry) == [1]


async def test_custom_terminal_event_ends_the_process(registry: ProcessRegistry) -> None:
    await registry.register_process(
        registration("p1", terminal_type("end", ProcessTerminalState.COMPLETED), plain_type())
    )
    await registry.append_event("p1", event("end", {"a": 1}, "k"))
    assert await registry.await_process("p1") == AwaitSuccess(value={"a": 1})
    with refused("process_already_terminal"):
        await registry.complete_process("p1", success())
    with refused("process_already_terminal"):
        await registry.append_event("p1", event("end", {"a": 1}, "k2"))
    await registry.append_event("p1", event("line", "after the end"))
    record = await registry.get_process("p1")
    assert record is not None
    assert record.await_output == AwaitSuccess(value={"a": 1})


@pytest.mark.parametrize(
    ("state", "selected", "expected"),
    [
        (ProcessTerminalState.COMPLETED, "text", AwaitSuccess(value="text")),
        (ProcessTerminalState.COMPLETED, {"type": "success", "value": 1}, AwaitSuccess(value=1)),
        (
            ProcessTerminalState.COMPLETED,
            {"type": "success", "value": 1, "other": 2},
            AwaitSuccess(value={"type": "success", "value": 1, "other": 2}),
        ),
        (
            ProcessTerminalState.FAILED,
            {"b": 1, "a": 7.0},
            AwaitFailure(
                failure_class="execution",
                code="process_failed",
                message='{"a":7.0,"b":1}',
                raw={"b": 1, "a": 7.0},
            ),
        ),
        (ProcessTerminalState.CANCELLED, "why", AwaitCancelled(message="why", raw="why")),
        (ProcessTerminalState.CANCELLED, {"type": "cancelled", "message": "m"}, AwaitCancelled(message="m")),
    ],
)
async def test_selected_value_is_decoded_or_wrapped(
    registry: ProcessRegistry, state: ProcessTerminalState, selected: Any, expected: Any
) -> None:
    await registry.register_process(registration("p1", terminal_type("end", state, SelectPayload())))
    await registry.append_event("p1", event("end", selected, "k"))
    assert await registry.await_process("p1") == expected


@pytest.mark.parametrize(
    ("state", "selected"),
    [
        (ProcessTerminalState.FAILED, {"type": "success", "value": 1}),
        (ProcessTerminalState.COMPLETED, {"type": "cancelled", "message": "m"}),
    ],
)
async def test_state_and_output_must_agree(
    registry: ProcessRegistry, state: ProcessTerminalState, selected: Any
) -> None:
    await registry.register_process(registration("p1", terminal_type("end", state, SelectConst(selected))))
    with refused("process_event_payload_invalid"):
        await registry.append_event("p1", event("end", None, "k"))
    assert await _sequences(registry) == []


async def test_reserved_types_cannot_be_appended(registry: ProcessRegistry) -> None:
    await registry.register_process(registration("p1"))
    for name in ("process.external_ref_set", "process.attempt_started", "process.abandoned"):
        with refused("process_event_undeclared"):
            await registry.append_event("p1", event(name, None, "k"))


async def test_record_is_the_fold_of_its_log(registry: ProcessRegistry, clock: SettableClock) -> None:
    started = registration("p1", plain_type(), wake_type(), recovery=None, wake_target=ROOT)
    await registry.register_process(started)
    ref = ProcessExternalRef(backend="b", id="1", metadata={"x": None})

    async def check() -> None:
        clock.advance(1)
        log = await registry.events_after("p1", 0)
        assert folded(registered_record(started, START_MS), log) == await registry.get_process("p1")

    await check()
    await registry.append_event("p1", event("line", 1))
    await check()
    await registry.set_external_ref("p1", ref)
    await check()
    await registry.append_event("p1", event("wake", {"wake_input": "x"}))
    await registry.request_abandon("p1", requested_by="operator", reason="stuck")
    await check()
    await registry.set_external_ref("p1", ref.replace(id="2"))
    await registry.complete_process("p1", failure())
    await check()
    await registry.append_event("p1", event("line", "late"))
    await check()


async def test_keyed_append_replays_through_another_handle(backend: Backend) -> None:
    other = (await backend.another_handle()).process_registry
    registry = backend.db.process_registry
    await registry.register_process(registration("p1", wake_type()))
    first = await registry.append_event("p1", event("wake", {"wake_input": "x"}, "k", ROOT))
    assert await other.append_event("p1", event("wake", {"wake_input": "x"}, "k", ROOT)) == first
    assert await _sequences(registry) == [1]
