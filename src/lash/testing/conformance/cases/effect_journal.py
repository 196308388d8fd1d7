"""The effect journal: claims, results, what stays unknown (contract 2.B)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_kind, expect_present, refused
from lash.testing.conformance.samples.effects import CLAIM_MS, SCOPE, done, final_failure, identity
from lash.testing.conformance.samples.turns import admitted, claimed, settling, turn
from lash.testing.conformance.trial import Trial
from lash.values import (
    EffectBusy,
    EffectClaim,
    EffectFilter,
    EffectIdentity,
    EffectRecord,
    EffectResult,
    EffectScope,
    EffectState,
)


async def _claim(
    database: Database, of: EffectIdentity, *, owner: str = "o1", ttl_ms: int = CLAIM_MS
) -> EffectClaim:
    answer = await database.effect_journal.claim_effect(of, owner_id=owner, ttl_ms=ttl_ms)
    return expect_kind(answer, EffectClaim, f"a claim of {of.replay_key!r} by {owner!r}")


@case(Contract.EFFECT_JOURNAL)
async def results_are_kept_under_scope_and_key(trial: Trial[Database]) -> None:
    """A claimed effect is recorded once; later claims are answered with the line."""
    journal = trial.subject.effect_journal
    claim = await _claim(trial.subject, identity())
    started = expect_present(await journal.find_effect(SCOPE, "k1"), "a claimed effect has a line")
    expect_equal((started.state, started.result), (EffectState.STARTED, None), "the line while it runs")
    await journal.record_effect(claim, done(b"\x00\xff"))
    answer = await journal.claim_effect(identity(), owner_id="o2", ttl_ms=CLAIM_MS)
    line = expect_kind(answer, EffectRecord, "a claim of what is recorded")
    expect_equal((line.state, line.result), (EffectState.DONE, done(b"\x00\xff")), "the line")
    expect_equal(line.identity, identity(), "which effect it is of")


@case(Contract.EFFECT_JOURNAL, rule="R-8")
async def scopes_of_one_display_id_are_apart(trial: Trial[Database]) -> None:
    """Lines are kept by the whole scope."""
    scopes = [
        EffectScope.turn("s1", "x"),
        EffectScope.turn("s2", "x"),
        EffectScope.process("x"),
        EffectScope.runtime_operation("x"),
    ]
    for scope in scopes:
        claim = await _claim(trial.subject, identity("k", scope))
        await trial.subject.effect_journal.record_effect(claim, done(scope.key.encode()))
    for scope in scopes:
        lines = await trial.subject.effect_journal.load_effects(scope)
        results = [line.result for line in lines]
        expect_equal(results, [done(scope.key.encode())], f"the lines of {scope.key}")
    found = await trial.subject.effect_journal.find_effects_by_key("k")
    expect_equal(len(found), 4, "the lines of the key over all scopes")


@case(Contract.EFFECT_JOURNAL)
async def a_live_claim_keeps_everyone_out(trial: Trial[Database]) -> None:
    """Its own owner too: claims are per run. Another envelope gets the line, not the claim."""
    journal = trial.subject.effect_journal
    claim = await _claim(trial.subject, identity())
    for owner in ("o1", "o2"):
        answer = await journal.claim_effect(identity(), owner_id=owner, ttl_ms=CLAIM_MS)
        busy = expect_kind(answer, EffectBusy, "a claim of what runs now")
        expect_equal((busy.owner_id, busy.expires_at_ms), ("o1", claim.expires_at_ms), "who runs it")
    answer = await journal.claim_effect(identity(envelope_hash="h2"), owner_id="o2", ttl_ms=CLAIM_MS)
    line = expect_kind(answer, EffectRecord, "a claim for another envelope")
    expect_equal(line.identity.envelope_hash, "h1", "the line's envelope")


@case(Contract.EFFECT_JOURNAL)
async def of_concurrent_claims_one_wins(trial: Trial[Database]) -> None:
    """Many claimants at once: one runs."""
    answers = await asyncio.gather(
        *(
            trial.subject.effect_journal.claim_effect(identity(), owner_id=f"o{index}", ttl_ms=CLAIM_MS)
            for index in range(8)
        )
    )
    expect_equal(sum(isinstance(answer, EffectClaim) for answer in answers), 1, "the claims")
    expect_equal(sum(isinstance(answer, EffectBusy) for answer in answers), 7, "those who wait")


@case(Contract.EFFECT_JOURNAL, rule=("R-4", "R-17"), needs=Feature.CLOCK)
async def an_expired_claim_is_taken_over(trial: Trial[Database]) -> None:
    """In the millisecond of its expiry, not before; a renewal moves it; the loser is told."""
    journal = trial.subject.effect_journal
    first = await _claim(trial.subject, identity(), ttl_ms=10)
    trial.clock.advance(9)
    first = await journal.renew_effect_claim(first, ttl_ms=10)
    trial.clock.advance(9)
    answer = await journal.claim_effect(identity(), owner_id="o2", ttl_ms=10)
    expect_kind(answer, EffectBusy, "a claim one millisecond before the renewed expiry")
    trial.clock.advance(1)
    second = await _claim(trial.subject, identity(), owner="o2")
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: journal.renew_effect_claim(first, ttl_ms=10),
        lambda: journal.record_effect(first, done()),
    ]
    for attempt in attempts:
        with refused("effect_replay_lease_lost", "what a claimant does that was taken over"):
            await attempt()
    await journal.release_effect_claim(first)
    await journal.record_effect(second, done(b"winner"))
    line = expect_present(await journal.find_effect(SCOPE, "k1"), "the line")
    expect_equal((line.result, line.runs), (done(b"winner"), 2), "the taker's result, of the second run")


@case(Contract.EFFECT_JOURNAL, rule="R-32")
async def expiry_alone_loses_no_result(trial: Trial[Database]) -> None:
    """A claimant that is late, and that nobody replaced, may still record."""
    claim = await _claim(trial.subject, identity(), ttl_ms=0)
    await trial.subject.effect_journal.record_effect(claim, done())
    line = expect_present(await trial.subject.effect_journal.find_effect(SCOPE, "k1"), "the line")
    expect_equal(line.state, EffectState.DONE, "its state")


@case(Contract.EFFECT_JOURNAL, rule="R-18")
async def a_released_claim_is_free_at_once(trial: Trial[Database]) -> None:
    """Given back without a result, the effect runs again."""
    first = await _claim(trial.subject, identity())
    await trial.subject.effect_journal.release_effect_claim(first)
    second = await _claim(trial.subject, identity(), owner="o2")
    expect(second.claim_token != first.claim_token, "each claim has its token")


@case(Contract.EFFECT_JOURNAL, rule="R-5")
async def effect_claims_refuse_negative_times(trial: Trial[Database]) -> None:
    """A negative time to live claims and renews nothing; zero is legal."""
    with refused("invalid_argument", "a claim for a negative time"):
        await trial.subject.effect_journal.claim_effect(identity(), owner_id="o1", ttl_ms=-1)
    expect_equal(await trial.subject.effect_journal.find_effect(SCOPE, "k1"), None, "the line")
    claim = await _claim(trial.subject, identity(), ttl_ms=0)
    with refused("invalid_argument", "a renewal for a negative time"):
        await trial.subject.effect_journal.renew_effect_claim(claim, ttl_ms=-1)


@case(Contract.EFFECT_JOURNAL)
async def an_interrupted_at_most_once_effect_is_unknown(trial: Trial[Database]) -> None:
    """It is not run twice: its line says unknown until an operator settles it; anything else runs again."""
    journal = trial.subject.effect_journal
    once, again = identity("once", at_most_once=True), identity("again")
    await _claim(trial.subject, once, ttl_ms=0)
    await _claim(trial.subject, again, ttl_ms=0)
    answer = await journal.claim_effect(once, owner_id="o2", ttl_ms=CLAIM_MS)
    line = expect_kind(answer, EffectRecord, "a claim of an effect that may have run")
    expect_equal(line.state, EffectState.UNKNOWN, "its state")
    await _claim(trial.subject, again, owner="o2")
    settled = await journal.settle_effect(SCOPE, "once", done(b"it ran"), settled_by="operator")
    expect_equal((settled.state, settled.settled_by), (EffectState.DONE, "operator"), "the settled line")
    with refused("effect_not_unknown", "a second verdict"):
        await journal.settle_effect(SCOPE, "once", done(), settled_by="operator")
    with refused("effect_not_unknown", "a verdict on what runs now"):
        await journal.settle_effect(SCOPE, "again", done(), settled_by="operator")
    with refused("effect_unknown_key", "a verdict on what was never started"):
        await journal.settle_effect(SCOPE, "nowhere", done(), settled_by="operator")


@case(Contract.EFFECT_JOURNAL)
async def failures_are_results(trial: Trial[Database]) -> None:
    """An error is kept with its code and facts, and answers like an outcome."""
    failed = EffectResult(state=EffectState.FAILED, error=final_failure().record(), attempts=3)
    claim = await _claim(trial.subject, identity())
    await trial.subject.effect_journal.record_effect(claim, failed)
    line = expect_present(await trial.subject.effect_journal.find_effect(SCOPE, "k1"), "the line")
    expect_equal((line.state, line.result), (EffectState.FAILED, failed), "the line")


@case(Contract.EFFECT_JOURNAL, needs=Feature.CLOCK)
async def the_due_time_of_a_sleep_is_fixed_once(trial: Trial[Database]) -> None:
    """Take-overs keep the due time of the first claim."""
    journal, start_ms = trial.subject.effect_journal, trial.clock.now_ms()
    answer = await journal.claim_effect(identity(), owner_id="o1", ttl_ms=10, sleep_ms=1_000)
    first = expect_kind(answer, EffectClaim, "the first claim")
    trial.clock.advance(10)
    answer = await journal.claim_effect(identity(), owner_id="o2", ttl_ms=10, sleep_ms=1_000)
    second = expect_kind(answer, EffectClaim, "the second claim")
    expect_equal((first.due_at_ms, second.due_at_ms), (start_ms + 1_000,) * 2, "the due times")


@case(Contract.EFFECT_JOURNAL)
async def effects_are_listed_in_the_order_of_their_start(trial: Trial[Database]) -> None:
    """Pages follow each other without gap or repeat, and filters restrict."""
    journal = trial.subject.effect_journal
    for index in range(5):
        scope = EffectScope.turn("s1" if index % 2 else "s2", "t1")
        claim = await _claim(trial.subject, identity(f"k{index}", scope))
        if index < 3:
            await journal.record_effect(claim, done())
    keys: list[str] = []
    page, cursor = await journal.list_effects(EffectFilter(), limit=2)
    while page:
        keys.extend(line.identity.replay_key for line in page)
        if cursor is None:
            break
        page, cursor = await journal.list_effects(EffectFilter(), after=cursor, limit=2)
    expect_equal(keys, ["k0", "k1", "k2", "k3", "k4"], "the pages")
    of_session, _ = await journal.list_effects(EffectFilter(session_id="s1", turn_id="t1"))
    expect_equal([line.identity.replay_key for line in of_session], ["k1", "k3"], "one session's lines")
    running, _ = await journal.list_effects(EffectFilter(state=EffectState.STARTED))
    expect_equal([line.identity.replay_key for line in running], ["k3", "k4"], "the lines that run")


@case(Contract.EFFECT_JOURNAL, uses=(Contract.TURN_INGRESS, Contract.SESSION_CATALOG))
async def a_driver_starts_and_ends_effects_together(trial: Trial[Database]) -> None:
    """Lines written under the session lease count their runs, and keep the first result."""
    database, journal = trial.subject, trial.subject.effect_journal
    await admitted(database)
    await database.turn_ingress.accept_turn(turn("t1"))
    lease = (await claimed(database)).lease
    scope = EffectScope.turn("root", "t1")
    one, two = identity("one", scope), identity("two", scope)
    await journal.start_effects([one], lease=lease)
    await journal.start_effects([one, two], ended=[(one, done(b"first"))], lease=lease)
    await journal.record_effects([(one, done(b"late")), (two, done(b"two"))], lease=lease)
    lines = await journal.load_effects(scope)
    shown = [(line.identity.replay_key, line.runs, line.result) for line in lines]
    expect_equal(shown, [("one", 2, done(b"first")), ("two", 1, done(b"two"))], "the lines")
    stale = lease.replace(generation=lease.generation + 1)
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: journal.start_effects([identity("x", scope)], lease=stale),
        lambda: journal.record_effects([(two, done())], lease=stale),
    ]
    for attempt in attempts:
        with refused("session_lease_lost", "a write under a lease that is not the current one"):
            await attempt()
    expect_equal(len(await journal.load_effects(scope)), 2, "the lines after refusals")


@case(
    Contract.EFFECT_JOURNAL,
    needs=Feature.CLOCK,
    uses=(Contract.TURN_INGRESS, Contract.SESSION_CATALOG, Contract.RUNTIME_PERSISTENCE),
)
async def a_commit_settles_the_journal_of_its_turn(trial: Trial[Database]) -> None:
    """Settled lines keep no outcome, are not run again, and go when they are pruned; others stay."""
    database, journal = trial.subject, trial.subject.effect_journal
    await admitted(database)
    await database.turn_ingress.accept_turn(turn("t1"))
    claim = await claimed(database)
    scope = EffectScope.turn("root", "t1")
    await journal.record_effects([(identity("mine", scope), done())], lease=claim.lease)
    await _claim(database, identity("other", EffectScope.turn("root", "t2")))
    await database.runtime_persistence("root").commit_runtime_state(settling(claim))
    line = expect_present(await journal.find_effect(scope, "mine"), "the line after the commit")
    expect_equal((line.settled, line.state), (True, EffectState.DONE), "the settled line")
    expect_equal(expect_present(line.result, "its result").outcome, None, "its outcome is history now")
    answer = await journal.claim_effect(identity("mine", scope), owner_id="o2", ttl_ms=CLAIM_MS)
    expect_kind(answer, EffectRecord, "a claim of a settled effect")
    now_ms = trial.clock.now_ms()
    expect_equal(await journal.prune_settled_effects(ended_before_ms=now_ms), 0, "the bound is exclusive")
    expect_equal(await journal.prune_settled_effects(ended_before_ms=now_ms + 1), 1, "the settled line goes")
    expect_equal(await journal.find_effect(scope, "mine"), None, "the pruned line")
    expect_equal(len(await journal.find_effects_by_key("other")), 1, "a line that is not settled")
