"""A turn, as its caller has it: something to await, to watch, to cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

from lash.runtime import ActivitySubscription
from lash.values import (
    CancelAnswer,
    StopReason,
    TokenUsage,
    ToolCallRecord,
    TurnDraft,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnIssue,
)


class TurnHost(Protocol):
    """What a turn needs of the runtime that it belongs to."""

    async def finish_turn(self, draft: TurnDraft, output_type: Any) -> TurnResult: ...
    def watch_turn(self, session_id: str, turn_id: str) -> ActivitySubscription: ...
    async def cancel_turn(self, session_id: str, turn_id: str) -> CancelAnswer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResult:
    """How a turn ended. All of it is committed.

    Attributes:
        text: The final answer.
        output: The typed answer, converted to the type that was asked for; None without one.
        usage: Tokens of all model calls of the turn.
        stop: Why the turn ended before its natural end (`cancelled`, `max_turns`, …); None if it did not.
        tool_calls: Every call that the model asked for, in that order.
        issues: What went wrong, whether or not it ended the turn.
        turn_id: The turn's id; the same id again returns this same result.
        head_revision: The session's revision with this turn in it.
        model_calls: How many answers of the model the turn took.
        replayed_effects: Keys of the effects that came from the journal: an earlier process had paid for them.
        replayed: Whether the turn was committed before this call: nothing was run for it.
    """

    text: str
    turn_id: str
    head_revision: int
    output: Any = None
    usage: TokenUsage = field(default_factory=TokenUsage)
    stop: StopReason | None = None
    tool_calls: tuple[ToolCallRecord, ...] = ()
    issues: tuple[TurnIssue, ...] = ()
    model_calls: int = 0
    replayed_effects: tuple[str, ...] = ()
    replayed: bool = False


class Turn:
    """One turn. `await` it for the result, or iterate `events()`; both may be done, in any order.

    It begins at the first of the two. Letting go of it does not end it: once accepted, a turn runs to its
    commit, in this process or in the next one. `cancel` ends it.
    """

    def __init__(self, host: TurnHost, draft: TurnDraft, output_type: Any = None) -> None:
        self._host = host
        self._draft = draft
        self._output_type = output_type
        self._task: asyncio.Task[TurnResult] | None = None

    @property
    def id(self) -> str:
        """The turn's id: an idempotency key, and the address for cancelling it from anywhere."""
        return self._draft.turn_id

    def __await__(self) -> Generator[Any, None, TurnResult]:
        return self._result().__await__()

    async def events(self) -> AsyncIterator[TurnEvent]:
        """Yield what the turn shows while it runs; the last event is `TurnFinished`.

        A turn that another process drives shows only how it ends.

        Raises:
            LashError: what `await turn` raises.
        """
        watcher = self._host.watch_turn(self._draft.session_id, self.id)
        task = self._start()
        task.add_done_callback(lambda _: watcher.close())
        finished = False
        try:
            async for event in watcher:
                if isinstance(event.activity, TurnFinished | TurnFailed):
                    continue  # shown below, once the commit is confirmed
                yield event
            result = await asyncio.shield(task)
            finished = True
        finally:
            watcher.close()
        if finished:
            yield _finished_event(self._draft, result)

    async def cancel(self) -> CancelAnswer:
        """Ask the turn to end. What it has done so far is committed, with stop `cancelled`."""
        return await self._host.cancel_turn(self._draft.session_id, self.id)

    async def _result(self) -> TurnResult:
        # Shielded: a caller that goes away does not take the turn with it.
        return await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[TurnResult]:
        if self._task is None:
            self._task = asyncio.create_task(
                self._host.finish_turn(self._draft, self._output_type), name=f"lash-turn-{self.id}"
            )
            self._task.add_done_callback(_note_error)
        return self._task


def _note_error(task: asyncio.Task[TurnResult]) -> None:
    """Mark an error as seen: a caller that let go of a turn does not want it, the worker has logged it."""
    if not task.cancelled():
        task.exception()


def _finished_event(draft: TurnDraft, result: TurnResult) -> TurnEvent:
    return TurnEvent(
        id=f"{draft.turn_id}:finished",
        correlation_id=draft.turn_id,
        session_id=draft.session_id,
        turn_id=draft.turn_id,
        activity=TurnFinished(
            turn_id=result.turn_id,
            text=result.text,
            stop=result.stop,
            usage=result.usage,
            head_revision=result.head_revision,
        ),
    )
