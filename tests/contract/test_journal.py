"""The effect journal: claims, results, unknown outcomes, settlement (contract 2.B, R-8, R-17, R-18)."""

from __future__ import annotations

from lash.contracts import Database
from lash.errors import ErrorRecord
from lash.values import (
    EffectBusy,
    EffectClaim,
    EffectFilter,
    EffectRecord,
    EffectResult,
    EffectScope,
    EffectState,
    TurnState,
    UnwrittenEffect,
)

from .conftest import Backend
from .samples import commit, done, effect, refused, settling, stamp
from .settable import START_MS, SettableClock

SCOPE = EffectScope.turn("s1", "t1")


async def _claimed(db: Database, key: str = "k1", ttl_ms: int = 100, owner: str = "w1") -> EffectClaim:
    answer = await db.effect_journal.claim_effect(effect(key), owner_id=owner, ttl_ms=ttl_ms)
    assert isinstance(answer, EffectClaim)
    return answer


async def test_first_claim_starts_the_line_and_a_result_ends_it(db: Database, clock: SettableClock) -> None:
    journal = db.effect_journal
    assert await journal.find_effect(SCOPE, "k1") is None
    claim = await _claimed(db)
    assert (claim.scope, claim.replay_key, claim.owner_id) == (SCOPE, "k1", "w1")
    assert (claim.expires_at_ms, claim.due_at_ms) == (START_MS + 100, None)
    line = await journal.find_effect(SCOPE, "k1")
    assert line is not None
    assert (line.state, line.started_at_ms, line.result, line.runs) == (
        EffectState.STARTED,
        START_MS,
        None,
        1,
    )
    clock.advance(7)
    await journal.record_effect(claim, done(b"\x00out"))
    line = await journal.find_effect(SCOPE, "k1")
    assert line is not None
    assert (line.state, line.result, line.ended_at_ms) == (EffectState.DONE, done(b"\x00out"), START_MS + 7)
    assert line.identity == effect("k1")
    assert not line.settled


async def test_later_claim_is_answered_with_the_record(db: Database) -> None:
    journal = db.effect_journal
    error = ErrorRecord(code="boom", message="it broke", facts={"n": 1})
    await journal.record_effect(await _claimed(db), EffectResult(state=EffectState.FAILED, error=error))
    answer = await journal.claim_effect(effect("k1"), owner_id="w2", ttl_ms=100)
    assert isinstance(answer, EffectRecord)
    assert answer.state is EffectState.FAILED
    assert answer.result is not None
    assert answer.result.error == error


async def test_other_envelope_under_the_key_is_answered_with_the_line_even_while_it_runs(
    db: Database,
) -> None:
    await db.effect_journal.claim_effect(effect("k1", digests={"call.args": "d1"}), owner_id="w1", ttl_ms=100)
    answer = await db.effect_journal.claim_effect(
        effect("k1", envelope_hash="other"), owner_id="w2", ttl_ms=100
    )
    assert isinstance(answer, EffectRecord)
    assert answer.identity.envelope_hash == "e1"
    assert answer.identity.field_digests == {"call.args": "d1"}
    assert answer.state is EffectState.STARTED


async def test_live_claim_is_busy_for_everyone_its_owner_included(db: Database, clock: SettableClock) -> None:
    await _claimed(db)
    clock.advance(99)
    for owner in ("w1", "w2"):
        answer = await db.effect_journal.claim_effect(effect("k1"), owner_id=owner, ttl_ms=100)
        assert answer == EffectBusy(owner_id="w1", expires_at_ms=START_MS + 100)


async def test_expired_claim_is_taken_over_and_the_first_one_has_lost(
    db: Database, clock: SettableClock
) -> None:
    journal = db.effect_journal
    first = await _claimed(db)
    clock.advance(100)
    second = await _claimed(db, owner="w2")
    assert second.claim_token != first.claim_token
    line = await journal.find_effect(SCOPE, "k1")
    assert line is not None
    assert line.runs == 2
    with refused("effect_replay_lease_lost"):
        await journal.record_effect(first, done(b"late"))
    with refused("effect_replay_lease_lost"):
        await journal.renew_effect_claim(first, ttl_ms=100)
    await journal.release_effect_claim(first)
    await journal.record_effect(second, done(b"won"))
    line = await journal.find_effect(SCOPE, "k1")
    assert line is not None
    assert line.result == done(b"won")


async def test_expired_claim_that_nobody_took_over_still_renews_and_records(
    db: Database, clock: SettableClock
) -> None:
    claim = await _claimed(db)
    clock.advance(500)
    renewed = await db.effect_journal.renew_effect_claim(claim, ttl_ms=50)
    assert renewed == claim.replace(expires_at_ms=START_MS + 550)
    answer = await db.effect_journal.claim_effect(effect("k1"), owner_id="w2", ttl_ms=1)
    assert isinstance(answer, EffectBusy)
    clock.advance(500)
    await db.effect_journal.record_effect(renewed, done())


async def test_result_is_recorded_once(db: Database) -> None:
    claim = await _claimed(db)
    await db.effect_journal.record_effect(claim, done(b"one"))
    with refused("effect_replay_lease_lost"):
        await db.effect_journal.record_effect(claim, done(b"two"))
    line = await db.effect_journal.find_effect(SCOPE, "k1")
    assert line is not None
    assert line.result == done(b"one")


async def test_time_to_live_of_zero_is_granted_and_taken_over_at_once(db: Database) -> None:
    await _claimed(db, ttl_ms=0)
    await _claimed(db, owner="w2")
    with refused("invalid_argument"):
        await db.effect_journal.claim_effect(effect("k2"), owner_id="w", ttl_ms=-1)
    assert await db.effect_journal.find_effect(SCOPE, "k2") is None


async def test_released_claim_is_free_and_counts_as_a_run(db: Database) -> None:
    claim = await _claimed(db)
    await db.effect_journal.release_effect_claim(claim)
    again = await _claimed(db, owner="w2")
    line = await db.effect_journal.find_effect(SCOPE, "k1")
    assert line is not None
    assert line.runs == 2
    await db.effect_journal.release_effect_claim(claim)
    await db.effect_journal.record_effect(again, done())


async def test_due_time_of_a_sleep_is_fixed_at_its_first_claim(db: Database, clock: SettableClock) -> None:
    journal = db.effect_journal
    first = await journal.claim_effect(effect("nap"), owner_id="w1", ttl_ms=10, sleep_ms=1_000)
    assert isinstance(first, EffectClaim)
    assert first.due_at_ms == START_MS + 1_000
    clock.advance(10)
    second = await journal.claim_effect(effect("nap"), owner_id="w2", ttl_ms=10, sleep_ms=1_000)
    assert isinstance(second, EffectClaim)
    assert second.due_at_ms == START_MS + 1_000
    line = await journal.find_effect(SCOPE, "nap")
    assert line is not None
    assert line.due_at_ms == START_MS + 1_000


async def test_at_most_once_effect_is_never_handed_out_twice(db: Database, clock: SettableClock) -> None:
    journal = db.effect_journal
    once = effect("once", at_most_once=True)
    first = await journal.claim_effect(once, owner_id="w1", ttl_ms=10)
    assert isinstance(first, EffectClaim)
    clock.advance(9)
    assert isinstance(await journal.claim_effect(once, owner_id="w2", ttl_ms=10), EffectBusy)
    clock.advance(1)
    for _ in range(2):
        answer = await journal.claim_effect(once, owner_id="w2", ttl_ms=10)
        assert isinstance(answer, EffectRecord)
        assert answer.state is EffectState.UNKNOWN
        assert answer.runs == 1
    with refused("effect_replay_lease_lost"):
        await journal.record_effect(first, done())


async def test_equal_keys_of_different_scopes_never_meet(db: Database) -> None:
    journal = db.effect_journal
    scopes = [
        EffectScope.turn("s1", "x"),
        EffectScope.turn("s2", "x"),
        EffectScope.process("x"),
        EffectScope.runtime_operation("x"),
        EffectScope.queue_drain("s1", "x"),
        EffectScope.turn("a\x1f", "b"),
        EffectScope.turn("a", "\x1fb"),
        EffectScope.turn("a\x1f\x1fb", "c"),
        EffectScope.turn("a", "b\x1fc"),
    ]
    for number, scope in enumerate(scopes):
        await journal.record_effects([(effect("k", scope), done(str(number).encode()))])
    for number, scope in enumerate(scopes):
        line = await journal.find_effect(scope, "k")
        assert line is not None
        assert line.identity.scope == scope
        assert line.result == done(str(number).encode())
    assert len(await journal.find_effects_by_key("k")) == len(scopes)


async def test_intents_are_lines_in_the_order_given_and_count_their_runs(db: Database) -> None:
    journal = db.effect_journal
    await journal.start_effects([effect("b"), effect("a", at_most_once=True)])
    await journal.start_effects([effect("a", at_most_once=True), effect("c")])
    lines = await journal.load_effects(SCOPE)
    assert [(line.identity.replay_key, line.runs) for line in lines] == [("b", 1), ("a", 2), ("c", 1)]
    assert {line.state for line in lines} == {EffectState.STARTED}
    assert lines[1].identity.at_most_once


async def test_intents_go_in_with_the_results_before_them(db: Database) -> None:
    journal = db.effect_journal
    await journal.start_effects([effect("b")], ended=[(effect("a"), done(b"1"))])
    await journal.start_effects([effect("c")], ended=[(effect("b"), done(b"2"))])
    lines = await journal.load_effects(SCOPE)
    assert [(line.identity.replay_key, line.state) for line in lines] == [
        ("a", EffectState.DONE),
        ("b", EffectState.DONE),
        ("c", EffectState.STARTED),
    ]
    assert lines[1].runs == 1


async def test_results_are_stored_together_and_the_first_result_stands(
    db: Database, clock: SettableClock
) -> None:
    journal = db.effect_journal
    await journal.start_effects([effect("a")])
    clock.advance(3)
    await journal.record_effects([(effect("a"), done(b"1")), (effect("b"), done(b"2"))])
    await journal.record_effects([(effect("a"), done(b"x")), (effect("c"), done(b"3"))])
    lines = {line.identity.replay_key: line for line in await journal.load_effects(SCOPE)}
    assert {key: line.result for key, line in lines.items()} == {
        "a": done(b"1"),
        "b": done(b"2"),
        "c": done(b"3"),
    }
    assert (lines["a"].started_at_ms, lines["a"].ended_at_ms) == (START_MS, START_MS + 3)
    assert lines["b"].runs == 1


async def test_driver_without_the_current_lease_writes_nothing(db: Database, clock: SettableClock) -> None:
    journal, leases = db.effect_journal, db.session_leases
    old = await leases.claim_session_lease("s1", owner_id="w1", ttl_ms=10)
    clock.advance(10)
    await journal.start_effects([effect("a")], lease=old)  # expired, not superseded
    live = await leases.claim_session_lease("s1", owner_id="w2", ttl_ms=100)
    with refused("session_lease_lost"):
        await journal.start_effects([effect("b")], ended=[(effect("a"), done())], lease=old)
    with refused("session_lease_lost"):
        await journal.record_effects([(effect("a"), done())], lease=old)
    (line,) = await journal.load_effects(SCOPE)
    assert (line.identity.replay_key, line.state) == ("a", EffectState.STARTED)
    await journal.record_effects([(effect("a"), done())], lease=live)
    await leases.release_session_lease(live)
    with refused("session_lease_lost"):
        await journal.record_effects([(effect("b"), done())], lease=live)


async def test_operator_settles_an_effect_that_nobody_knows_about(db: Database, clock: SettableClock) -> None:
    journal = db.effect_journal
    with refused("effect_unknown_key"):
        await journal.settle_effect(SCOPE, "once", done(), settled_by="ada")
    once = effect("once", at_most_once=True)
    await journal.claim_effect(once, owner_id="w1", ttl_ms=10)
    with refused("effect_not_unknown"):
        await journal.settle_effect(SCOPE, "once", done(), settled_by="ada")
    clock.advance(10)
    await journal.claim_effect(once, owner_id="w2", ttl_ms=10)
    record = await journal.settle_effect(SCOPE, "once", done(b"it ran"), settled_by="ada")
    assert (record.state, record.result, record.settled_by) == (EffectState.DONE, done(b"it ran"), "ada")
    assert await journal.find_effect(SCOPE, "once") == record
    with refused("effect_not_unknown"):
        await journal.settle_effect(SCOPE, "once", done(), settled_by="bob")
    answer = await journal.claim_effect(once, owner_id="w3", ttl_ms=10)
    assert isinstance(answer, EffectRecord)
    assert answer.result == done(b"it ran")


async def test_intent_of_a_driver_that_is_gone_can_be_settled(db: Database, clock: SettableClock) -> None:
    journal = db.effect_journal
    lease = await db.session_leases.claim_session_lease("s1", owner_id="w1", ttl_ms=10)
    await journal.start_effects([effect("once", at_most_once=True)], lease=lease)
    with refused("effect_not_unknown"):
        await journal.settle_effect(SCOPE, "once", done(), settled_by="ada")
    clock.advance(10)
    record = await journal.settle_effect(SCOPE, "once", done(), settled_by="ada")
    assert record.settled_by == "ada"


async def test_commit_settles_the_journal_of_its_turn_and_drops_the_outcomes(db: Database) -> None:
    journal, other = db.effect_journal, EffectScope.turn("s1", "t2")
    lease = await db.session_leases.claim_session_lease("s1", owner_id="w", ttl_ms=100)
    await journal.record_effects(
        [
            (effect("a", digests={"p": "d"}), done(b"big").replace(attempts=3)),
            (effect("a", other), done(b"kept")),
        ]
    )
    late = UnwrittenEffect(identity=effect("late"), state=EffectState.DONE, attempts=2)
    known = UnwrittenEffect(identity=effect("a"), state=EffectState.FAILED)
    await db.runtime_persistence("s1").commit_runtime_state(
        commit(
            "s1",
            turn_commit=stamp("t1", session_id="s1"),
            settlement=settling("t1", lease, effects=(late, known)),
        )
    )
    lines = await journal.load_effects(SCOPE)
    assert [(line.identity.replay_key, line.state, line.settled) for line in lines] == [
        ("a", EffectState.DONE, True),
        ("late", EffectState.DONE, True),
    ]
    assert [line.result.attempts if line.result else None for line in lines] == [3, 2]
    assert all(line.result is None or line.result.outcome is None for line in lines)
    assert lines[0].identity.field_digests == {}
    assert (lines[0].identity.label, lines[0].started_at_ms) == ("tool", START_MS)
    (kept,) = await journal.load_effects(other)
    assert (kept.settled, kept.result) == (False, done(b"kept"))


async def test_a_commit_settles_only_effects_of_its_own_turn(db: Database) -> None:
    for scope in (EffectScope.turn("s1", "t2"), EffectScope.turn("s2", "t1"), EffectScope.process("p")):
        line = UnwrittenEffect(identity=effect("a", scope), state=EffectState.DONE)
        with refused("invalid_argument"):
            await db.runtime_persistence("s1").commit_runtime_state(
                commit(
                    "s1",
                    turn_commit=stamp("t1", session_id="s1"),
                    settlement=settling("t1", effects=(line,)),
                )
            )
        assert await db.effect_journal.load_effects(scope) == []
    assert (await db.turn_ingress.find_turn("s1", "t1")).state is TurnState.UNKNOWN


async def test_listing_filters_and_pages_in_the_order_of_the_start(db: Database) -> None:
    journal = db.effect_journal
    t1, t2, s2 = SCOPE, EffectScope.turn("s1", "t2"), EffectScope.turn("s2", "t1")
    await journal.start_effects([effect("e3", t2), effect("e1", t1), effect("e2", s2)])
    await journal.record_effects([(effect("e1", t1), done()), (effect("e4", t1), done())])

    async def keys(where: EffectFilter) -> list[str]:
        records, after = await journal.list_effects(where)
        assert after is None
        return [record.identity.replay_key for record in records]

    assert await keys(EffectFilter()) == ["e3", "e1", "e2", "e4"]
    assert await keys(EffectFilter(session_id="s1")) == ["e3", "e1", "e4"]
    assert await keys(EffectFilter(session_id="s1", turn_id="t1")) == ["e1", "e4"]
    assert await keys(EffectFilter(state=EffectState.STARTED)) == ["e3", "e2"]
    assert await keys(EffectFilter(settled=True)) == []

    seen: list[str] = []
    after = None
    for _ in range(10):
        page, after = await journal.list_effects(EffectFilter(), after=after, limit=3)
        seen += [record.identity.replay_key for record in page]
        if after is None:
            break
    assert seen == ["e3", "e1", "e2", "e4"]


async def test_pruning_deletes_old_settled_lines_only(db: Database, clock: SettableClock) -> None:
    journal = db.effect_journal
    await journal.record_effects([(effect("a"), done()), (effect("b"), done())])
    clock.advance(10)
    await journal.record_effects([(effect("c"), done()), (effect("open", EffectScope.process("p")), done())])
    await db.runtime_persistence("s1").commit_runtime_state(
        commit("s1", turn_commit=stamp("t1", session_id="s1"), settlement=settling("t1"))
    )
    assert await journal.prune_settled_effects(ended_before_ms=START_MS) == 0
    assert await journal.prune_settled_effects(ended_before_ms=START_MS + 1, limit=1) == 1
    assert await journal.prune_settled_effects(ended_before_ms=START_MS + 10) == 1
    assert [line.identity.replay_key for line in await journal.load_effects(SCOPE)] == ["c"]
    assert await journal.prune_settled_effects(ended_before_ms=START_MS + 11) == 1
    assert len(await journal.load_effects(EffectScope.process("p"))) == 1


async def test_journal_is_seen_through_another_handle(backend: Backend) -> None:
    other = await backend.another_handle()
    claim = await _claimed(backend.db)
    answer = await other.effect_journal.claim_effect(effect("k1"), owner_id="w2", ttl_ms=1)
    assert isinstance(answer, EffectBusy)
    await backend.db.effect_journal.record_effect(claim, done())
    line = await other.effect_journal.find_effect(SCOPE, "k1")
    assert line is not None
    assert line.result == done()
