"""The tool calls of one turn: a batch at once, each call an effect of its own.

The calls of a batch start together and end in any order; the order in which they settled is recorded with
them, so that a batch that is driven again reports the same one. What the model is told comes in call order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from lash.contracts import EffectBody, EffectParked, RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent
from lash.tools import Cancellation, ToolInvocation, failed_call, tool_idempotency_key
from lash.turn import RunTools
from lash.values import (
    AttachmentItem,
    CausedByEffect,
    Clock,
    CompletedToolCall,
    Json,
    PreparedToolCall,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    ToolCall,
    ToolCallCompleted,
    ToolCallOutcome,
    ToolCallPart,
    ToolCallRecord,
    ToolCallStarted,
    ToolProgress,
    TurnInput,
)

ExecuteEffect = Callable[[RuntimeEffectEnvelope, RuntimeEffectLocalExecutor], Awaitable[RuntimeEffectOutcome]]


@dataclass(frozen=True, slots=True)
class ToolBatch:
    """One batch, ready to run: the effects of the calls that can be run, the answers of those that cannot."""

    envelopes: dict[str, RuntimeEffectEnvelope]
    refused: tuple[CompletedToolCall, ...]
    calls: tuple[ToolCallPart, ...]

    @property
    def prepared(self) -> tuple[PreparedToolCall, ...]:
        return tuple(
            envelope.command.call
            for envelope in self.envelopes.values()
            if isinstance(envelope.command, ToolCall)
        )

    @property
    def replay_keys(self) -> tuple[str, ...]:
        return tuple(envelope.replay_key for envelope in self.envelopes.values())


class ToolBatches:
    """Runs the tool calls of one turn."""

    def __init__(
        self,
        agent: BoundAgent,
        activities: TurnActivities,
        clock: Clock,
        attachments: SessionAttachments,
        *,
        session_id: str,
        turn_id: str,
        context: Json,
    ) -> None:
        self._agent = agent
        self._activities = activities
        self._clock = clock
        self._attachments = attachments
        self._session_id = session_id
        self._turn_id = turn_id
        self._context = context
        self._cancellation = Cancellation()
        self._stored: set[str] = set()
        self._running: list[asyncio.Task[CompletedToolCall | EffectParked]] = []

    def cancel(self) -> None:
        """Tell the running tools to stop."""
        self._cancellation.cancel()

    def interrupt(self) -> None:
        """End the tools that did not stop by themselves. Their calls get a result that says so."""
        for task in self._running:
            task.cancel()

    def prepare(self, effect: RunTools, scope: RuntimeScope, parent_key: str) -> ToolBatch:
        """Freeze a batch: check arguments, make the envelopes. Nothing runs yet."""
        envelopes: dict[str, RuntimeEffectEnvelope] = {}
        refused: list[CompletedToolCall] = []
        for call in effect.calls:
            prepared = self._agent.tools.prepare(call)
            if isinstance(prepared, CompletedToolCall):
                refused.append(prepared)
                continue
            invocation = RuntimeInvocation.effect(
                scope,
                f"{effect.effect_id}:{call.call_id}",
                RuntimeEffectKind.TOOL_CALL,
                f"{parent_key}:{call.call_id}",
                CausedByEffect(self._session_id, str(effect.effect_id), self._turn_id),
            )
            envelopes[call.call_id] = RuntimeEffectEnvelope(invocation, ToolCall(prepared))
        return ToolBatch(envelopes, tuple(refused), effect.calls)

    async def settle(
        self,
        batch: ToolBatch,
        execute: ExecuteEffect,
        replayed: Collection[str],
        recorded: Collection[str],
        *,
        only_recorded: bool = False,
    ) -> tuple[CompletedToolCall, ...]:
        """Run a batch, or find that it was run.

        Args:
            batch: What `prepare` gave.
            execute: Runs or replays one effect.
            replayed: Keys of the effects that came from the journal; filled by `execute`.
            recorded: Keys that were recorded before this driver began: their ranks are taken.
            only_recorded: Begin nothing: the turn is cancelled. Calls without a record get a result that says so.

        Returns:
            One result a call, in any order.

        Raises:
            EffectParked: Calls wait for something, and all others have ended. Names every wait.
        """
        ranks = _Ranks(sum(key in recorded for key in batch.replay_keys) + len(batch.refused))
        for rank, result in enumerate(batch.refused):
            self._announce(batch, result.replace(rank=rank), replayed=False)
        unbegun = [e for e in batch.envelopes.values() if only_recorded and e.replay_key not in recorded]
        tasks = [
            asyncio.create_task(
                self._unbegun(batch, envelope, ranks)
                if envelope in unbegun
                else self._one(batch, envelope, execute, replayed, ranks)
            )
            for envelope in batch.envelopes.values()
        ]
        self._running = tasks
        try:
            if tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._running = []
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        results = [_result(task, call, ranks) for task, call in zip(tasks, batch.prepared, strict=True)]
        parked = [one for one in results if isinstance(one, EffectParked)]
        if parked:
            raise EffectParked(tuple(dict.fromkeys(key for one in parked for key in one.wait_keys)))
        refused = (result.replace(rank=rank) for rank, result in enumerate(batch.refused))
        return (*refused, *(one for one in results if not isinstance(one, EffectParked)))

    def attachment_ids(self, input_: TurnInput | None) -> tuple[str, ...]:
        """Return every attachment that the turn took in or made: its commit makes them permanent."""
        given = (
            {item.ref.id for item in input_.items if isinstance(item, AttachmentItem)} if input_ else set()
        )
        return tuple(sorted(given | self._stored))

    async def _one(
        self,
        batch: ToolBatch,
        envelope: RuntimeEffectEnvelope,
        execute: ExecuteEffect,
        replayed: Collection[str],
        ranks: _Ranks,
    ) -> CompletedToolCall | EffectParked:
        try:
            outcome = await execute(envelope, RuntimeEffectLocalExecutor.of(self._body(ranks)))
        except EffectParked as parked:
            return parked  # the other calls of the batch go on to their end
        assert isinstance(outcome, ToolCallOutcome), "a tool call answers with its outcome"
        result = outcome.result
        self._stored.update(ref.id for ref in result.attachments)
        self._announce(batch, result, replayed=envelope.replay_key in replayed)
        return result

    async def _unbegun(
        self, batch: ToolBatch, envelope: RuntimeEffectEnvelope, ranks: _Ranks
    ) -> CompletedToolCall:
        """Return the result of a call that is not begun any more."""
        assert isinstance(envelope.command, ToolCall), "the envelope of a tool call"
        call = envelope.command.call
        error = LashError("tool_cancelled", f"{call.tool_name} was not run: the turn was cancelled")
        result = failed_call(call.call_id, call.tool_name, error, attempts=0).replace(rank=ranks.take())
        self._announce(batch, result, replayed=False)
        return result

    def _body(self, ranks: _Ranks) -> EffectBody:
        async def run(envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            assert isinstance(envelope.command, ToolCall), "the envelope of a tool call"
            call = envelope.command.call
            self._activities.emit(
                ToolCallStarted(call.call_id, call.tool_name, call.args), f"tool:{call.call_id}"
            )
            try:
                result = await self._agent.tools.execute(call, self._invocation(call))
            except EffectParked as parked:
                if call.effect != "at_most_once":
                    raise
                result = failed_call(call.call_id, call.tool_name, _cannot_park(call, parked), attempts=1)
            return ToolCallOutcome(result=result.replace(rank=ranks.take()))

        return run

    def _invocation(self, call: PreparedToolCall) -> ToolInvocation:
        def progress(payload: Json) -> None:
            self._activities.emit(ToolProgress(call.call_id, payload), f"tool:{call.call_id}")

        return ToolInvocation(
            session_id=self._session_id,
            turn_id=self._turn_id,
            agent=self._agent.name,
            idempotency_key=tool_idempotency_key(
                self._session_id, self._turn_id, call.call_id, call.tool_name
            ),
            context=self._context,
            attachments=self._attachments,
            progress=progress,
            cancellation=self._cancellation,
            clock=self._clock,
        )

    def _announce(self, batch: ToolBatch, result: CompletedToolCall, *, replayed: bool) -> None:
        args = next((call.args for call in batch.calls if call.call_id == result.call_id), {})
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


class _Ranks:
    """Hands out settlement ranks, after those that were taken before."""

    def __init__(self, taken: int) -> None:
        self._next = taken

    def take(self) -> int:
        rank = self._next
        self._next += 1
        return rank


def _cannot_park(call: PreparedToolCall, parked: EffectParked) -> LashError:
    """Return what is told of a tool that may begin only once, and has begun, and would have to begin again."""
    return LashError(
        "tool_cannot_park",
        f"{call.tool_name} waits for {', '.join(parked.wait_keys)}, but it may be started only once, and a tool "
        'that waits is started again when what it waits for has come: declare it @tool(effect="idempotent")',
        wait_keys=list(parked.wait_keys),
    )


def _result(
    task: asyncio.Task[CompletedToolCall | EffectParked], call: PreparedToolCall, ranks: _Ranks
) -> CompletedToolCall | EffectParked:
    """Return what a call gave; for one that was interrupted, a result that says so."""
    if not task.cancelled():
        return task.result()
    interrupted = LashError(
        "tool_cancelled",
        f"{call.tool_name} was interrupted because the turn was cancelled; it may or may not have taken effect",
    )
    return failed_call(call.call_id, call.tool_name, interrupted, attempts=1).replace(rank=ranks.take())
