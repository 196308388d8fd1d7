"""One run of a durable function: from its start, through what is recorded, to its end or to where it waits.

The function's task is driven here. It is let go of (`parked`) when everything that it does is to wait, for
longer than the grace; when the machinery fails (`broken`); or when the runtime stops. Whatever the function does
then, in `finally` or elsewhere, nothing durable happens any more: each operation ends in `FunctionDropped`.

A request to cancel is delivered once, at the operations that wait at that moment, or at the next new one, and
recorded there: a run that is repeated is cancelled at the same place. After it, operations work as before, so that
a function can undo what it has done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from lash.contracts import RuntimeEffectLocalExecutor
from lash.errors import ErrorRecord, LashError
from lash.runtime.processes.awaiting import Resolved, find_resolved, first_resolved
from lash.runtime.processes.engine import ProcessParked, ProcessRun
from lash.runtime.processes.operations import History, Operation, Places
from lash.runtime.processes.quiet import Quiet
from lash.runtime.processes.replay_order import ReplayOrder
from lash.values import (
    AwaitEvent,
    AwaitEventOutcome,
    CompletedToolCall,
    EffectRecord,
    Json,
    PreparedToolCall,
    RuntimeEffectCommand,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    ToolCall,
    ToolCallOutcome,
)

_log = logging.getLogger("lash.runtime")

T = TypeVar("T")

_CLEANUP_S = 5.0  # how long a function that was let go of may take to unwind
_CANCELLED = "process_cancelled"


class FunctionDropped(asyncio.CancelledError):
    """The function was let go of: it will be run again. Nothing durable may happen until then."""


class FunctionCancelled(asyncio.CancelledError):
    """Somebody has asked the process to stop."""


class FunctionRun:
    """Drives one run.

    Args:
        context: What the worker gives.
        recorded: The journal of the process, as it was when the run began.
        grace_s: How long the function may wait in memory before it is let go of.
    """

    def __init__(self, context: ProcessRun, recorded: Sequence[EffectRecord], *, grace_s: float) -> None:
        self.context = context
        self.process_id = context.process.id
        self.places = Places(self.process_id)
        self._history = History(self.process_id, recorded)
        self._order = ReplayOrder(self._history.ranks)
        self._next_rank = max(self._history.ranks, default=-1) + 1
        self._quiet = Quiet(grace_s, self._park)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._interrupts: set[asyncio.Future[None]] = set()
        self._cancel_delivered = False
        self._stopped: asyncio.Future[BaseException] | None = None

    # ---- the whole run

    async def finish(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the function returns.

        Raises:
            ProcessParked: it waits.
            FunctionCancelled: it has ended because it was asked to.
            LashError: the machinery failed, or the code does not fit what is recorded: as `MachineryFailed`.
            Exception: what the function raises.
        """
        stopped = self._stopped = asyncio.get_running_loop().create_future()
        main = asyncio.create_task(self._main(function), name=f"lash-{self.process_id}")
        unsubscribe = self.context.cancellation.subscribe(self._interrupt)
        try:
            await asyncio.wait([main, stopped], return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                raise stopped.result()
            return await self._result_of(main)
        finally:
            unsubscribe()
            self._quiet.close()
            if not stopped.done():
                stopped.set_result(FunctionDropped("its run is over"))
            await self._let_go(main)

    async def _main(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self.places.begin()
        value = await function()
        self._check_open()
        try:
            self._history.check_end(self.places.asked)
        except LashError as problem:
            raise self._break(problem) from problem
        return value

    async def _result_of(self, main: asyncio.Task[T]) -> T:
        if main.cancelled():
            if self._cancel_delivered:
                raise FunctionCancelled
            raise LashError(
                "process_failed", f"the function of process {self.process_id!r} was cancelled from inside"
            )
        return main.result()

    async def _let_go(self, main: asyncio.Task[Any]) -> None:
        """End the function and every task of it that still asks for something; its cleanup does nothing durable."""
        left = {task for task in (main, *self._tasks, *self.places.tasks) if not task.done()}
        for task in left:
            task.cancel()
        if left:
            _, left = await asyncio.wait(left, timeout=_CLEANUP_S)
        if left:
            _log.error("the function of process %r does not end although it was cancelled", self.process_id)
        if main.done() and not main.cancelled():
            main.exception()  # whatever its cleanup raised: its next run decides

    # ---- operations

    async def value(
        self,
        operation: Operation,
        body: Callable[[], Awaitable[Json]],
        *,
        key: str = "",
        wait_keys: Sequence[str] = (),
    ) -> Json:
        """Return the value of an operation that is no step: recorded, or what `body` returns now.

        Args:
            operation: Which one.
            body: Gives the value. It does nothing that others see, or does it under a key of its own.
            key: What it is about; part of what a repeat must agree in.
            wait_keys: The durable waits that it waits for: while everything waits, the function may be parked.
        """

        async def run(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            value = await body()
            return AwaitEventOutcome(value={"value": value, "rank": self._take_rank()})

        def cancelled() -> RuntimeEffectOutcome:
            return AwaitEventOutcome(value={"error": _CANCELLED, "rank": self._take_rank()})

        command = AwaitEvent(key=key or operation.effect_id)
        kind = RuntimeEffectKind.AWAIT_EVENT
        outcome = await self._perform(operation, kind, command, run, cancelled if wait_keys else None)
        assert isinstance(outcome, AwaitEventOutcome), "such an operation answers with its value"
        answer = outcome.value
        assert isinstance(answer, dict), "made above"
        if answer.get("error") == _CANCELLED:
            self._cancel_delivered = True
            raise FunctionCancelled
        return answer["value"]

    async def wait(self, operation: Operation, keys: Sequence[str]) -> Resolved:
        """Return the first of these waits that is over, parking the function meanwhile if it takes long."""

        async def body() -> Json:
            database = self.context.services.database
            # Looked at before it counts as waiting: however short the grace, what is over is found.
            found = await find_resolved(database, keys)
            if found is None:
                with self._quiet.waiting(keys):
                    found = await first_resolved(database, keys)
            return {"key": found.key, "value": found.value, "timed_out": found.timed_out}

        answer = await self.value(operation, body, key=keys[0], wait_keys=keys)
        assert isinstance(answer, dict), "made above"
        return Resolved(key=answer["key"], value=answer["value"], timed_out=answer["timed_out"])

    async def step(
        self,
        operation: Operation,
        call: PreparedToolCall,
        body: Callable[[], Awaitable[CompletedToolCall]],
    ) -> CompletedToolCall:
        """Return how a step ended: recorded, or as it ends now."""

        async def run(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            result = await body()
            return ToolCallOutcome(result=result.replace(rank=self._take_rank()))

        def cancelled() -> RuntimeEffectOutcome:
            error = ErrorRecord(code=_CANCELLED, message="the process was cancelled meanwhile")
            return ToolCallOutcome(
                result=CompletedToolCall(
                    call_id=call.call_id, tool_name=call.tool_name, error=error, rank=self._take_rank()
                )
            )

        # An at-most-once step runs to its end: cut off, nobody would know what it has done.
        interrupted = None if call.effect == "at_most_once" else cancelled
        if call.effect != "read_only" and not self._recorded(operation):
            await self.guarded(self.context.drain())
        outcome = await self._perform(
            operation, RuntimeEffectKind.TOOL_CALL, ToolCall(call), run, interrupted
        )
        assert isinstance(outcome, ToolCallOutcome), "a step answers as a tool call does"
        error = outcome.result.error
        if error is not None and error.code == _CANCELLED and interrupted is not None:
            self._cancel_delivered = True
            raise FunctionCancelled
        return outcome.result

    async def command(
        self, operation: Operation, envelope: RuntimeEffectEnvelope, executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        """Run or replay a process command; what it refuses is the function's to handle."""
        self._check_open()
        recorded = self._recorded(operation)
        with self._quiet.doing():
            if not recorded:
                await self.guarded(self.context.drain())
            try:
                return await self.context.effects.execute_effect(envelope, executor)
            except LashError as problem:
                if is_machinery(problem):
                    raise self._break(problem) from problem
                raise
            finally:
                self._check_open()

    async def _perform(
        self,
        operation: Operation,
        kind: RuntimeEffectKind,
        command: RuntimeEffectCommand,
        run: Callable[[RuntimeEffectEnvelope], Awaitable[RuntimeEffectOutcome]],
        cancelled: Callable[[], RuntimeEffectOutcome] | None,
    ) -> RuntimeEffectOutcome:
        self._check_open()
        invocation = RuntimeInvocation.effect(
            self.runtime_scope, operation.effect_id, kind, operation.replay_key
        )
        envelope = RuntimeEffectEnvelope(invocation, command)
        recorded = self._recorded(operation)
        with self._quiet.doing():
            rank = self._history.rank(operation) if recorded else None
            if rank is not None:
                await self._order.turn(rank)
                self._check_open()
            must_stop = self.context.cancellation.cancelled and not self._cancel_delivered
            if not recorded and cancelled is not None and must_stop:
                return await self._execute(operation, envelope, _always(cancelled))
            if recorded or cancelled is None:
                return await self._execute(operation, envelope, run)
            return await self._interruptible(operation, envelope, run, cancelled)

    async def _interruptible(
        self,
        operation: Operation,
        envelope: RuntimeEffectEnvelope,
        run: Callable[[RuntimeEffectEnvelope], Awaitable[RuntimeEffectOutcome]],
        cancelled: Callable[[], RuntimeEffectOutcome],
    ) -> RuntimeEffectOutcome:
        interrupt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        work = asyncio.create_task(self._execute(operation, envelope, run))
        self._interrupts.add(interrupt)
        try:
            both: list[asyncio.Future[Any]] = [work, interrupt]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
        finally:
            self._interrupts.discard(interrupt)
            if not work.done():
                work.cancel()
                await asyncio.wait([work])
        return await self._execute(operation, envelope, _always(cancelled))

    async def _execute(
        self,
        operation: Operation,
        envelope: RuntimeEffectEnvelope,
        run: Callable[[RuntimeEffectEnvelope], Awaitable[RuntimeEffectOutcome]],
    ) -> RuntimeEffectOutcome:
        task = asyncio.current_task()
        assert task is not None, "operations are asked for in tasks"
        self._tasks.add(task)
        try:
            return await self.context.effects.execute_effect(envelope, RuntimeEffectLocalExecutor.of(run))
        except LashError as problem:
            if problem.code == "effect_replay_hash_conflict":
                problem = self._history.mismatch(
                    operation.label, operation.label, operation.place, problem.facts.get("fields", ())
                )
            raise self._break(problem) from problem
        finally:
            self._tasks.discard(task)
            self._check_open()

    async def guarded(self, work: Awaitable[T]) -> T:
        """Return what the machinery gives; its failure is not the function's to see."""
        with self._quiet.doing():
            try:
                return await work
            except LashError as problem:
                raise self._break(problem) from problem

    @property
    def runtime_scope(self) -> RuntimeScope:
        """The coordinates of what the function does."""
        return RuntimeScope(session_id=self.context.process.provenance.owner_scope.session_id)

    def is_over(self, operation: Operation) -> bool:
        """Whether the operation has a result that it will answer with."""
        self._check_open()
        return self._recorded(operation)

    # ---- what state the run is in

    def _recorded(self, operation: Operation) -> bool:
        try:
            return self._history.is_recorded(operation)
        except LashError as problem:
            raise self._break(problem) from problem

    def _check_open(self) -> None:
        if self._stopped is None or self._stopped.done():
            raise FunctionDropped

    def _break(self, problem: LashError) -> BaseException:
        self._stop(MachineryFailed(problem))
        return FunctionDropped()

    def _stop(self, why: BaseException) -> None:
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(why)

    def _interrupt(self) -> None:
        """Somebody asks the process to stop: tell what waits."""
        if self._cancel_delivered:
            return
        for interrupt in self._interrupts:
            if not interrupt.done():
                interrupt.set_result(None)

    def _take_rank(self) -> int:
        rank = self._next_rank
        self._next_rank += 1
        return rank

    def _park(self, keys: tuple[str, ...]) -> None:
        self._stop(ProcessParked(keys))


class MachineryFailed(Exception):
    """The run was ended by what is not the function's fault: `problem` says what."""

    def __init__(self, problem: LashError) -> None:
        super().__init__(str(problem))
        self.problem = problem


def is_machinery(problem: LashError) -> bool:
    """Whether a failure says something of the storage or the lease, and nothing of what was asked."""
    return problem.code.startswith(("store_", "effect_replay_")) or problem.code in (
        "process_lease_lost",
        "runtime_closed",
        "stored_data_corrupt",
    )


def _always(
    make: Callable[[], RuntimeEffectOutcome],
) -> Callable[[RuntimeEffectEnvelope], Awaitable[RuntimeEffectOutcome]]:
    async def run(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        return make()

    return run
