"""Inline, journaled and recording hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lash.backends.memory import MemoryDatabase
from lash.contracts import EffectHost, RuntimeEffectLocalExecutor
from lash.effects import InlineEffectHost, JournaledEffectHost, RecordingEffectHost
from lash.errors import LashError
from lash.values import (
    DurabilityTier,
    EffectScope,
    ExecCode,
    ExecCodeOutcome,
    ExecResponse,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeScope,
    Sleep,
    SleepOutcome,
)

SCOPE = EffectScope.runtime_operation("op")


class SettableClock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.at_ms = 1_000
        self._moved = asyncio.Event()

    def now_ms(self) -> int:
        return self.at_ms

    def advance(self, by_ms: int) -> None:
        self.at_ms += by_ms
        self._moved.set()

    async def sleep_until(self, at_ms: int) -> None:
        while self.at_ms < at_ms:
            self._moved.clear()
            await self._moved.wait()


def code(effect_id: str, text: str = "1") -> RuntimeEffectEnvelope:
    return RuntimeEffectEnvelope(
        RuntimeInvocation.effect(
            RuntimeScope(session_id="s"), effect_id, RuntimeEffectKind.EXEC_CODE, f"k:{effect_id}"
        ),
        ExecCode(code=text),
    )


def sleep(duration_ms: int) -> RuntimeEffectEnvelope:
    return RuntimeEffectEnvelope(
        RuntimeInvocation.effect(RuntimeScope(session_id="s"), "z", RuntimeEffectKind.SLEEP, "k:z"),
        Sleep(duration_ms=duration_ms),
    )


def answering(value: Any, runs: list[Any] | None = None) -> RuntimeEffectLocalExecutor:
    async def body(_: RuntimeEffectEnvelope) -> ExecCodeOutcome:
        if runs is not None:
            runs.append(value)
        return ExecCodeOutcome(result=ExecResponse(terminal_finish=value))

    return RuntimeEffectLocalExecutor.of(body)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def database(clock: SettableClock) -> MemoryDatabase:
    return MemoryDatabase(clock=clock)


@pytest.fixture
def journaled(database: MemoryDatabase, clock: SettableClock) -> JournaledEffectHost:
    return host_of(database, clock, "owner-1")


def host_of(database: MemoryDatabase, clock: SettableClock, owner_id: str) -> JournaledEffectHost:
    return JournaledEffectHost(
        database.effect_journal, clock=clock, owner_id=owner_id, subscribe=database.subscribe
    )


@pytest.mark.parametrize("make", [InlineEffectHost, RecordingEffectHost])
def test_blank_scopes_are_refused_when_they_are_selected(make: Callable[[], EffectHost]) -> None:
    for scope in (
        EffectScope.turn(" ", "t"),
        EffectScope.turn("s", ""),
        EffectScope.process(""),
        EffectScope.queue_drain("", "d"),
        EffectScope.session_delete("\t"),
        EffectScope.runtime_operation(""),
    ):
        with pytest.raises(LashError) as caught:
            make().scoped(scope)
        assert caught.value.code == "missing_effect_scope_id"


async def test_inline_host_runs_every_time() -> None:
    runs: list[Any] = []
    controller = InlineEffectHost().scoped(SCOPE)
    await controller.execute_effect(code("1"), answering("a", runs))
    outcome = await controller.execute_effect(code("1"), answering("b", runs))
    assert runs == ["a", "b"]
    assert outcome == ExecCodeOutcome(result=ExecResponse(terminal_finish="b"))


async def test_journaled_host_runs_once_and_replays(journaled: JournaledEffectHost) -> None:
    runs: list[Any] = []
    controller = journaled.scoped(SCOPE)
    first = await controller.execute_effect(code("1"), answering({"n": 1.0}, runs))
    again = await controller.execute_effect(code("1"), answering("other", runs))
    assert first == again
    assert runs == [{"n": 1.0}]
    assert journaled.durability_tier is DurabilityTier.DURABLE


async def test_scopes_of_one_display_id_do_not_share_history(journaled: JournaledEffectHost) -> None:
    one = journaled.scoped(EffectScope.turn("a", "t1"))
    other = journaled.scoped(EffectScope.turn("b", "t1"))
    assert one.scope_id == other.scope_id
    first = await one.execute_effect(code("1"), answering("a"))
    second = await other.execute_effect(code("1"), answering("b"))
    assert first != second


async def test_two_effects_can_be_inside_their_executors_at_once(journaled: JournaledEffectHost) -> None:
    both = asyncio.Barrier(2)

    async def body(envelope: RuntimeEffectEnvelope) -> ExecCodeOutcome:
        await both.wait()
        return ExecCodeOutcome(result=ExecResponse(terminal_finish=envelope.effect_id))

    executor = RuntimeEffectLocalExecutor.of(body)
    controller = journaled.scoped(SCOPE)
    outcomes = await asyncio.gather(
        controller.execute_effect(code("1"), executor), controller.execute_effect(code("2"), executor)
    )
    assert [o.result.terminal_finish for o in outcomes] == ["1", "2"]  # type: ignore[union-attr]


async def test_second_arrival_waits_for_the_first_and_gets_its_outcome(
    database: MemoryDatabase, clock: SettableClock
) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(_: RuntimeEffectEnvelope) -> ExecCodeOutcome:
        entered.set()
        await leave.wait()
        return ExecCodeOutcome(result=ExecResponse(terminal_finish="first"))

    runs: list[Any] = []
    one = host_of(database, clock, "owner-1").scoped(SCOPE)
    two = host_of(database, clock, "owner-2").scoped(SCOPE)
    first = asyncio.ensure_future(one.execute_effect(code("1"), RuntimeEffectLocalExecutor.of(slow)))
    await entered.wait()
    second = asyncio.ensure_future(two.execute_effect(code("1"), answering("second", runs)))
    leave.set()
    assert await first == await second
    assert runs == []


async def test_cancelled_effect_is_not_recorded_and_can_run_at_once(
    database: MemoryDatabase, clock: SettableClock
) -> None:
    entered = asyncio.Event()

    async def forever(_: RuntimeEffectEnvelope) -> ExecCodeOutcome:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError("never")

    controller = host_of(database, clock, "owner-1").scoped(SCOPE)
    task = asyncio.ensure_future(controller.execute_effect(code("1"), RuntimeEffectLocalExecutor.of(forever)))
    await entered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    outcome = (
        await host_of(database, clock, "owner-2").scoped(SCOPE).execute_effect(code("1"), answering("later"))
    )
    assert outcome == ExecCodeOutcome(result=ExecResponse(terminal_finish="later"))


async def test_sleep_keeps_its_due_time_over_a_restart(
    database: MemoryDatabase, clock: SettableClock
) -> None:
    first = asyncio.ensure_future(
        host_of(database, clock, "owner-1")
        .scoped(SCOPE)
        .execute_effect(sleep(100), RuntimeEffectLocalExecutor.unavailable())
    )
    while not await database.effect_journal.load_effects(SCOPE):
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    clock.advance(60)
    second = asyncio.ensure_future(
        host_of(database, clock, "owner-2")
        .scoped(SCOPE)
        .execute_effect(sleep(100), RuntimeEffectLocalExecutor.unavailable())
    )
    for _ in range(20):
        await asyncio.sleep(0)
    assert not second.done()
    clock.advance(40)
    assert await second == SleepOutcome()


async def test_strict_replay_refuses_what_is_not_recorded(journaled: JournaledEffectHost) -> None:
    controller = journaled.scoped(SCOPE)
    recorded = await controller.execute_effect(code("1"), answering("kept"))
    journaled.start_replay()
    replayed = await controller.execute_effect(code("1"), RuntimeEffectLocalExecutor.unavailable())
    assert replayed == recorded
    with pytest.raises(LashError) as caught:
        await controller.execute_effect(code("2"), answering("never"))
    assert caught.value.code == "effect_replay_missing"


async def test_other_code_under_the_same_key_is_a_conflict_that_names_it(
    journaled: JournaledEffectHost,
) -> None:
    controller = journaled.scoped(SCOPE)
    await controller.execute_effect(code("1", "old"), answering("x"))
    with pytest.raises(LashError) as caught:
        await controller.execute_effect(code("1", "new"), answering("x"))
    assert (caught.value.code, caught.value.fields) == ("effect_replay_hash_conflict", ["command.code"])


async def test_missing_executor_is_named_and_not_recorded(journaled: JournaledEffectHost) -> None:
    controller = journaled.scoped(SCOPE)
    with pytest.raises(LashError) as caught:
        await controller.execute_effect(code("1"), RuntimeEffectLocalExecutor.unavailable())
    assert caught.value.code == "runtime_effect_local_executor_unavailable"
    outcome = await controller.execute_effect(code("1"), answering("now"))
    assert outcome == ExecCodeOutcome(result=ExecResponse(terminal_finish="now"))


async def test_recording_host_answers_sleeps_and_notes_everything() -> None:
    host = RecordingEffectHost()
    controller = host.scoped(SCOPE)
    assert (
        await controller.execute_effect(sleep(5), RuntimeEffectLocalExecutor.unavailable()) == SleepOutcome()
    )
    with pytest.raises(LashError) as caught:
        await controller.execute_effect(code("1"), answering("x"))
    assert caught.value.code == "recording_effect_host_unsupported_command"
    assert host.selected_scopes() == [SCOPE]
    first, second = host.records()
    assert (first.effect_id, first.effect_kind, first.replay_key) == ("z", RuntimeEffectKind.SLEEP, "k:z")
    assert first.runtime_scope == RuntimeScope(session_id="s")
    assert second.envelope_hash == code("1").stable_hash()


async def test_claim_that_somebody_took_over_ends_the_work_and_the_other_outcome_stands(
    database: MemoryDatabase, clock: SettableClock
) -> None:
    entered, ended = asyncio.Event(), asyncio.Event()

    async def slow(_: RuntimeEffectEnvelope) -> ExecCodeOutcome:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError("never")

    paused = JournaledEffectHost(
        database.effect_journal,
        clock=clock,
        owner_id="paused",
        subscribe=database.subscribe,
        claim_ttl_ms=300,
    )
    first = asyncio.ensure_future(
        paused.scoped(SCOPE).execute_effect(code("1"), RuntimeEffectLocalExecutor.of(slow))
    )
    await entered.wait()
    clock.advance(1_000)  # the claim has run out before it could be renewed
    other = (
        await host_of(database, clock, "other").scoped(SCOPE).execute_effect(code("1"), answering("theirs"))
    )
    with pytest.raises(LashError) as caught:
        await first
    assert caught.value.code == "effect_replay_lease_lost"
    assert ended.is_set()
    again = await paused.scoped(SCOPE).execute_effect(code("1"), answering("mine"))
    assert again == other


async def test_claim_is_renewed_while_the_work_goes_on(
    database: MemoryDatabase, clock: SettableClock
) -> None:
    renewed, leave = asyncio.Event(), asyncio.Event()
    journal = database.effect_journal

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(journal, name)

        async def renew_effect_claim(self, claim: Any, *, ttl_ms: int) -> Any:
            extended = await journal.renew_effect_claim(claim, ttl_ms=ttl_ms)
            assert extended.expires_at_ms == clock.now_ms() + ttl_ms
            renewed.set()
            return extended

    async def slow(_: RuntimeEffectEnvelope) -> ExecCodeOutcome:
        clock.advance(20)
        await renewed.wait()
        await leave.wait()
        return ExecCodeOutcome(result=ExecResponse(terminal_finish="kept"))

    host = JournaledEffectHost(
        Watched(),  # type: ignore[arg-type]
        clock=clock,
        owner_id="w",
        subscribe=database.subscribe,
        claim_ttl_ms=30,
    )
    work = asyncio.ensure_future(
        host.scoped(SCOPE).execute_effect(code("1"), RuntimeEffectLocalExecutor.of(slow))
    )
    await renewed.wait()
    leave.set()
    assert await work == ExecCodeOutcome(result=ExecResponse(terminal_finish="kept"))
