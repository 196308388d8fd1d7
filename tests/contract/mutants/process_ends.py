"""Processes that end wrongly."""

from __future__ import annotations

from typing import Any

from lash.errors import LashError
from lash.values import (
    AwaitSuccess,
    MaterialisedTerminal,
)

from .mutant import answers, mutant

REGISTRY = "lash.backends.memory.process_registry"
HANDLES = "lash.backends.memory.process_handles"
LOG = "lash.backends.memory.process_log"


def _wraps_output(original: Any) -> Any:
    async def await_process(self: Any, process_id: str) -> Any:
        output = await original(self, process_id)
        return AwaitSuccess(value={"output": output.value}) if isinstance(output, AwaitSuccess) else output

    return await_process


mutant(
    "an awaited value is wrapped",
    "await_reads_terminal_materialized_output",
    (f"{LOG}:ProcessLog.await_process", _wraps_output),
)
mutant(
    "an output loses its control",
    "every_kind_of_end_round_trips",
    (f"{LOG}:ProcessLog.await_process", answers(lambda output, *_: output.replace(control=None))),
)


def _no_end_is_too_late(original: Any) -> Any:
    def decide(record: Any, request: Any, recorded: Any, now_ms: int) -> Any:
        from lash.values import ProcessRunning

        append = original(record.replace(status=ProcessRunning()), request, recorded, now_ms)
        kept = record.status if append.record.status == ProcessRunning() else append.record.status
        return type(append)(
            result=append.result, record=append.record.replace(status=kept), is_new=append.is_new
        )

    return decide


mutant("the last end wins", "of_concurrent_ends_one_counts", (f"{LOG}:decide_append", _no_end_is_too_late))
mutant(
    "the same end twice is a conflict",
    "the_first_end_wins",
    (
        f"{LOG}:ProcessLog.complete_process",
        lambda original: _conflicts_on_repeat(original),
    ),
)


def _conflicts_on_repeat(original: Any) -> Any:
    async def complete_process(self: Any, process_id: str, output: Any) -> Any:
        if self._tables.processes.record(process_id).is_terminal:
            raise LashError("process_already_terminal", "it is over")
        return await original(self, process_id, output)

    return complete_process


mutant(
    "a custom end selects nothing",
    "custom_terminal_events_end_a_process",
    ("lash.rules.event_semantics:_wrapped", lambda original: lambda state, value: original(state, None)),
)
mutant(
    "state and output need not agree",
    "state_and_output_must_agree",
    ("lash.rules.event_semantics:_terminal", lambda original: _agreeable(original)),
)


def _agreeable(original: Any) -> Any:
    def terminal(name: str, spec: Any, payload: Any) -> Any:
        from lash.rules.event_semantics import _decoded
        from lash.rules.selectors import select

        try:
            return original(name, spec, payload)
        except LashError as error:
            output = _decoded(select(spec.await_output, payload))
            if error.code != "process_event_payload_invalid" or output is None:
                raise
            return MaterialisedTerminal(state=spec.state, await_output=output)

    return terminal


mutant(
    "any lease may end a process",
    "completion_under_a_lease_is_fenced",
    (
        f"{REGISTRY}:InMemoryProcessRegistry.complete_process_with_lease",
        lambda original: lambda self, lease, output: self.complete_process(lease.process_id, output),
    ),
)
