"""The ledger of effects: what ran, what did not, and what nobody knows."""

from __future__ import annotations

from lash.contracts import EffectJournal
from lash.effects import encode_outcome
from lash.errors import ErrorRecord, LashError
from lash.values import (
    CompletedToolCall,
    EffectFilter,
    EffectRecord,
    EffectResult,
    EffectState,
    Json,
    RuntimeEffectKind,
    ToolCallOutcome,
)


class EffectLedger:
    """Lists effects and settles the unknown ones.

    Args:
        journal: Where effects are recorded.
    """

    def __init__(self, journal: EffectJournal) -> None:
        self._journal = journal

    async def list(
        self,
        *,
        session_id: str | None = None,
        turn_id: str | None = None,
        state: EffectState | None = None,
        after: Json = None,
        limit: int = 100,
    ) -> tuple[list[EffectRecord], Json]:
        """Return a page of effects in the order in which they were started, and the cursor of the next."""
        where = EffectFilter(session_id=session_id, turn_id=turn_id, state=state)
        return await self._journal.list_effects(where, after=after, limit=limit)

    async def settle(
        self, replay_key: str, *, result: Json = None, error: str | None = None, settled_by: str
    ) -> EffectRecord:
        """Say how an effect ended that nobody knows the end of.

        A turn that has not been told yet gets this as the call's outcome when it is driven on; one that
        was told "unknown" keeps what it was told, and the ledger keeps the verdict.

        Args:
            replay_key: Which effect, as the ledger shows it.
            result: What the call gave back.
            error: Or why it failed.
            settled_by: Who says so.

        Raises:
            LashError: `effect_unknown_key`; `effect_not_unknown`; `effect_not_a_tool_call`;
                `effect_key_ambiguous` when several sessions have an effect of that key.
        """
        record = await self._one(replay_key)
        if record.identity.kind is not RuntimeEffectKind.TOOL_CALL:
            raise LashError(
                "effect_not_a_tool_call",
                f"{replay_key!r} is a {record.identity.kind.value}; only tool calls can be settled by hand",
                replay_key=replay_key,
            )
        completed = CompletedToolCall(
            call_id=record.identity.effect_id.partition(":")[2],
            tool_name=record.identity.label,
            content=result if error is None else error,
            error=None if error is None else ErrorRecord(code="settled_as_failed", message=error),
        )
        verdict = EffectResult(
            state=EffectState.DONE if error is None else EffectState.FAILED,
            outcome=encode_outcome(ToolCallOutcome(result=completed)),
        )
        return await self._journal.settle_effect(
            record.identity.scope, replay_key, verdict, settled_by=settled_by
        )

    async def _one(self, replay_key: str) -> EffectRecord:
        found = await self._journal.find_effects_by_key(replay_key)
        if not found:
            raise LashError(
                "effect_unknown_key",
                f"no effect is recorded under {replay_key!r}; `lash effects` lists them",
                replay_key=replay_key,
            )
        if len(found) > 1:
            raise LashError(
                "effect_key_ambiguous",
                f"{len(found)} scopes have an effect under {replay_key!r}",
                replay_key=replay_key,
            )
        return found[0]
