"""Spend limits: whether one more model call may be made."""

from __future__ import annotations

from lash.agents import Limits
from lash.values import PersistedTurnState, TokenUsage, TurnIssue


def spent_budget(limits: Limits, before: PersistedTurnState, turn: TokenUsage) -> TurnIssue | None:
    """Return what is used up, or None.

    Args:
        limits: The agent's.
        before: The session's state before this turn; its usage is what all earlier turns spent.
        turn: What this turn has spent so far.
    """
    if limits.turn_tokens is not None and turn.total >= limits.turn_tokens:
        return _issue("turn", turn.total, limits.turn_tokens)
    session_total = before.token_usage.total + turn.total
    if limits.session_tokens is not None and session_total >= limits.session_tokens:
        return _issue("session", session_total, limits.session_tokens)
    return None


def _issue(scope: str, spent: int, limit: int) -> TurnIssue:
    return TurnIssue(
        kind="budget",
        code="budget_exhausted",
        message=f"the {scope} has spent {spent} of {limit} tokens; raise the agent's limits to go on",
        facts={"scope": scope, "spent": spent, "limit": limit},
    )
