"""What a program of a turn asks for, done as effects of the turn.

Every request of a program is a leaf effect with a key that is derived from the program's own and from how many
it made before: `{program's key}:{call id}`. A program that is run again asks again and is answered from the
journal. The members of one `await` run side by side; when one of them has to wait for something, the others
are still run to their end, and what came of them is kept in `arrived`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec

from lash.contracts import EffectParked, RuntimeEffectLocalExecutor
from lash.runtime.code.program_world import ProgramWorld
from lash.runtime.code.surface import CodeSurface
from lash.turn import RunTools
from lash.values import (
    AwaitEvent,
    AwaitEventOutcome,
    CompletedToolCall,
    Json,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    ToolCallPart,
    ToolCallRecord,
    WaitDraft,
    plain,
)
from lashlang import Effect, Failed, ModuleArtifact, Ok

Outcome = Ok | Failed

# A sleep up to this long is slept here: giving the turn back and taking it up again costs more.
_SHORT_SLEEP_MS = 1_000


class EndedByTool(Exception):
    """A call asked for the end of the turn: the program is not gone on with."""

    def __init__(self, result: CompletedToolCall) -> None:
        super().__init__(result.call_id)
        self.result = result


class ProgramStopped(Exception):
    """The turn is to end: the program is not gone on with."""


class ProgramRequests(Protocol):
    """Does what programs ask of processes and triggers."""

    def answers(self, request: Effect) -> bool:
        """Whether this is such a request."""
        ...

    async def perform(self, request: Effect, program: ProgramEffects) -> Outcome:
        """Do it.

        Raises:
            EffectParked: It waits for something.
        """
        ...


class ProgramEffects:
    """Answers the requests of one program.

    Args:
        world: Where it runs.
        surface: What it may call.
        effect_id: The effect that it runs for; 0 in a process, which runs one program.
        iteration: The turn's iteration.
        replay_key: What its effects' keys begin with.
        requests: Who does what is neither a tool call nor a sleep, the first that answers.
        module: The stored module of the program, if it declares processes.
    """

    def __init__(
        self,
        world: ProgramWorld,
        surface: CodeSurface,
        *,
        effect_id: int,
        iteration: int,
        replay_key: str,
        requests: Sequence[ProgramRequests] = (),
    ) -> None:
        self.world = world
        self.replay_key = replay_key
        self.effect_id = effect_id
        self.module: ModuleArtifact | None = None
        self.calls: list[ToolCallRecord] = []
        self.arrived: dict[int, Outcome] = {}
        self.answered_bytes = 0
        self.answered = 0
        self._waiting: list[asyncio.Task[None]] = []
        self._others = 0  # how many of those are no tool calls
        self._interrupted = False
        self._iteration = iteration
        self._surface = surface
        self._requests = requests

    async def answer(self, request: Effect, arrived: dict[int, Outcome]) -> Outcome | list[Outcome]:
        """Return the outcome of a request, or of each of its members.

        Args:
            request: What the program asks for.
            arrived: Outcomes of members that are known, by their index.

        Raises:
            EffectParked: Something has to be waited for; `arrived` has what came of the rest.
            EndedByTool: A call asked for the end of the turn.
            ProgramStopped: The turn is to end.
        """
        members = request.members if request.kind == "join" else (request,)
        self.arrived = dict(arrived)
        missing = [(at, member) for at, member in enumerate(members) if at not in self.arrived]
        self._stop_if_asked(missing)
        tools = [(at, member) for at, member in missing if self._tool_of(member) is not None]
        others = [(at, member) for at, member in missing if self._tool_of(member) is None]
        self._others = len(others)
        work = [self._noted(at, self._perform(member)) for at, member in others]
        if tools:
            work.append(self._run_tools(tools))  # the last one: tools are interrupted one by one
        self._waiting = [asyncio.ensure_future(one) for one in work]
        await self._all_ended()
        outcomes = [self.arrived[at] for at in range(len(members))]
        self._measure(outcomes)
        return outcomes if request.kind == "join" else outcomes[0]

    def interrupt(self) -> None:
        """End what the program waits for: calls get a result that says so, everything else is let go of."""
        self._interrupted = True
        self.world.tools.interrupt()
        for task in self._waiting[: self._others]:
            task.cancel()

    async def record(
        self, name: str, body: Callable[[], Awaitable[Json]], *, effect_id: str | None = None
    ) -> Json:
        """Return what `body` gave when it ran, now or before: a leaf effect of the program.

        Args:
            name: Tells the effects of a program apart.
            body: Runs when nothing is recorded.
            effect_id: The effect's id, if it is not to be made of the name.
        """
        key = f"{self.replay_key}:{name}"
        invocation = RuntimeInvocation.effect(
            self.world.runtime_scope,
            effect_id or f"{self.effect_id}:{name}",
            RuntimeEffectKind.AWAIT_EVENT,
            key,
            self.world.caused_by,
        )

        async def run(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            return AwaitEventOutcome(value=await body())

        outcome = await self.world.execute(
            RuntimeEffectEnvelope(invocation, AwaitEvent(key=key)), RuntimeEffectLocalExecutor.of(run)
        )
        assert isinstance(outcome, AwaitEventOutcome), "an event answers with its value"
        return outcome.value

    def is_recorded(self, name: str) -> bool:
        """Whether the effect of that name was recorded before this drive."""
        return f"{self.replay_key}:{name}" in self.world.recorded

    # --- one request

    async def _perform(self, request: Effect) -> Outcome:
        if request.kind == "sleep":
            return await self._sleep(request)
        for one in self._requests:
            if one.answers(request):
                return await one.perform(request, self)
        what = f"`{request.alias}.{request.name}`" if request.kind == "operation" else f"`{request.kind}`"
        return Failed(f"there is nothing behind {what} any more")

    async def _noted(self, at: int, work: Coroutine[Any, Any, Outcome]) -> None:
        self.arrived[at] = await work

    async def _sleep(self, request: Effect) -> Outcome:
        name = f"sleep:{request_number(request)}"
        services = self.world.services
        now_ms = services.clock.now_ms()
        wanted = int(request.payload or 0)
        due_ms = wanted if request.name == "until" else now_ms + wanted

        async def short() -> Json:
            await services.clock.sleep_until(due_ms)
            return None

        async def long() -> Json:
            draft = WaitDraft(
                key=f"sleep:{self.replay_key}:{request_number(request)}",
                scope_key=self.world.effect_scope.key,
                kind="sleep",
                deadline_ms=due_ms,
            )
            wait = await services.database.durable_waits.open_wait(draft)
            if not wait.is_resolved:
                raise EffectParked((wait.key,))
            return None

        await self.record(name, short if due_ms - now_ms <= _SHORT_SLEEP_MS else long)
        return Ok()

    # --- tools

    def _tool_of(self, request: Effect) -> str | None:
        return self._surface.tool_of(request.alias, request.name) if request.kind == "operation" else None

    async def _run_tools(self, requests: list[tuple[int, Effect]]) -> None:
        """Run the tool calls of one request side by side, through the pipeline that all calls go through."""
        world = self.world
        by_id = {f"p{self.effect_id}.{request_number(member)}": at for at, member in requests}
        calls = tuple(
            _call(f"p{self.effect_id}.{request_number(member)}", self._tool_of(member) or "", member.payload)
            for _, member in requests
        )
        batch = await world.tools.prepare(
            RunTools(effect_id=self.effect_id, iteration=self._iteration, calls=calls),
            world.runtime_scope,
            self.replay_key,
        )
        if any(call.effect == "idempotent" for call in batch.prepared):
            # What these calls are made of must be on disk before their keys are used.
            await world.drain()
        # When a call must wait, what ended beside it is in the journal, and is answered from there next time.
        results = await world.tools.settle(
            batch, world.execute, world.replayed, world.recorded, only_recorded=world.stop_requested()
        )
        replayed = {call_id for call_id, one in batch.envelopes.items() if one.replay_key in world.replayed}
        by_call = {result.call_id: result for result in results}
        for call in calls:
            result = by_call[call.call_id]
            self.calls.append(_call_record(call, result, replayed=call.call_id in replayed))
            self.arrived[by_id[call.call_id]] = outcome_of(result)
        ending = next(
            (by_call[call.call_id] for call in calls if by_call[call.call_id].control is not None), None
        )
        if ending is not None:
            raise EndedByTool(ending)

    def _stop_if_asked(self, missing: list[tuple[int, Effect]]) -> None:
        """Do not begin anything once the turn is to end; what is recorded is still replayed."""
        if not self.world.stop_requested():
            return
        prefix = f"{self.replay_key}:"
        names = [f"{prefix}p{self.effect_id}.{request_number(member)}" for _, member in missing]
        if missing and not any(name in self.world.recorded for name in names):
            raise ProgramStopped

    async def _all_ended(self) -> None:
        """Return when everything that is waited for has ended; raise what must be raised, waits last and together."""
        tasks = self._waiting
        try:
            await asyncio.wait(tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        finally:
            self._waiting = []
        if any(task.cancelled() for task in tasks):
            raise ProgramStopped if self._interrupted else asyncio.CancelledError
        problems = [task.exception() for task in tasks]
        for problem in problems:
            if problem is not None and not isinstance(problem, EffectParked):
                raise problem
        keys = [key for problem in problems if isinstance(problem, EffectParked) for key in problem.wait_keys]
        if keys:
            raise EffectParked(tuple(dict.fromkeys(keys)))

    def _measure(self, outcomes: list[Outcome]) -> None:
        self.answered += 1
        for outcome in outcomes:
            self.answered_bytes += 64 + len(msgspec.json.encode(plain(outcome)))


def request_number(request: Effect) -> str:
    """Return which request of its program this is: equal in every run, different within one."""
    return str(request.ordinal) if request.index < 0 else f"{request.ordinal}-{request.index}"


def outcome_of(result: CompletedToolCall) -> Outcome:
    """Return a tool's result as a program gets it."""
    if result.is_error:
        return Failed(str(result.content))
    return Ok(result.content)


def _call(call_id: str, tool: str, payload: Json) -> ToolCallPart:
    """Return a call; one that was not given a record is refused by the pipeline, with a word to the model."""
    if payload is None or payload == {"args": []}:
        return ToolCallPart(call_id=call_id, name=tool)
    if isinstance(payload, dict) and not (payload.keys() == {"args"} and isinstance(payload["args"], list)):
        return ToolCallPart(call_id=call_id, name=tool, args=payload)
    return ToolCallPart(call_id=call_id, name=tool, raw_args=json.dumps(payload))


def _call_record(call: ToolCallPart, result: CompletedToolCall, *, replayed: bool) -> ToolCallRecord:
    return ToolCallRecord(
        call_id=call.call_id,
        name=call.name,
        args=call.args,
        result=result.content,
        is_error=result.is_error,
        attempts=result.attempts,
        duration_ms=result.duration_ms,
        settled_rank=result.rank,
        replayed=replayed,
    )
