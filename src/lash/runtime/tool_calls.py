"""One tool call of a turn, from what the model asked for to its recorded result.

The order is a contract (runtime 6.2): look the tool up, check the arguments, freeze the call; then, unless it is
recorded, pass the gate of its approval, and only then write the intent of an at-most-once call and run it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from lash.contracts import EffectBody, EffectGate, EffectParked, RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.events import tool_emission
from lash.runtime.processes.call_processes import CallOrigin
from lash.runtime.services import RuntimeServices
from lash.runtime.turn_approvals import TurnApprovals, with_edit_told
from lash.tools import Cancellation, ToolInvocation, failed_call, tool_idempotency_key
from lash.values import (
    CompletedToolCall,
    Json,
    PreparedToolCall,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    ToolCall,
    ToolCallCompleted,
    ToolCallOutcome,
    ToolCallPart,
    ToolCallRecord,
    ToolCallStarted,
    ToolProgress,
)

ExecuteEffect = Callable[[RuntimeEffectEnvelope, RuntimeEffectLocalExecutor], Awaitable[RuntimeEffectOutcome]]


_EFFECT_CLASSES: tuple[Literal["read_only", "idempotent", "at_most_once"], ...] = (
    "read_only",
    "idempotent",
    "at_most_once",
)


class Ranks:
    """Hands out settlement ranks, after those that were taken before."""

    def __init__(self, taken: int = 0) -> None:
        self._next = taken

    def take(self) -> int:
        rank = self._next
        self._next += 1
        return rank


class ToolCalls:
    """Runs the tool calls of one turn, one by one.

    Args:
        services: What all drivers share.
        agent: Whose tools they are.
        activities: Where what happens is shown.
        attachments: Where tools put bytes.
        session_id, turn_id: Of the turn.
        context: The JSON that the caller gave the turn for its tools.
        recorded: Hashes of envelopes by replay key, for the calls that were recorded before this drive.
    """

    def __init__(
        self,
        services: RuntimeServices,
        agent: BoundAgent,
        activities: TurnActivities,
        attachments: SessionAttachments,
        *,
        session_id: str,
        turn_id: str,
        context: Json,
        recorded: Mapping[str, str] | None = None,
    ) -> None:
        self._recorded = recorded or {}
        self._services = services
        self._agent = agent
        self._activities = activities
        self._attachments = attachments
        self._session_id = session_id
        self._turn_id = turn_id
        self._context = context
        self._approvals = TurnApprovals(services, agent, activities, session_id=session_id, turn_id=turn_id)
        self.cancellation = Cancellation()
        self.stored: set[str] = set()  # ids of the attachments that came out of calls

    def prepare(
        self, call: ToolCallPart, invocation: RuntimeInvocation
    ) -> RuntimeEffectEnvelope | CompletedToolCall:
        """Freeze a call, or return the result of one that cannot be run. Nothing runs yet."""
        prepared = self._agent.tools.prepare(call)
        if isinstance(prepared, CompletedToolCall):
            return self._as_recorded(call, invocation) or prepared
        return RuntimeEffectEnvelope(invocation, ToolCall(prepared))

    def _as_recorded(self, call: ToolCallPart, invocation: RuntimeInvocation) -> RuntimeEffectEnvelope | None:
        """Return the envelope of a call that was recorded when its tool was still there.

        Tools of plugins come and go, and a call that has run has its result all the same.
        """
        recorded = self._recorded.get(invocation.replay_key or "")
        if recorded is None or call.name in self._agent.tools:
            return None
        for effect in _EFFECT_CLASSES:
            prepared = PreparedToolCall(
                call_id=call.call_id, tool_name=call.name, args=call.args, effect=effect
            )
            envelope = RuntimeEffectEnvelope(invocation, ToolCall(prepared))
            if envelope.stable_hash() == recorded:
                return envelope
        return None

    async def run(
        self,
        envelope: RuntimeEffectEnvelope,
        execute: ExecuteEffect,
        ranks: Ranks,
        *,
        approval_reason: str | None = None,
    ) -> CompletedToolCall:
        """Run a frozen call, or find that it was run.

        Args:
            envelope: The call.
            execute: Runs or replays one effect.
            ranks: Numbers the settlements.
            approval_reason: Why a plugin wants a person to agree to it, if one does.

        Raises:
            EffectParked: It waits for an approval, or for what its tool waits for. Nothing is recorded.
        """
        executor = RuntimeEffectLocalExecutor.of(self._body(ranks, execute), gate=self._gate(approval_reason))
        outcome = await execute(envelope, executor)
        assert isinstance(outcome, ToolCallOutcome), "a tool call answers with its outcome"
        self.stored.update(ref.id for ref in outcome.result.attachments)
        return outcome.result

    async def withdraw(self, envelope: RuntimeEffectEnvelope) -> None:
        """Stop what was started for a call that is not begun any more."""
        await self._stop_children(envelope)

    def announce(self, result: CompletedToolCall, args: dict[str, Json], *, replayed: bool) -> None:
        """Show how a call ended."""
        record = ToolCallRecord(
            call_id=result.call_id,
            name=result.tool_name,
            args=args,
            result=result.content,
            is_error=result.is_error,
            attempts=result.attempts,
            duration_ms=result.duration_ms,
            settled_rank=result.rank,
            replayed=replayed,
        )
        self._activities.emit(ToolCallCompleted(record), f"tool:{result.call_id}")

    def _gate(self, approval_reason: str | None) -> EffectGate:
        async def ask(envelope: RuntimeEffectEnvelope) -> None:
            await self._approvals.pass_gate(prepared_call(envelope), asked_by_plugin=approval_reason)

        return ask

    def _body(self, ranks: Ranks, execute: ExecuteEffect) -> EffectBody:
        async def run(envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            call = prepared_call(envelope)
            try:
                result = await self._result(call, self._origin(envelope.invocation, call, execute))
            except asyncio.CancelledError:
                if self.cancellation.cancelled:
                    await asyncio.shield(self._stop_children(envelope))
                raise
            if self.cancellation.cancelled and result.is_error:
                await self._stop_children(envelope)
            return ToolCallOutcome(result=result.replace(rank=ranks.take()))

        return run

    async def _result(self, call: PreparedToolCall, origin: CallOrigin) -> CompletedToolCall:
        answer = self._approvals.answer(call)
        if answer is not None:
            refusal = self._approvals.refusal(call, answer)
            if refusal is not None:
                return refusal
            if answer.edited_args is not None:
                call = call.replace(args=answer.edited_args)
        self._activities.emit(
            ToolCallStarted(call.call_id, call.tool_name, call.args), f"tool:{call.call_id}"
        )
        try:
            result = await self._agent.tools.execute(
                call, self._invocation(call, origin, approved=answer is not None)
            )
        except EffectParked as parked:
            if call.effect != "at_most_once":
                raise
            return failed_call(call.call_id, call.tool_name, _cannot_park(call, parked), attempts=1)
        return with_edit_told(result, answer)

    async def _stop_children(self, envelope: RuntimeEffectEnvelope) -> None:
        """Cancel the agents that a call waits for: its turn was cancelled."""
        host = self._services.processes
        if host is not None:
            origin = self._origin(envelope.invocation, prepared_call(envelope), _refuse)
            await host.for_call(origin).withdraw(f"turn {self._turn_id} was cancelled")

    def _origin(
        self, invocation: RuntimeInvocation, call: PreparedToolCall, execute: ExecuteEffect
    ) -> CallOrigin:
        return CallOrigin(
            invocation=invocation,
            execute=execute,
            agent=self._agent.name,
            call_id=call.call_id,
            idempotency_key=self._key(call),
            may_park=call.effect != "at_most_once",
            depth_limit=self._agent.agent.limits.subagent_depth,
        )

    def _key(self, call: PreparedToolCall) -> str:
        return tool_idempotency_key(self._session_id, self._turn_id, call.call_id, call.tool_name)

    def _invocation(self, call: PreparedToolCall, origin: CallOrigin, *, approved: bool) -> ToolInvocation:
        host = self._services.processes

        def progress(payload: Json) -> None:
            self._activities.emit(ToolProgress(call.call_id, payload), f"tool:{call.call_id}")

        return ToolInvocation(
            session_id=self._session_id,
            turn_id=self._turn_id,
            agent=self._agent.name,
            idempotency_key=self._key(call),
            context=self._context,
            attachments=self._attachments,
            progress=progress,
            cancellation=self.cancellation,
            clock=self._services.clock,
            approved=approved,
            processes=None if host is None else lambda: host.for_call(origin),
            emit=tool_emission(self._services, self._key(call)),
        )


def prepared_call(envelope: RuntimeEffectEnvelope) -> PreparedToolCall:
    """Return the call that an envelope of a tool call holds."""
    assert isinstance(envelope.command, ToolCall), "the envelope of a tool call"
    return envelope.command.call


def _cannot_park(call: PreparedToolCall, parked: EffectParked) -> LashError:
    """Return what is told of a tool that may begin only once, and has begun, and would have to begin again."""
    return LashError(
        "tool_cannot_park",
        f"{call.tool_name} waits for {', '.join(parked.wait_keys)}, but it may be started only once, and a tool "
        'that waits is started again when what it waits for has come: declare it @tool(effect="idempotent")',
        wait_keys=list(parked.wait_keys),
    )


async def _refuse(envelope: RuntimeEffectEnvelope, _: RuntimeEffectLocalExecutor) -> RuntimeEffectOutcome:
    """Withdrawing runs no effect of the turn: it only asks what was started to stop."""
    raise AssertionError(f"effect {envelope.effect_id} of a call that is withdrawn")
