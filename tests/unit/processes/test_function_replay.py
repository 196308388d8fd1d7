"""A durable function that is cut at every effect, and run again: the same result, and nothing done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.backends import open_database
from lash.contracts import Database, RuntimeEffectLocalExecutor
from lash.effects import LeasedEffects
from lash.errors import LashError
from lash.runtime.processes.function_run import FunctionRun, MachineryFailed
from lash.runtime.processes.replay_order import ReplayOrder
from lash.tools import Cancellation
from lash.values import (
    CompletedToolCall,
    EffectRecord,
    EffectScope,
    ExternalInput,
    PreparedToolCall,
    ProcessProvenance,
    ProcessRecord,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
)

RECORD = ProcessRecord(
    id="p",
    input=ExternalInput(),
    event_types=(),
    provenance=ProcessProvenance(),
    registration_hash="",
    created_at_ms=0,
    updated_at_ms=0,
)
SCOPE = EffectScope.process("p")


class Cut(Exception):
    """The operating-system process ends here."""


class CutEffects:
    """Effects that end with this life at the n-th of them, before or after it is recorded."""

    def __init__(self, inner: LeasedEffects, cut_at: int | None, *, after: bool) -> None:
        self._inner = inner
        self._left = cut_at
        self._after = after
        self.cut = asyncio.Event()

    async def execute_effect(
        self, envelope: RuntimeEffectEnvelope, executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        if self._left is not None and envelope.replay_key not in self._inner._recorded:
            self._left -= 1
            if self._left < 0:
                if self._after:
                    await self._inner.execute_effect(envelope, executor)
                    await self._inner.drain()
                self.cut.set()
                await asyncio.Event().wait()
        return await self._inner.execute_effect(envelope, executor)


class Life:
    """The `ProcessRun` of one life."""

    def __init__(
        self, database: Database, recorded: Sequence[EffectRecord], cut: int | None, *, after: bool
    ) -> None:
        self.process = RECORD
        self.database = database
        self.cancellation = Cancellation()
        self.inner = LeasedEffects(SCOPE, database.effect_journal, lease=None, recorded=recorded)
        self.effects = CutEffects(self.inner, cut, after=after)

    async def drain(self) -> None:
        await self.inner.drain()


Program = Callable[["Asking"], Coroutine[Any, Any, Any]]


class Asking:
    """What a program may do: steps that are counted."""

    def __init__(self, run: FunctionRun, done: Counter[str]) -> None:
        self._run = run
        self._done = done

    def step(self, name: str, effect: str = "idempotent") -> Coroutine[Any, Any, str]:
        operation = self._run.places.take("step", name)
        call = PreparedToolCall(call_id=operation.place, tool_name=name, args={}, effect=effect)  # type: ignore[arg-type]

        async def body() -> CompletedToolCall:
            self._done[f"{name}#{operation.place}"] += 1
            return CompletedToolCall(
                call_id=call.call_id, tool_name=name, content=f"{name}@{operation.place}"
            )

        async def asked() -> str:
            result = await self._run.step(operation, call, body)
            if result.error is not None:
                return result.error.code
            return str(result.content)

        return asked()


async def live(
    database: Database, program: Program, done: Counter[str], cut: int | None, *, after: bool
) -> Any:
    """Run a program until it ends or is cut; a cut one returns `Cut`."""
    recorded = await database.effect_journal.load_effects(SCOPE)
    life = Life(database, recorded, cut, after=after)
    run = FunctionRun(life, recorded, grace_s=60)  # type: ignore[arg-type]  # what a run needs of it
    running = asyncio.ensure_future(run.finish(lambda: program(Asking(run, done))))
    ended = asyncio.ensure_future(life.effects.cut.wait())
    await asyncio.wait([running, ended], return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if running.done():
        await life.drain()
        return running.result()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await life.drain()
    return Cut


async def straight(ask: Asking) -> list[str]:
    return [await ask.step("a"), await ask.step("b"), await ask.step("a")]


async def wide(ask: Asking) -> list[str]:
    async def chain(name: str) -> str:
        return await ask.step(name) + await ask.step(f"{name}'")

    first = await asyncio.gather(*(chain(name) for name in "abc"))
    return [*first, *(await asyncio.gather(ask.step("x"), ask.step("y")))]


async def nested(ask: Asking) -> list[str]:
    async def pair(name: str) -> list[str]:
        return list(await asyncio.gather(chain(f"{name}1"), chain(f"{name}2")))

    async def chain(name: str) -> str:
        return await ask.step(name) + await ask.step(name)

    return [item for items in await asyncio.gather(pair("l"), pair("r")) for item in items]


@pytest.mark.parametrize("program", [straight, wide, nested])
@pytest.mark.parametrize("after", [False, True])
async def test_a_cut_at_any_effect_changes_neither_the_result_nor_what_was_done(
    program: Program, after: bool
) -> None:
    expected: Any = None
    for cut in range(20):
        database = open_database("memory:")
        done: Counter[str] = Counter()
        first = await live(database, program, done, cut, after=after)
        result = await live(database, program, done, None, after=after) if first is Cut else first
        if expected is None:
            expected = result
        assert result == expected
        assert set(done.values()) == {1}
        await database.close()
        if first is not Cut:
            assert cut >= 3
            return
    raise AssertionError("the program has more effects than were cut")


async def test_a_place_with_another_operation_is_a_mismatch() -> None:
    database = open_database("memory:")

    async def before(ask: Asking) -> None:
        await ask.step("a")
        await ask.step("b")

    async def after(ask: Asking) -> None:
        await ask.step("a")
        await ask.step("c")

    await live(database, before, Counter(), None, after=False)
    with pytest.raises(MachineryFailed) as caught:
        await live(database, after, Counter(), None, after=False)
    facts = caught.value.problem.facts
    assert (facts["recorded"], facts["asked"], facts["place"]) == ("step b#1", "step c#1", "2")


async def test_a_context_outside_of_its_function_is_refused() -> None:
    database = open_database("memory:")
    life = Life(database, [], None, after=False)
    run = FunctionRun(life, [], grace_s=60)  # type: ignore[arg-type]  # what a run needs of it
    with pytest.raises(LashError) as caught:
        run.places.take("step", "a")
    assert caught.value.code == "process_context_misplaced"


@settings(deadline=None, max_examples=60)
@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_recorded_results_come_in_their_order_whoever_asks_first(asked: list[int], never: set[int]) -> None:
    """However the ranks are asked for, and if some never are, they come in their order."""

    async def run() -> list[int]:
        order = ReplayOrder(range(6))
        came: list[int] = []

        async def ask(rank: int) -> None:
            await order.turn(rank)
            came.append(rank)

        await asyncio.gather(*(ask(rank) for rank in asked if rank not in never))
        return came

    assert asyncio.run(run()) == [rank for rank in range(6) if rank not in never]
