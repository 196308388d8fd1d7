"""Effect hosts that remember: one run for each recorded outcome, whoever asks, however often (contract 2.B)."""

from __future__ import annotations

import asyncio

from lash.contracts import EffectHost, RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_kind, refused, soon
from lash.testing.conformance.samples.effects import (
    SCOPE,
    NotingExecutor,
    code_envelope,
    expect_marker,
    final_failure,
    sleep_envelope,
)
from lash.testing.conformance.subjects import start_replay
from lash.testing.conformance.trial import Trial
from lash.values import EffectScope, RuntimeEffectEnvelope, RuntimeEffectOutcome, SleepOutcome


@case(Contract.RECORDED_EFFECTS)
async def recorded_effect_runs_once(trial: Trial[EffectHost]) -> None:
    """The second call of a key is answered from the record, JSON values kept to the letter."""
    controller = trial.subject.scoped(SCOPE)
    marker = {"n": 1, "x": 1.0, "t": True, "list": [None, "\u00fc"]}
    await controller.execute_effect(code_envelope("e1"), NotingExecutor(marker).executor)
    again = NotingExecutor("other")
    replayed = await controller.execute_effect(code_envelope("e1"), again.executor)
    expect_marker(replayed, marker, "the recorded outcome is the answer")
    expect_equal(again.ran, [], "a recorded effect does not run again")


@case(Contract.RECORDED_EFFECTS)
async def a_null_outcome_is_an_outcome(trial: Trial[EffectHost]) -> None:
    """An outcome that is null is recorded like any other."""
    controller = trial.subject.scoped(SCOPE)
    await controller.execute_effect(code_envelope("e1"), NotingExecutor(None).executor)
    again = NotingExecutor("other")
    replayed = await controller.execute_effect(code_envelope("e1"), again.executor)
    expect_marker(replayed, None, "null is the answer")
    expect_equal(again.ran, [], "an effect that gave null does not run again")


@case(Contract.RECORDED_EFFECTS, rule="R-8")
async def effects_are_kept_by_the_whole_scope(trial: Trial[EffectHost]) -> None:
    """Scopes that share a display id, and scopes that share all text, share no effects."""
    scopes = [
        EffectScope.turn("session-1", "x"),
        EffectScope.turn("session-2", "x"),
        EffectScope.queue_drain("session-1", "x"),
        EffectScope.process("x"),
        EffectScope.runtime_operation("x"),
        EffectScope.session_delete("x"),
        EffectScope.turn("a:b", "c"),
        EffectScope.turn("a", "b:c"),
    ]
    for index, scope in enumerate(scopes):
        work = NotingExecutor(index)
        outcome = await trial.subject.scoped(scope).execute_effect(code_envelope("e1"), work.executor)
        expect_marker(outcome, index, f"the first effect of {scope.kind} {scope.key} is its own")
        expect_equal(len(work.ran), 1, f"the first effect of {scope.kind} {scope.key} runs")


@case(Contract.RECORDED_EFFECTS)
async def controllers_of_one_scope_share_its_history(trial: Trial[EffectHost]) -> None:
    """History belongs to the scope, not to the controller object."""
    await trial.subject.scoped(SCOPE).execute_effect(code_envelope("e1"), NotingExecutor("a").executor)
    again = NotingExecutor("b")
    replayed = await trial.subject.scoped(SCOPE).execute_effect(code_envelope("e1"), again.executor)
    expect_marker(replayed, "a", "another controller of the scope knows the outcome")


@case(Contract.RECORDED_EFFECTS, rule="R-7")
async def another_envelope_under_a_recorded_key_conflicts(trial: Trial[EffectHost]) -> None:
    """A key stands for one envelope: another one is refused before it runs, and the record stays."""
    controller = trial.subject.scoped(SCOPE)
    await controller.execute_effect(code_envelope("e1", "emit 1"), NotingExecutor("a").executor)
    other = NotingExecutor("b")
    with refused("effect_replay_hash_conflict", "another envelope under the key", says="command.code"):
        await controller.execute_effect(code_envelope("e1", "emit 2"), other.executor)
    expect_equal(other.ran, [], "a conflicting effect does not run")
    kept = await controller.execute_effect(code_envelope("e1", "emit 1"), other.executor)
    expect_marker(kept, "a", "the recorded outcome stays")


@case(Contract.RECORDED_EFFECTS)
async def equal_arrivals_share_one_run(trial: Trial[EffectHost]) -> None:
    """Of two concurrent calls of one key one runs; the other waits and gets the same outcome."""
    controller = trial.subject.scoped(SCOPE)
    entered, leave = asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    async def body(envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        ran.append(envelope.effect_id)
        entered.set()
        await leave.wait()
        return await NotingExecutor(len(ran)).executor.execute(envelope)

    executor = RuntimeEffectLocalExecutor.of(body)
    first = trial.start(controller.execute_effect(code_envelope("e1"), executor))
    await soon(entered.wait(), "the first call enters its executor")
    second = trial.start(controller.execute_effect(code_envelope("e1"), executor))
    await asyncio.sleep(0)
    leave.set()
    for outcome in await soon(asyncio.gather(first, second), "both calls are answered"):
        expect_marker(outcome, 1, "both calls have the one run's outcome")
    expect_equal(ran, ["e1"], "one of two equal calls runs")


@case(Contract.RECORDED_EFFECTS, rule="R-18")
async def a_failure_of_the_work_is_recorded(trial: Trial[EffectHost]) -> None:
    """A final error of the executor replays like an outcome, with its code and facts."""
    controller = trial.subject.scoped(SCOPE)
    with refused("work_failed", "the executor's own failure"):
        await controller.execute_effect(
            code_envelope("e1"), NotingExecutor(fails_with=final_failure()).executor
        )
    again = NotingExecutor("fine now")
    with refused("work_failed", "the recorded failure is the answer"):
        await controller.execute_effect(code_envelope("e1"), again.executor)
    expect_equal(again.ran, [], "an effect that failed for good does not run again")


@case(Contract.RECORDED_EFFECTS, rule="R-18")
async def a_failure_of_the_machinery_is_not_recorded(trial: Trial[EffectHost]) -> None:
    """Storage, wiring and unforeseen errors say nothing about the work: a later call runs it."""
    controller = trial.subject.scoped(SCOPE)
    failures: list[tuple[str, BaseException]] = [
        ("storage", LashError("store_busy", "try again", retryable=True)),
        ("wiring", LashError("runtime_effect_local_executor_unavailable", "none here")),
        ("unforeseen", RuntimeError("a bug")),
    ]
    for name, failure in failures:
        envelope = code_envelope(name)
        try:
            await controller.execute_effect(envelope, NotingExecutor(fails_with=failure).executor)
        except (LashError, RuntimeError):
            pass
        else:
            expect(False, f"a {name} error reaches the caller")
        outcome = await soon(
            controller.execute_effect(envelope, NotingExecutor("ran").executor),
            f"after a {name} error the claim is given back",
        )
        expect_marker(outcome, "ran", f"after a {name} error the effect runs again")


@case(Contract.RECORDED_EFFECTS, rule="R-18")
async def a_cancelled_effect_runs_again(trial: Trial[EffectHost]) -> None:
    """Cancelling the caller records nothing and gives the claim back."""
    controller = trial.subject.scoped(SCOPE)
    entered = asyncio.Event()

    async def forever(envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError("an event that nobody sets was set")

    call = trial.start(controller.execute_effect(code_envelope("e1"), RuntimeEffectLocalExecutor.of(forever)))
    await soon(entered.wait(), "the effect enters its executor")
    call.cancel()
    await soon(asyncio.wait({call}), "a cancelled effect ends")
    outcome = await soon(
        controller.execute_effect(code_envelope("e1"), NotingExecutor("ran").executor),
        "a cancelled effect leaves no claim behind",
    )
    expect_marker(outcome, "ran", "a cancelled effect runs again")


@case(Contract.RECORDED_EFFECTS, rule="R-7")
async def strict_replay_refuses_unknown_keys(trial: Trial[EffectHost]) -> None:
    """Once a host only replays, a key without a record is refused and runs nothing."""
    controller = trial.subject.scoped(SCOPE)
    await start_replay(trial.subject)
    work = NotingExecutor("ran")
    with refused("effect_replay_missing", "an unknown key while replaying"):
        await controller.execute_effect(code_envelope("e1"), work.executor)
    expect_equal(work.ran, [], "nothing runs while replaying")


@case(Contract.RECORDED_EFFECTS, needs=Feature.CLOCK)
async def a_sleep_ends_at_the_due_time_of_its_first_start(trial: Trial[EffectHost]) -> None:
    """The due time is fixed once: a sleep that is interrupted and driven again waits for the rest only."""
    controller, nobody = trial.subject.scoped(SCOPE), RuntimeEffectLocalExecutor.unavailable()
    first = trial.start(controller.execute_effect(sleep_envelope(1_000), nobody))
    await soon(trial.clock.somebody_sleeps(), "a sleep waits on the clock that the host was given")
    trial.clock.advance(600)
    expect(not first.done(), "a sleep does not end before its time")
    first.cancel()
    await soon(asyncio.wait({first}), "a cancelled sleep ends")
    second = trial.start(controller.execute_effect(sleep_envelope(1_000), nobody))
    await asyncio.sleep(0.02)
    expect(not second.done(), "a repeated sleep waits for the rest")
    trial.clock.advance(400)
    slept = await soon(second, "a repeated sleep ends at the first due time")
    expect_kind(slept, SleepOutcome, "the outcome of a sleep")
    again = controller.execute_effect(sleep_envelope(1_000), nobody)
    expect_kind(await soon(again, "a sleep that is over is answered at once"), SleepOutcome, "its outcome")


@case(Contract.RECORDED_EFFECTS, rule="R-6", needs=Feature.SECOND_HANDLE)
async def recorded_outcomes_are_seen_through_the_other_handle(trial: Trial[EffectHost]) -> None:
    """A host on another handle answers from the same record."""
    await trial.subject.scoped(SCOPE).execute_effect(code_envelope("e1"), NotingExecutor("a").executor)
    again = NotingExecutor("b")
    replayed = await trial.second.scoped(SCOPE).execute_effect(code_envelope("e1"), again.executor)
    expect_marker(replayed, "a", "the other handle knows the outcome")
    expect_equal(again.ran, [], "the other handle does not run it again")
