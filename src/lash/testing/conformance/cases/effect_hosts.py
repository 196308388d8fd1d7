"""Effect hosts: scopes, and hosts that remember nothing (contracts 2.A and 2.B)."""

from __future__ import annotations

from lash.contracts import EffectHost, RuntimeEffectLocalExecutor
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_kind, refused, soon
from lash.testing.conformance.samples.effects import (
    NotingExecutor,
    code_envelope,
    expect_marker,
    final_failure,
    sleep_envelope,
)
from lash.testing.conformance.trial import Trial
from lash.values import EffectScope, SleepOutcome


@case(Contract.EFFECT_HOST, seed=True)
async def effect_host_preserves_scope_metadata(trial: Trial[EffectHost]) -> None:
    """A scoped controller keeps the scope whole; only a turn's scope has a turn id."""
    drain = EffectScope.queue_drain("session-1", "drain-1")
    scoped = trial.subject.scoped(drain)
    expect_equal(scoped.effect_scope, drain, "the controller keeps the selected scope")
    expect_equal(scoped.scope_id, "drain-1", "the scope id of a drain")
    expect_equal(scoped.turn_id, None, "a drain has no turn")
    turn = EffectScope.turn("session-1", "turn-1")
    scoped_turn = trial.subject.scoped(turn)
    expect_equal(scoped_turn.effect_scope, turn, "the controller keeps the selected scope")
    expect_equal(scoped_turn.scope_id, "turn-1", "the scope id of a turn")
    expect_equal(scoped_turn.turn_id, "turn-1", "the turn of a turn scope")


@case(Contract.EFFECT_HOST, seed=True, rule="R-7")
async def effect_host_rejects_missing_scope_ids(trial: Trial[EffectHost]) -> None:
    """A scope with an empty id is refused when it is selected, before any effect."""
    for scope in (
        EffectScope.turn("", "turn"),
        EffectScope.turn("session", ""),
        EffectScope.process(""),
        EffectScope.queue_drain("session", ""),
        EffectScope.session_delete(""),
        EffectScope.runtime_operation(""),
    ):
        with refused("missing_effect_scope_id", f"{scope.kind} scope with an empty id"):
            trial.subject.scoped(scope)


@case(Contract.EFFECT_HOST, rule="R-7")
async def blank_scope_ids_are_missing_too(trial: Trial[EffectHost]) -> None:
    """White space is no id, and every id of a scope counts."""
    for scope in (
        EffectScope.queue_drain("", "drain"),
        EffectScope.turn(" \t", "turn"),
        EffectScope.turn("session", "\n"),
        EffectScope.process(" "),
        EffectScope.runtime_operation("\u2003"),
    ):
        with refused("missing_effect_scope_id", f"{scope.kind} scope with a blank id"):
            trial.subject.scoped(scope)


@case(Contract.EFFECT_HOST, seed=True)
async def effect_host_static_scope_preserves_metadata_when_available(trial: Trial[EffectHost]) -> None:
    """A host may have no long-lived controllers; one that has keeps the scope whole."""
    scope = EffectScope.runtime_operation("static-runtime-op")
    scoped = trial.subject.scoped_static(scope)
    if scoped is not None:
        expect_equal(scoped.effect_scope, scope, "the controller keeps the selected scope")
        expect_equal(scoped.scope_id, "static-runtime-op", "the scope id of an operation")


@case(Contract.EFFECT_HOST, rule="R-7")
async def effects_without_an_executor_are_refused(trial: Trial[EffectHost]) -> None:
    """An effect that nothing here can run is refused with the code that says so."""
    controller = trial.subject.scoped(EffectScope.turn("session-1", "turn-1"))
    with refused("runtime_effect_local_executor_unavailable", "an effect without an executor"):
        await controller.execute_effect(code_envelope("e1"), RuntimeEffectLocalExecutor.unavailable())


@case(Contract.EFFECT_HOST)
async def sleeps_need_no_executor(trial: Trial[EffectHost]) -> None:
    """A sleep of no time ends at once, by the controller alone."""
    controller = trial.subject.scoped(EffectScope.runtime_operation("op-1"))
    slept = controller.execute_effect(sleep_envelope(0), RuntimeEffectLocalExecutor.unavailable())
    expect_kind(await soon(slept, "a sleep of no time"), SleepOutcome, "the outcome of a sleep")


@case(Contract.EFFECT_HOST)
async def what_an_executor_raises_reaches_the_caller(trial: Trial[EffectHost]) -> None:
    """A controller adds nothing to a failure of the work: code and facts are the executor's."""
    controller = trial.subject.scoped(EffectScope.turn("session-1", "turn-1"))
    work = NotingExecutor(fails_with=final_failure("work_failed"))
    with refused("work_failed", "the executor's own failure"):
        await controller.execute_effect(code_envelope("e1"), work.executor)
    expect_equal(work.ran, ["e1"], "the executor ran once")


@case(Contract.EFFECT_HOST, needs=Feature.INLINE)
async def inline_hosts_run_an_effect_every_time(trial: Trial[EffectHost]) -> None:
    """A host that remembers nothing asks the executor again for the same key."""
    controller = trial.subject.scoped(EffectScope.turn("session-1", "turn-1"))
    work = NotingExecutor("ran")
    for _ in range(2):
        outcome = await controller.execute_effect(code_envelope("e1"), work.executor)
        expect_marker(outcome, "ran", "the executor's outcome is the answer")
    expect_equal(work.ran, ["e1", "e1"], "each call runs the executor")
    expect(trial.subject.durability_tier.value == "inline", "a host that remembers nothing says inline")
