"""The tool calls of one answer: a batch at once, each call an effect of its own.

The calls of a batch start together and end in any order; the order in which they settled is recorded with
them, so that a batch that is driven again reports the same one. What the model is told comes in call order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from lash.contracts import EffectParked
from lash.errors import LashError
from lash.runtime.tool_calls import ExecuteEffect, Ranks, ToolCalls, prepared_call
from lash.runtime.tool_hooks import HookedThrough, ToolHooks
from lash.tools import failed_call
from lash.turn import RunTools
from lash.values import (
    AttachmentItem,
    CausedByEffect,
    CompletedToolCall,
    Json,
    PreparedToolCall,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeScope,
    ToolCallPart,
    TurnInput,
)


@dataclass(frozen=True, slots=True)
class ToolBatch:
    """One batch, ready to run: the effects of the calls that can be run, the answers of those that cannot."""

    envelopes: dict[str, RuntimeEffectEnvelope]
    refused: tuple[CompletedToolCall, ...]
    calls: tuple[ToolCallPart, ...]  # with the arguments that hooks have left
    scope: RuntimeScope
    effect_id: str
    approval_reasons: dict[str, str | None]

    @property
    def prepared(self) -> tuple[PreparedToolCall, ...]:
        return tuple(prepared_call(envelope) for envelope in self.envelopes.values())

    @property
    def replay_keys(self) -> tuple[str, ...]:
        return tuple(envelope.replay_key for envelope in self.envelopes.values())

    def args_of(self, call_id: str) -> dict[str, Json]:
        """Return the arguments of a call."""
        return next((call.args for call in self.calls if call.call_id == call_id), {})


class ToolBatches:
    """Runs the batches of one turn.

    Args:
        calls: Runs single calls.
        hooks: What plugins do before and after them; None where there are no plugins.
    """

    def __init__(self, calls: ToolCalls, hooks: ToolHooks | None = None) -> None:
        self.calls = calls
        self.hooks = hooks
        self._running: list[asyncio.Task[CompletedToolCall | EffectParked]] = []

    def cancel(self) -> None:
        """Tell the running tools to stop."""
        self.calls.cancellation.cancel()

    def interrupt(self) -> None:
        """End the tools that did not stop by themselves. Their calls get a result that says so."""
        for task in self._running:
            task.cancel()

    async def prepare(self, effect: RunTools, scope: RuntimeScope, parent_key: str) -> ToolBatch:
        """Freeze a batch: ask the before-hooks, check arguments, make the envelopes. No tool runs yet.

        Raises:
            PluginStopError: A plugin ends the turn.
            TurnCancelledError: The turn is cancelled before the hooks have been asked.
        """
        envelopes: dict[str, RuntimeEffectEnvelope] = {}
        refused: list[CompletedToolCall] = []
        calls: list[ToolCallPart] = []
        reasons: dict[str, str | None] = {}
        for asked in effect.calls:
            through = HookedThrough(asked)
            if self.hooks is not None:
                through = await self.hooks.before(asked, scope, str(effect.effect_id))
            call = through.call
            calls.append(call)
            reasons[call.call_id] = through.approval_reason
            invocation = RuntimeInvocation.effect(
                scope,
                f"{effect.effect_id}:{call.call_id}",
                RuntimeEffectKind.TOOL_CALL,
                f"{parent_key}:{call.call_id}",
                CausedByEffect(scope.session_id, str(effect.effect_id), scope.turn_id),
            )
            match through.result or self.calls.prepare(call, invocation):
                case CompletedToolCall() as result:
                    refused.append(result)
                case RuntimeEffectEnvelope() as envelope:
                    envelopes[call.call_id] = envelope
        return ToolBatch(envelopes, tuple(refused), tuple(calls), scope, str(effect.effect_id), reasons)

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
            PluginStopError: A plugin ends the turn.
        """
        ranks = Ranks(sum(key in recorded for key in batch.replay_keys) + len(batch.refused))
        refused = tuple(result.replace(rank=rank) for rank, result in enumerate(batch.refused))
        for result in refused:
            self._announce(batch, result, replayed=False)
        tasks = [
            asyncio.create_task(
                self._unbegun(batch, prepared_call(envelope), ranks)
                if only_recorded and envelope.replay_key not in recorded
                else self._one(batch, envelope, execute, replayed, ranks)
            )
            for envelope in batch.envelopes.values()
        ]
        results = await self._all(tasks, batch, ranks)
        parked = [one for one in results if isinstance(one, EffectParked)]
        if parked:
            raise EffectParked(tuple(dict.fromkeys(key for one in parked for key in one.wait_keys)))
        settled = (*refused, *(one for one in results if not isinstance(one, EffectParked)))
        return await self._past_hooks(batch, settled, replayed)

    def _announce(self, batch: ToolBatch, result: CompletedToolCall, *, replayed: bool) -> None:
        """Show how a call ended, unless a hook may still change what is shown."""
        if self.hooks is None or not self.hooks.may_change_results:
            self.calls.announce(result, batch.args_of(result.call_id), replayed=replayed)

    async def _past_hooks(
        self, batch: ToolBatch, settled: tuple[CompletedToolCall, ...], replayed: Collection[str]
    ) -> tuple[CompletedToolCall, ...]:
        """Return the results as the after-hooks leave them, asked in call order, and show them."""
        if self.hooks is None or not self.hooks.may_change_results:
            return settled
        by_id = {result.call_id: result for result in settled}
        results: list[CompletedToolCall] = []
        for call in batch.calls:
            result = await self.hooks.after(call, by_id[call.call_id], batch.scope, batch.effect_id)
            envelope = batch.envelopes.get(call.call_id)
            is_replayed = envelope is not None and envelope.replay_key in replayed
            self.calls.announce(result, call.args, replayed=is_replayed)
            results.append(result)
        return tuple(results)

    async def withdraw(self, batch: ToolBatch, recorded: Collection[str]) -> None:
        """Stop what was started for the calls of a cancelled turn that have not ended."""
        for envelope in batch.envelopes.values():
            if envelope.replay_key not in recorded:
                await self.calls.withdraw(envelope)

    def attachment_ids(self, input_: TurnInput | None) -> tuple[str, ...]:
        """Return every attachment that the turn took in or made: its commit makes them permanent."""
        given = (
            {item.ref.id for item in input_.items if isinstance(item, AttachmentItem)} if input_ else set()
        )
        return tuple(sorted(given | self.calls.stored))

    async def _all(
        self, tasks: list[asyncio.Task[CompletedToolCall | EffectParked]], batch: ToolBatch, ranks: Ranks
    ) -> list[CompletedToolCall | EffectParked]:
        self._running = tasks
        try:
            if tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._running = []
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [_result(task, call, ranks) for task, call in zip(tasks, batch.prepared, strict=True)]

    async def _one(
        self,
        batch: ToolBatch,
        envelope: RuntimeEffectEnvelope,
        execute: ExecuteEffect,
        replayed: Collection[str],
        ranks: Ranks,
    ) -> CompletedToolCall | EffectParked:
        try:
            call_id = prepared_call(envelope).call_id
            result = await self.calls.run(
                envelope, execute, ranks, approval_reason=batch.approval_reasons.get(call_id)
            )
        except EffectParked as parked:
            return parked  # the other calls of the batch go on to their end
        self._announce(batch, result, replayed=envelope.replay_key in replayed)
        return result

    async def _unbegun(
        self, batch: ToolBatch, call: PreparedToolCall, ranks: Ranks
    ) -> CompletedToolCall | EffectParked:
        """Return the result of a call that is not begun any more."""
        error = LashError("tool_cancelled", f"{call.tool_name} was not run: the turn was cancelled")
        result = failed_call(call.call_id, call.tool_name, error, attempts=0).replace(rank=ranks.take())
        self._announce(batch, result, replayed=False)
        return result


def _result(
    task: asyncio.Task[CompletedToolCall | EffectParked], call: PreparedToolCall, ranks: Ranks
) -> CompletedToolCall | EffectParked:
    """Return what a call gave; for one that was interrupted, a result that says so."""
    if not task.cancelled():
        return task.result()
    interrupted = LashError(
        "tool_cancelled",
        f"{call.tool_name} was interrupted because the turn was cancelled; it may or may not have taken effect",
    )
    return failed_call(call.call_id, call.tool_name, interrupted, attempts=1).replace(rank=ranks.take())
