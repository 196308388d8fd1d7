"""Approvals inside a turn: a call that needs one passes its gate when there is an answer.

The gate comes before the call's intent is written, so a call that waits has not begun. The answer is read from
the durable wait whenever the call is asked for again; once the call has begun, its own record decides.
"""

from __future__ import annotations

import msgspec

from lash.contracts import DurableWaits, EffectParked
from lash.errors import LashError
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.approvals import (
    approval_key,
    approval_of,
    approvals_scope,
    args_hash,
    expired_answer,
)
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.services import RuntimeServices
from lash.tools import failed_call
from lash.values import (
    Approval,
    ApprovalAnswer,
    ApprovalAnswered,
    ApprovalQuestion,
    ApprovalRequested,
    CompletedToolCall,
    FailTurn,
    PreparedToolCall,
    WaitDraft,
    canonical_json,
    plain,
)


class TurnApprovals:
    """Asks for approvals of the calls of one turn, and knows what was answered."""

    def __init__(
        self,
        services: RuntimeServices,
        agent: BoundAgent,
        activities: TurnActivities,
        *,
        session_id: str,
        turn_id: str,
    ) -> None:
        self._services = services
        self._agent = agent
        self._activities = activities
        self._session_id = session_id
        self._turn_id = turn_id
        self._answers: dict[str, ApprovalAnswer] = {}

    async def pass_gate(self, call: PreparedToolCall, *, asked_by_plugin: str | None = None) -> None:
        """Return when the call needs no approval, or has an answer, whichever it is.

        Args:
            call: The call, with the arguments that it would run with.
            asked_by_plugin: Why a plugin wants a person to look at it, if one does.

        Raises:
            EffectParked: Nobody has answered yet.
        """
        key = approval_key(self._session_id, self._turn_id, call.call_id)
        if not await self._is_asked(call, key, by_plugin=asked_by_plugin is not None):
            return
        question = self._question(call, asked_by_plugin or "")
        limits = self._agent.agent.limits
        deadline_ms = None
        if limits.approval_expiry_ms is not None:
            deadline_ms = self._services.clock.now_ms() + limits.approval_expiry_ms
        record = await self._services.database.durable_waits.open_wait(
            WaitDraft(
                key=key,
                scope_key=approvals_scope(self._session_id),
                kind="approval",
                deadline_ms=deadline_ms,
                on_timeout=plain(expired_answer(question.args_hash)),
                detail=plain(question),
            )
        )
        approval = approval_of(record)
        if approval.answer is None:
            self._announce_question(approval)
            raise EffectParked([key])
        self._answers[call.call_id] = approval.answer
        self._announce_answer(approval, approval.answer)

    def answer(self, call: PreparedToolCall) -> ApprovalAnswer | None:
        """Return what was said of a call that has passed its gate; None when nobody had to be asked."""
        return self._answers.get(call.call_id)

    def refusal(self, call: PreparedToolCall, answer: ApprovalAnswer) -> CompletedToolCall | None:
        """Return the result of a call that may not run, for the model; None when it may."""
        if answer.args_hash != args_hash(call.args):
            return self._failed(
                call,
                "approval_stale",
                "the answer was given for other arguments; ask for the call again to have it looked at",
            )
        match answer.decision:
            case "approved":
                return None
            case "denied":
                who = f" by {answer.by}" if answer.by else ""
                why = f": {answer.reason}" if answer.reason else ""
                return self._failed(call, "approval_denied", f"it was denied{who}{why}")
            case "expired":
                result = self._failed(call, "approval_expired", "nobody has approved it in time")
                if self._agent.agent.limits.on_approval_expiry == "fail_turn":
                    failure = f"the approval of {call.tool_name} expired"
                    return result.replace(control=plain(FailTurn(failure=failure)))
                return result

    async def _is_asked(self, call: PreparedToolCall, key: str, *, by_plugin: bool) -> bool:
        """Whether a person must look at the call. One that was asked about stays asked about."""
        tool = self._agent.tools.get(call.tool_name)
        if by_plugin or tool is None:
            return by_plugin
        if not callable(tool.approval):
            return tool.approval
        try:
            asked = tool.needs_approval(call.args)
        except Exception:  # noqa: BLE001  # the tool's own function: running the call reports it as its failure
            return False
        return asked or await self._services.database.durable_waits.get_wait(key) is not None

    def _question(self, call: PreparedToolCall, reason: str) -> ApprovalQuestion:
        tool = self._agent.tools.get(call.tool_name)
        return ApprovalQuestion(
            session_id=self._session_id,
            turn_id=self._turn_id,
            call_id=call.call_id,
            agent=self._agent.name,
            tool=call.tool_name,
            args=call.args,
            args_hash=args_hash(call.args),
            input_schema={} if tool is None else tool.spec.input_schema,
            reason=reason,
        )

    def _failed(self, call: PreparedToolCall, code: str, why: str) -> CompletedToolCall:
        error = LashError(code, f"{call.tool_name} was not run: {why}")
        return failed_call(call.call_id, call.tool_name, error, attempts=0)

    def _announce_question(self, approval: Approval) -> None:
        question = approval.question
        self._activities.emit(
            ApprovalRequested(
                approval_id=approval.id,
                call_id=question.call_id,
                tool=question.tool,
                args=question.args,
                args_hash=question.args_hash,
                expires_at_ms=approval.expires_at_ms,
                reason=question.reason,
            ),
            f"tool:{question.call_id}",
        )

    def _announce_answer(self, approval: Approval, answer: ApprovalAnswer) -> None:
        self._activities.emit(
            ApprovalAnswered(
                approval_id=approval.id,
                call_id=approval.question.call_id,
                decision=answer.decision,
                by=answer.by,
                reason=answer.reason,
                edited_args=answer.edited_args,
            ),
            f"tool:{approval.question.call_id}",
        )


async def withdraw_open(waits: DurableWaits, session_id: str, turn_id: str) -> None:
    """Take back what a turn that was ended has asked of people: nobody need answer it any more."""
    after: str | None = None
    while page := await waits.list_waits(
        kind="approval", scope_key=approvals_scope(session_id), after=after, limit=100
    ):
        after = page[-1].key
        for record in page:
            question = approval_of(record).question
            if question.turn_id == turn_id or question.turn_id.startswith(f"{turn_id}:agent-frame:"):
                answer = ApprovalAnswer(
                    decision="denied", args_hash=question.args_hash, reason="the turn was ended"
                )
                await waits.resolve_wait(record.key, plain(answer))


def with_edit_told(result: CompletedToolCall, answer: ApprovalAnswer | None) -> CompletedToolCall:
    """Return a result that tells the model of the arguments that a person changed."""
    if answer is None or answer.edited_args is None:
        return result
    args = canonical_json(answer.edited_args).decode()
    note = f"[a person approved this call with other arguments: {args}]"
    if isinstance(result.content, str):
        return result.replace(content=f"{note}\n{result.content}")
    return result.replace(content={"note": note, "result": msgspec.to_builtins(result.content)})
