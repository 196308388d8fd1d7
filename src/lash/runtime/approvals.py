"""Approvals from outside: find the calls that wait for a person, and answer them.

An approval is a durable wait of kind `approval`. It may be answered from any process that opens the database,
in any order, and days later; the first answer stands. An answer is for the arguments that it names: a call
whose arguments are others by then is not run (`approval_stale`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from lash.contracts import DurableWaits
from lash.errors import LashError
from lash.values import (
    Approval,
    ApprovalAnswer,
    ApprovalQuestion,
    Clock,
    EffectScope,
    Json,
    WaitRecord,
    plain,
    stable_hash,
)


def approval_key(session_id: str, turn_id: str, call_id: str) -> str:
    """Return the address of the approval of a call: the key of its wait. Colons inside ids are escaped."""
    parts = (part.replace("%", "%25").replace(":", "%3A") for part in (session_id, turn_id, call_id))
    return ":".join(("approval", *parts))


def approvals_scope(session_id: str) -> str:
    """Return the scope of a session's approvals: that of no turn, so that they go with the session only."""
    return EffectScope.turn(session_id, "").key


def args_hash(args: dict[str, Json]) -> str:
    """Return what an answer names the arguments of a call by."""
    return stable_hash(args)


def approval_of(record: WaitRecord) -> Approval:
    """Return a wait of kind `approval` as the approval that it is.

    Raises:
        LashError: `stored_data_corrupt` when it holds no question or answer.
    """
    try:
        question = msgspec.convert(record.detail, ApprovalQuestion)
        answer = None
        if record.resolved_at_ms is not None:
            answer = msgspec.convert(record.resolution, ApprovalAnswer)
    except msgspec.ValidationError as problem:
        raise LashError(
            "stored_data_corrupt", f"wait {record.key!r} holds no approval: {problem}", key=record.key
        ) from problem
    return Approval(
        id=record.key,
        question=question,
        requested_at_ms=record.opened_at_ms or record.created_at_ms,
        expires_at_ms=record.deadline_ms,
        state="pending" if answer is None else answer.decision,
        answer=answer,
        answered_at_ms=record.resolved_at_ms,
    )


class Approvals:
    """Lists approvals and answers them.

    Args:
        waits: Where they are kept.
        clock: Tells which have expired.
    """

    def __init__(self, waits: DurableWaits, clock: Clock) -> None:
        self._waits = waits
        self._clock = clock

    async def list(
        self,
        *,
        session_id: str | None = None,
        pending_only: bool = True,
        after: str | None = None,
        limit: int = 100,
    ) -> list[Approval]:
        """Return approvals in the order in which they were asked for.

        Args:
            session_id: Only those of this session.
            pending_only: Leave out those that are answered.
            after: The id of the last approval of the page before.
            limit: The most that are returned.
        """
        records = await self._waits.list_waits(
            kind="approval",
            scope_key=None if session_id is None else approvals_scope(session_id),
            open_only=pending_only,
            after=after,
            limit=limit,
        )
        return [approval_of(record) for record in records]

    async def get(self, id: str) -> Approval:
        """Return an approval.

        Raises:
            LashError: `approval_unknown`.
        """
        record = await self._waits.get_wait(id)
        if record is None or record.kind != "approval" or record.opened_at_ms is None:
            raise LashError(
                "approval_unknown",
                f"there is no approval {id!r}; `lash approvals` lists those that wait",
                approval_id=id,
            )
        return approval_of(record)

    async def approve(
        self,
        id: str,
        *,
        edited_args: dict[str, Json] | None = None,
        by: str | None = None,
        args_hash: str | None = None,
    ) -> Approval:
        """Let a call run. The same answer again changes nothing.

        Args:
            id: The approval.
            edited_args: Arguments to run it with instead of the model's; the model is told.
            by: Who says so.
            args_hash: The hash of the arguments that the person was shown (`Approval.question.args_hash`).

        Raises:
            LashError: `approval_unknown`; `approval_answered` when another answer came first;
                `approval_expired`; `approval_stale` when `args_hash` is not that of the call;
                `invalid_tool_args` when the edited arguments do not fit the tool's schema.
        """
        approval = await self._checked(id, args_hash)
        if edited_args is not None:
            _check_edited(approval, edited_args)
        answer = ApprovalAnswer(
            decision="approved", args_hash=approval.question.args_hash, edited_args=edited_args, by=by
        )
        return await self._answer(approval, answer)

    async def deny(
        self, id: str, reason: str = "", *, by: str | None = None, args_hash: str | None = None
    ) -> Approval:
        """Keep a call from running; the model is told the reason.

        Raises:
            LashError: as `approve`.
        """
        approval = await self._checked(id, args_hash)
        answer = ApprovalAnswer(
            decision="denied", args_hash=approval.question.args_hash, reason=reason, by=by
        )
        return await self._answer(approval, answer)

    async def _checked(self, id: str, shown_hash: str | None) -> Approval:
        approval = await self.get(id)
        if shown_hash is not None and shown_hash != approval.question.args_hash:
            raise LashError(
                "approval_stale",
                f"approval {id!r} is for other arguments than the ones that were shown; look at it again",
                approval_id=id,
            )
        expires_at_ms = approval.expires_at_ms
        is_late = expires_at_ms is not None and expires_at_ms <= self._clock.now_ms()
        if approval.state == "pending" and is_late:
            await self._waits.resolve_wait(id, plain(expired_answer(approval.question.args_hash)))
            raise _expired(id)
        return approval

    async def _answer(self, approval: Approval, answer: ApprovalAnswer) -> Approval:
        resolution = await self._waits.resolve_wait(approval.id, plain(answer))
        stored = await self.get(approval.id)
        if not resolution.first and resolution.value != plain(answer):
            assert stored.answer is not None, "it was resolved before"
            if stored.answer.decision == "expired":
                raise _expired(approval.id)
            raise LashError(
                "approval_answered",
                f"approval {approval.id!r} was {stored.answer.decision} by {stored.answer.by or 'somebody'} "
                "before; the first answer stands",
                approval_id=approval.id,
                decision=stored.answer.decision,
            )
        return stored


def expired_answer(hash_: str) -> ApprovalAnswer:
    """Return what an approval that nobody answered in time resolves to."""
    return ApprovalAnswer(decision="expired", args_hash=hash_)


def _check_edited(approval: Approval, edited: Any) -> None:  # what a caller without a type checker may pass
    from jsonschema_rs import Draft202012Validator

    problems = ["the arguments are no JSON object"]
    if isinstance(edited, dict):
        validator = Draft202012Validator(approval.question.input_schema)
        problems = [
            f"at /{'/'.join(map(str, one.instance_path))}: {one.message}"
            for one in validator.iter_errors(edited)
        ]
    if problems:
        raise LashError(
            "invalid_tool_args",
            f"the edited arguments do not fit {approval.question.tool}: {'; '.join(problems[:5])}",
            approval_id=approval.id,
            tool=approval.question.tool,
        )


def _expired(id: str) -> LashError:
    return LashError(
        "approval_expired", f"approval {id!r} has expired; the model was told so", approval_id=id
    )
