"""The engine of agents that work for others: one turn in a session of its own.

The turn is driven as every turn is, by whatever worker serves its agent; the process stands for it. It waits for
the end of the turn, lets go meanwhile, and ends with the answer once what was spent is in the ledgers above.
"""

from __future__ import annotations

from collections.abc import Mapping

from lash.errors import LashError
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.processes.engine import ProcessRun
from lash.runtime.processes.subagents import Subagent
from lash.runtime.processes.usage import count_for_ancestors
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    ProcessAwaitOutput,
    ProcessRecord,
    TurnReceipt,
    TurnState,
    WaitDraft,
    turn_wait_key,
)

# What says that the turn cannot be begun, now or later.
_NEVER_BEGUN = frozenset(
    {"session_deleted", "agent_mismatch", "idempotency_conflict", "process_session_create_failed"}
)


class SessionTurnEngine:
    """Runs session turns.

    Args:
        agents: The agents of this runtime, by name.
    """

    def __init__(self, agents: Mapping[str, BoundAgent]) -> None:
        self._agents = agents

    async def run(self, process: ProcessRecord, context: ProcessRun) -> ProcessAwaitOutput:
        """Have the turn run, and return its answer; see `ProcessEngine`."""
        database = context.services.database
        try:
            child = Subagent(database, process)
            bound = self._agents.get(child.agent)
            await child.begin("" if bound is None else bound.model.spec.id)
        except LashError as problem:
            if problem.code not in _NEVER_BEGUN:
                raise
            return AwaitFailure(failure_class="unavailable", code=problem.code, message=problem.message)
        ingress = database.turn_ingress
        end = turn_wait_key(child.session_id, child.turn_id)
        # Opened before looking: a commit in between resolves it.
        await database.durable_waits.open_wait(
            WaitDraft(key=end, scope_key=context.scope.key, kind="process")
        )
        asked_to_stop = False
        while True:
            if context.cancellation.cancelled and not asked_to_stop:
                asked_to_stop = True
                await ingress.request_cancel(child.session_id, child.turn_id)
            status = await ingress.find_turn(child.session_id, child.turn_id)
            match status.state:
                case TurnState.COMMITTED:
                    assert status.receipt is not None, "a committed turn has a receipt"
                    return await self._finished(child, process, context, status.receipt)
                case TurnState.CANCELLED:
                    return AwaitCancelled(message=context.cancel_reason or "its turn was cancelled")
                case TurnState.UNKNOWN:
                    return AwaitFailure(
                        failure_class="unavailable",
                        code="session_deleted",
                        message=f"session {child.session_id!r} was deleted while its agent worked",
                    )
                case TurnState.PENDING | TurnState.RUNNING:
                    await context.wait_any([end])

    async def _finished(
        self, child: Subagent, process: ProcessRecord, context: ProcessRun, receipt: TurnReceipt
    ) -> ProcessAwaitOutput:
        # Before the end: a crash in between counts it again under the same key, which counts once.
        await count_for_ancestors(context.services.database, child, process, receipt)
        answer = await child.answer(receipt)
        if receipt.stop is None:
            return AwaitSuccess(value=answer)
        if receipt.stop == "cancelled":
            return AwaitCancelled(message=context.cancel_reason or "its turn was cancelled", raw=answer)
        issue = receipt.issues[-1].message if receipt.issues else f"its turn stopped: {receipt.stop}"
        return AwaitFailure(
            failure_class="execution",
            code="subagent_stopped",
            message=f"agent {child.agent} stopped ({receipt.stop}): {issue}",
            raw=answer,
        )
