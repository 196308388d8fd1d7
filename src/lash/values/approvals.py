"""Approvals: a tool call that waits for a person, as an addressed record, and what the person said."""

from __future__ import annotations

from typing import Literal

from lash.values.record import Json, JsonRecord

ApprovalState = Literal["pending", "approved", "denied", "expired"]


class ApprovalAnswer(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What was said of a call. `args_hash` names the arguments that it was said of."""

    decision: Literal["approved", "denied", "expired"]
    args_hash: str
    edited_args: dict[str, Json] | None = None
    reason: str = ""
    by: str | None = None


class ApprovalQuestion(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What is asked: may this call run with these arguments? Kept with the wait."""

    session_id: str
    turn_id: str
    call_id: str
    agent: str
    tool: str
    args: dict[str, Json]
    args_hash: str
    input_schema: dict[str, Json] = {}
    reason: str = ""


class Approval(JsonRecord, frozen=True, kw_only=True, eq=False):
    """One approval as its readers see it. It is kept as long as its session."""

    id: str
    question: ApprovalQuestion
    requested_at_ms: int
    expires_at_ms: int | None = None
    state: ApprovalState = "pending"
    answer: ApprovalAnswer | None = None
    answered_at_ms: int | None = None
