"""The engine of prepared tool calls: a tool in the background, by the same way as one in a turn."""

from __future__ import annotations

from collections.abc import Mapping

from lash.contracts import RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.events import tool_emission
from lash.runtime.processes.engine import ProcessRun, process_event
from lash.tools import ToolInvocation, tool_idempotency_key
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    CausedByProcess,
    CompletedToolCall,
    Json,
    PreparedToolCall,
    ProcessAwaitOutput,
    ProcessRecord,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    ToolCall,
    ToolCallInput,
    ToolCallOutcome,
)


class ToolCallEngine:
    """Runs prepared tool calls with the tools of the agent that the host profile names.

    Args:
        agents: The agents of this runtime, by name.
    """

    def __init__(self, agents: Mapping[str, BoundAgent]) -> None:
        self._agents = agents

    async def run(self, process: ProcessRecord, context: ProcessRun) -> ProcessAwaitOutput:
        """Run the call, or find that it was run; see `ProcessEngine`."""
        assert isinstance(process.input, ToolCallInput), "chosen by its input"
        bound = self._agent_of(process)
        call = process.input.call
        invocation = RuntimeInvocation.effect(
            RuntimeScope(session_id=process.provenance.owner_scope.session_id),
            "call",
            RuntimeEffectKind.TOOL_CALL,
            f"process:{process.id}:call",
            CausedByProcess(process.id),
        )

        async def body(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            result = await bound.tools.execute(call, self._invocation(bound, process, call, context))
            return ToolCallOutcome(result=result)

        envelope = RuntimeEffectEnvelope(invocation, ToolCall(call))
        outcome = await context.effects.execute_effect(envelope, RuntimeEffectLocalExecutor.of(body))
        assert isinstance(outcome, ToolCallOutcome), "a tool call answers with its outcome"
        return _output(outcome.result, context)

    def _agent_of(self, process: ProcessRecord) -> BoundAgent:
        """Return whose tool it is: the agent that the profile names, or the only one there is."""
        profile = process.provenance.host_profile_id
        bound = self._agents.get(profile.removeprefix("agent:"))
        if bound is None and profile == "default" and len(self._agents) == 1:
            bound = next(iter(self._agents.values()))
        if bound is None:
            raise LashError(
                "agent_unknown",
                f"process {process.id!r} calls a tool under the profile {profile!r}; this runtime has the agents "
                f"{sorted(self._agents)}",
                process_id=process.id,
            )
        return bound

    def _invocation(
        self, bound: BoundAgent, process: ProcessRecord, call: PreparedToolCall, context: ProcessRun
    ) -> ToolInvocation:
        session_id = process.provenance.owner_scope.session_id
        emitted = 0

        async def emit(event_type: str, payload: Json) -> None:
            nonlocal emitted
            emitted += 1
            await context.append_event(process_event(process.id, str(emitted), event_type, payload))

        return ToolInvocation(
            session_id=session_id,
            turn_id=process.id,
            agent=bound.name,
            idempotency_key=tool_idempotency_key(session_id, process.id, call.call_id, call.tool_name),
            attachments=context.attachments,
            progress=context.report,
            cancellation=context.cancellation,
            clock=context.services.clock,
            process_id=process.id,
            emit_event=emit,
            emit=tool_emission(context.services, f"process:{process.id}"),
        )


def _output(result: CompletedToolCall, context: ProcessRun) -> ProcessAwaitOutput:
    if result.error is None:
        return AwaitSuccess(value=result.content)
    if context.cancellation.cancelled and result.error.code == "tool_cancelled":
        return AwaitCancelled(message=context.cancel_reason or result.error.message)
    error = LashError.from_record(result.error)
    return AwaitFailure(
        failure_class="execution", code=error.code, message=error.message, raw=result.error.facts or None
    )
