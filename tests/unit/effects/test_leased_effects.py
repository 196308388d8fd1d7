"""The controller of a turn that one driver has for itself: written behind, in order, and honest after a crash."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lash.backends.memory import MemoryDatabase
from lash.contracts import RuntimeEffectLocalExecutor
from lash.effects import LeasedEffects
from lash.errors import LashError
from lash.values import (
    Checkpoint,
    CheckpointDelivery,
    CheckpointOutcome,
    CompletedToolCall,
    EffectScope,
    EffectState,
    Message,
    PreparedToolCall,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeScope,
    SessionLease,
    TextPart,
    ToolCall,
    ToolCallOutcome,
)

SCOPE = EffectScope.turn("s", "t")


def tool_call(
    effect_id: str, *, effect: Any = "read_only", args: dict[str, Any] | None = None
) -> RuntimeEffectEnvelope:
    call = PreparedToolCall(call_id=effect_id, tool_name="look", args=args or {}, effect=effect)
    return RuntimeEffectEnvelope(
        RuntimeInvocation.effect(
            RuntimeScope(session_id="s", turn_id="t"),
            effect_id,
            RuntimeEffectKind.TOOL_CALL,
            f"k:{effect_id}",
        ),
        ToolCall(call),
    )


def checkpoint(effect_id: str) -> RuntimeEffectEnvelope:
    return RuntimeEffectEnvelope(
        RuntimeInvocation.effect(
            RuntimeScope(session_id="s", turn_id="t"),
            effect_id,
            RuntimeEffectKind.CHECKPOINT,
            f"k:{effect_id}",
        ),
        Checkpoint(checkpoint="after_work"),
    )


class Body:
    """An executor that counts its runs."""

    def __init__(self, content: Any = "seen", error: BaseException | None = None) -> None:
        self.runs = 0
        self._content = content
        self._error = error

    @property
    def executor(self) -> RuntimeEffectLocalExecutor:
        return RuntimeEffectLocalExecutor.of(self._run)

    async def _run(self, envelope: RuntimeEffectEnvelope) -> Any:
        self.runs += 1
        if self._error is not None:
            raise self._error
        if isinstance(envelope.command, Checkpoint):
            return CheckpointOutcome(delivery=self._content)
        return ToolCallOutcome(
            result=CompletedToolCall(call_id=envelope.effect_id, tool_name="look", content=self._content)
        )


@pytest.fixture
async def database() -> MemoryDatabase:
    database = MemoryDatabase()
    await database.session_catalog.admit_session("s", agent="a")
    return database


async def lease_of(database: MemoryDatabase, owner_id: str = "owner") -> SessionLease:
    return await database.session_leases.claim_session_lease("s", owner_id=owner_id, ttl_ms=60_000)


async def restarted(database: MemoryDatabase) -> LeasedEffects:
    """A controller as the next driver has it: with everything that reached the journal."""
    recorded = await database.effect_journal.load_effects(SCOPE)
    return LeasedEffects(SCOPE, database.effect_journal, lease=None, recorded=recorded)


async def test_recorded_outcome_is_replayed_without_its_executor(database: MemoryDatabase) -> None:
    first = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    outcome = await first.execute_effect(tool_call("1"), Body("one").executor)
    await first.drain()
    body = Body("another")
    again = await (await restarted(database)).execute_effect(tool_call("1"), body.executor)
    assert again == outcome
    assert body.runs == 0


async def test_another_request_under_the_same_key_names_the_field(database: MemoryDatabase) -> None:
    first = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    await first.execute_effect(tool_call("1", args={"path": "a", "deep": 1}), Body().executor)
    await first.drain()
    with pytest.raises(LashError) as caught:
        await (await restarted(database)).execute_effect(
            tool_call("1", args={"path": "b", "deep": 1}), Body().executor
        )
    assert caught.value.code == "effect_replay_hash_conflict"
    assert caught.value.fields == ["command.call.args.path"]


async def test_intent_of_an_at_most_once_call_is_stored_before_it_runs(database: MemoryDatabase) -> None:
    states: list[EffectState] = []

    async def look(envelope: RuntimeEffectEnvelope) -> Any:
        states.extend(line.state for line in await database.effect_journal.load_effects(SCOPE))
        return ToolCallOutcome(result=CompletedToolCall(call_id="1", tool_name="look"))

    effects = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    await effects.execute_effect(tool_call("1", effect="at_most_once"), RuntimeEffectLocalExecutor.of(look))
    assert states == [EffectState.STARTED]


async def test_results_before_an_intent_are_stored_with_it(database: MemoryDatabase) -> None:
    seen: list[str] = []

    async def look(envelope: RuntimeEffectEnvelope) -> Any:
        lines = await database.effect_journal.load_effects(SCOPE)
        seen.extend(f"{line.identity.effect_id} {line.state.value}" for line in lines)
        return ToolCallOutcome(result=CompletedToolCall(call_id="2", tool_name="look"))

    effects = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    await effects.execute_effect(tool_call("1"), Body().executor)
    await effects.execute_effect(tool_call("2", effect="at_most_once"), RuntimeEffectLocalExecutor.of(look))
    assert seen == ["1 done", "2 started"]


async def test_cut_at_most_once_call_becomes_unknown_and_is_not_run(database: MemoryDatabase) -> None:
    crash = Body(error=ConnectionError("the process is gone"))
    first = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    with pytest.raises(ConnectionError):
        await first.execute_effect(tool_call("1", effect="at_most_once"), crash.executor)
    body = Body()
    second = await restarted(database)
    outcome = await second.execute_effect(tool_call("1", effect="at_most_once"), body.executor)
    assert isinstance(outcome, ToolCallOutcome)
    assert outcome.result.error is not None
    assert outcome.result.error.code == "outcome_unknown"
    assert body.runs == 0
    await second.drain()
    (line,) = await database.effect_journal.load_effects(SCOPE)
    assert line.state is EffectState.UNKNOWN
    third = await (await restarted(database)).execute_effect(
        tool_call("1", effect="at_most_once"), body.executor
    )
    assert third == outcome


@pytest.mark.parametrize("effect", ["read_only", "idempotent"])
async def test_cut_repeatable_call_runs_again(database: MemoryDatabase, effect: str) -> None:
    first = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    with pytest.raises(ConnectionError):
        await first.execute_effect(tool_call("1", effect=effect), Body(error=ConnectionError()).executor)
    await first.drain()
    body = Body("now")
    await (await restarted(database)).execute_effect(tool_call("1", effect=effect), body.executor)
    assert body.runs == 1


async def test_final_failure_is_recorded_and_replayed(database: MemoryDatabase) -> None:
    refusal = LashError("card_refused", "the card was refused", card="4711")
    first = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    with pytest.raises(LashError):
        await first.execute_effect(tool_call("1"), Body(error=refusal).executor)
    await first.drain()
    body = Body()
    with pytest.raises(LashError) as caught:
        await (await restarted(database)).execute_effect(tool_call("1"), body.executor)
    assert (caught.value.code, caught.value.facts) == ("card_refused", {"card": "4711"})
    assert body.runs == 0


@pytest.mark.parametrize(
    "failure",
    [
        LashError("store_full", "no space", retryable=True),
        LashError("runtime_effect_local_executor_unavailable"),
        asyncio.CancelledError(),
    ],
)
async def test_failure_of_the_machinery_is_not_recorded(
    database: MemoryDatabase, failure: BaseException
) -> None:
    first = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    with pytest.raises(type(failure)):
        await first.execute_effect(tool_call("1"), Body(error=failure).executor)
    await first.drain()
    assert await database.effect_journal.load_effects(SCOPE) == []


async def test_driver_whose_lease_is_gone_is_refused(database: MemoryDatabase) -> None:
    lease = await lease_of(database, "first")
    await database.session_leases.release_session_lease(lease)
    await lease_of(database, "second")
    effects = LeasedEffects(SCOPE, database.effect_journal, lease=lease)
    body = Body()
    with pytest.raises(LashError) as caught:
        await effects.execute_effect(tool_call("1", effect="at_most_once"), body.executor)
    assert caught.value.code == "session_lease_lost"
    assert body.runs == 0
    with pytest.raises(LashError):
        await effects.execute_effect(tool_call("2"), body.executor)


async def test_empty_checkpoint_before_recorded_work_stays_empty(database: MemoryDatabase) -> None:
    first = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    empty = Body(CheckpointDelivery())
    await first.execute_effect(checkpoint("4"), empty.executor)
    await first.execute_effect(tool_call("6"), Body().executor)
    await first.drain()
    late = Body(CheckpointDelivery(messages=(message("late"),)))
    outcome = await (await restarted(database)).execute_effect(checkpoint("4"), late.executor)
    assert outcome == CheckpointOutcome()
    assert late.runs == 0


async def test_last_empty_checkpoint_is_asked_again(database: MemoryDatabase) -> None:
    first = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    await first.execute_effect(tool_call("2"), Body().executor)
    await first.execute_effect(checkpoint("4"), Body(CheckpointDelivery()).executor)
    await first.drain()
    late = Body(CheckpointDelivery(messages=(message("late"),)))
    outcome = await (await restarted(database)).execute_effect(checkpoint("4"), late.executor)
    assert isinstance(outcome, CheckpointOutcome)
    assert outcome.delivery.messages == (message("late"),)


async def test_what_was_not_written_goes_to_the_commit(database: MemoryDatabase) -> None:
    effects = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    await effects.execute_effect(tool_call("1"), Body().executor)
    (line,) = effects.take_unwritten()
    assert (line.identity.replay_key, line.state) == ("k:1", EffectState.DONE)
    await effects.drain()
    assert await database.effect_journal.load_effects(SCOPE) == []


def message(text: str) -> Message:
    return Message(id="m", role="user", parts=(TextPart(text=text),))


async def test_results_whose_write_has_not_begun_go_to_the_commit(database: MemoryDatabase) -> None:
    effects = LeasedEffects(SCOPE, database.effect_journal, lease=await lease_of(database))
    await effects.execute_effect(tool_call("1"), Body().executor)
    draining = asyncio.ensure_future(effects.drain())
    await asyncio.sleep(0)  # the write is a task now, and has not had its turn
    (line,) = effects.take_unwritten()
    assert line.identity.replay_key == "k:1"
    await draining
    assert await database.effect_journal.load_effects(SCOPE) == []


class BusyOnce:
    """A journal whose first write takes until it is told to, and is refused then."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._journal = database.effect_journal
        self.begun, self.refuse = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:  # everything else is the journal's own
        return getattr(self._journal, name)

    async def record_effects(self, *args: Any, **options: Any) -> None:
        if not self.begun.is_set():
            self.begun.set()
            await self.refuse.wait()
            raise LashError("store_busy", "not now", retryable=True)
        await self._journal.record_effects(*args, **options)


async def test_nothing_is_written_behind_a_write_that_failed(database: MemoryDatabase) -> None:
    journal: Any = BusyOnce(database)
    effects = LeasedEffects(SCOPE, journal, lease=await lease_of(database))
    await effects.execute_effect(tool_call("1"), Body().executor)
    await journal.begun.wait()
    await effects.execute_effect(tool_call("2"), Body().executor)
    intended = asyncio.ensure_future(
        effects.execute_effect(tool_call("3", effect="at_most_once"), Body().executor)
    )
    await asyncio.sleep(0)
    journal.refuse.set()
    with pytest.raises(LashError) as caught:
        await effects.drain()
    assert caught.value.code == "store_busy"
    with pytest.raises(LashError) as caught:
        await intended
    assert caught.value.code == "store_busy"
    assert await database.effect_journal.load_effects(SCOPE) == []
