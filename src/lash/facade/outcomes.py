"""Waiting for turns: whoever drives them, here or in another process."""

from __future__ import annotations

import asyncio
from typing import Any

from lash.contracts import Database, Subscription
from lash.errors import LashError
from lash.facade.results import result_of_driven, result_of_receipt
from lash.facade.turn import TurnResult
from lash.runtime import DrivenTurn, ParkedTurn, Worker
from lash.values import TurnDraft, TurnReceipt, TurnState

_LOOK_AROUND_MS = 1_000
# How a driver learns that another one has the turn, or has committed it in the meantime.
_TAKEN_OVER = frozenset({"session_lease_lost", "runtime_turn_commit_conflict"})


class TurnOutcomes:
    """Finds the results of accepted turns.

    Args:
        database: Where they are committed.
        worker: What drives turns here.
    """

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker

    async def wait_for(
        self,
        draft: TurnDraft,
        expected: asyncio.Future[DrivenTurn | ParkedTurn],
        output_type: Any,
        *,
        claimed: bool,
    ) -> TurnResult:
        """Return the result of an accepted turn once there is one, wherever it is driven.

        Args:
            draft: What was accepted.
            expected: The result to come, should the turn be driven here.
            output_type: What its typed answer is converted to.
            claimed: Whether the turn was taken up here when it was accepted.

        Raises:
            LashError: what keeps the turn from being finished here; `turn_gone` when its session was
                deleted meanwhile.
        """
        if claimed:
            driven = await self._driven(expected)
            if driven is not None:
                return result_of_driven(driven, output_type)
            expected = self._worker.expect(draft.session_id, draft.turn_id)
        subscription = self._database.subscribe([f"session:{draft.session_id}"])
        try:
            while True:
                found = await self._settled(draft, output_type)
                if found is not None:
                    return found
                if await self._first(subscription, expected):
                    driven = await self._driven(expected)
                    if driven is not None:
                        return result_of_driven(driven, output_type)
                    expected = self._worker.expect(draft.session_id, draft.turn_id)
        finally:
            subscription.close()

    async def _driven(self, expected: asyncio.Future[DrivenTurn | ParkedTurn]) -> DrivenTurn | None:
        """Return what was driven here; None when the turn is parked, or another driver has taken it over."""
        try:
            driven = await expected
        except LashError as problem:
            if problem.code not in _TAKEN_OVER:
                raise
            return None
        return driven if isinstance(driven, DrivenTurn) else None

    async def _first(
        self, subscription: Subscription, expected: asyncio.Future[DrivenTurn | ParkedTurn]
    ) -> bool:
        """Wait for a change of the session or for the expected result; return whether the latter is there."""
        rung = asyncio.ensure_future(subscription.wait(timeout_ms=_LOOK_AROUND_MS))
        try:
            both: list[asyncio.Future[Any]] = [expected, rung]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rung.cancel()
            await asyncio.gather(rung, return_exceptions=True)
        return expected.done()

    async def _settled(self, draft: TurnDraft, output_type: Any) -> TurnResult | None:
        """Return the result of a turn that is over, or None while it is not."""
        if self._worker.find_driver(draft.session_id, draft.turn_id) is not None:
            return None
        status = await self._database.turn_ingress.find_turn(draft.session_id, draft.turn_id)
        match status.state:
            case TurnState.COMMITTED:
                return await self.of_receipt(draft, status.receipt, output_type)
            case TurnState.CANCELLED:
                head = await self._database.session_catalog.find_head(draft.session_id)
                return TurnResult(
                    text="", turn_id=draft.turn_id, head_revision=head.revision, stop="cancelled"
                )
            case TurnState.UNKNOWN:
                raise LashError(
                    "turn_gone",
                    f"turn {draft.turn_id!r} is no longer in session {draft.session_id!r}; "
                    "the session was deleted meanwhile",
                    session_id=draft.session_id,
                    turn_id=draft.turn_id,
                )
            case TurnState.PENDING | TurnState.RUNNING:
                return None

    async def of_receipt(self, draft: TurnDraft, receipt: TurnReceipt | None, output_type: Any) -> TurnResult:
        """Return the result of a committed turn."""
        assert receipt is not None, "a committed turn has a receipt"
        persistence = self._database.runtime_persistence(draft.session_id)
        return await result_of_receipt(persistence, receipt, output_type)
