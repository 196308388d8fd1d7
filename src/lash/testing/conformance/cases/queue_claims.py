"""Claims of queued work: boundaries, order, fences, time (contracts 2.D.5 to 2.D.8)."""

from __future__ import annotations

import asyncio

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_present, refused
from lash.testing.conformance.samples.queue import (
    CHECKPOINT,
    IDLE,
    JOIN,
    LATE,
    MINUTE_MS,
    YEAR_2100_MS,
    claim,
    draft,
    ids,
    joining,
)
from lash.testing.conformance.samples.sessions import next_commit
from lash.testing.conformance.trial import Trial


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def queued_work_exact_claim_uses_selected_batch_ids(trial: Trial[RuntimePersistence]) -> None:
    """An exact claim skips no earlier work; refused, it leaves everything pending, in order."""
    store = trial.subject
    first = await store.enqueue_queued_work(draft("first", delivery=LATE))
    second = await store.enqueue_queued_work(draft("second", delivery=LATE))
    out_of_order = await store.claim_ready_queued_work_by_batch_ids(
        "root", "owner", IDLE, MINUTE_MS, [second.batch_id]
    )
    expect_equal(out_of_order, None, "an exact claim of what does not come next")
    pending = ids(await store.list_pending_queued_work("root"))
    expect_equal(pending, [first.batch_id, second.batch_id], "pending work after the refusal")
    exact = await store.claim_ready_queued_work_by_batch_ids(
        "root", "owner", IDLE, MINUTE_MS, [first.batch_id]
    )
    expect_equal(ids(expect_present(exact, "an exact claim of what comes next")), [first.batch_id], "it")
    pending = ids(await store.list_pending_queued_work("root"))
    expect_equal(pending, [second.batch_id], "pending work after the claim")


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def queued_work_claims_respect_boundaries_renewal_and_abandon(
    trial: Trial[RuntimePersistence],
) -> None:
    """A head that waits for the commit blocks a checkpoint until it is leased; fences grow; renewals extend."""
    store = trial.subject
    after_commit = await store.enqueue_queued_work(draft("after current commit", delivery=LATE))
    earliest = await store.enqueue_queued_work(draft("earliest"))
    blocked = await store.claim_ready_queued_work("root", "owner-a", CHECKPOINT, MINUTE_MS, 10)
    expect_equal(blocked, None, "work behind a head that waits for the idle boundary")
    idle = await claim(store, owner="owner-a")
    expect_equal(ids(idle), [after_commit.batch_id], "the idle claim takes the head alone")
    checkpoint = await claim(store, owner="owner-b", boundary=CHECKPOINT)
    expect_equal(ids(checkpoint)[:1], [earliest.batch_id], "a leased head does not block")
    await store.abandon_queued_work_claim(idle)
    reclaimed = await claim(store, owner="owner-c")
    expect_equal(ids(reclaimed)[:1], [after_commit.batch_id], "abandoned work is back in its place")
    expect(reclaimed.fencing_token > idle.fencing_token, "a re-claim has a larger fence")
    renewed = await store.renew_queued_work_claim(reclaimed, MINUTE_MS)
    expect_equal(renewed.claim_id, reclaimed.claim_id, "the renewed claim")
    expect_equal(renewed.lease_token, reclaimed.lease_token, "its token")
    expect_equal(ids(renewed)[:1], ids(reclaimed)[:1], "its batches")
    expect(renewed.expires_at_ms >= reclaimed.expires_at_ms, "a renewal does not end earlier")


@case(Contract.RUNTIME_PERSISTENCE, seed=True, rule=("R-4", "R-5"))
async def queued_work_respects_availability_limits_exclusivity_reclaim_and_sessions(
    trial: Trial[RuntimePersistence],
) -> None:
    """What is not available is passed over, exclusive work goes alone, sessions keep apart, limits hold."""
    store = trial.subject
    await store.enqueue_queued_work(draft("not ready", available_at_ms=YEAR_2100_MS))
    exclusive = await store.enqueue_queued_work(draft("exclusive"))
    joined = await store.enqueue_queued_work(joining("joined", "root"))
    other = await store.enqueue_queued_work(draft("other session", "other"))
    expect_equal(ids(await claim(store)), [exclusive.batch_id], "exclusive work, past what is not ready")
    expect_equal(ids(await claim(store))[:1], [joined.batch_id], "the work after it")
    expect_equal(ids(await claim(store, "other"))[:1], [other.batch_id], "another session's work")
    source = await store.enqueue_queued_work(draft("expired claim", "reclaim"))
    expired = await claim(store, "reclaim", owner="owner-a", ttl_ms=0, most=1)
    reclaimed = await claim(store, "reclaim", owner="owner-b", most=1)
    expect_equal(ids(reclaimed)[:1], [source.batch_id], "an expired claim is taken over")
    expect(reclaimed.fencing_token > expired.fencing_token, "with a larger fence")
    limited = [await store.enqueue_queued_work(joining(text, "l", "limited")) for text in ("1", "2", "3")]
    two = await claim(store, "limited", most=2)
    expect_equal(ids(two), [batch.batch_id for batch in limited[:2]], "the limit caps a join")
    rest = await claim(store, "limited", owner="owner-next")
    expect_equal(ids(rest)[:1], [limited[2].batch_id], "the rest comes next")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-4", needs=Feature.CLOCK)
async def work_is_available_from_its_very_millisecond(trial: Trial[RuntimePersistence]) -> None:
    """One millisecond early there is nothing to claim; at the time there is."""
    at_ms = trial.clock.now_ms() + 10
    await trial.subject.enqueue_queued_work(draft("x", available_at_ms=at_ms))
    trial.clock.advance(9)
    early = await trial.subject.claim_ready_queued_work("root", "o", IDLE, MINUTE_MS, 1)
    expect_equal(early, None, "a claim one millisecond early")
    trial.clock.advance(1)
    await claim(trial.subject)


@case(Contract.RUNTIME_PERSISTENCE, rule="R-4", needs=Feature.CLOCK)
async def a_claim_is_over_in_the_millisecond_of_its_expiry(trial: Trial[RuntimePersistence]) -> None:
    """One millisecond before the end it keeps others out; at the end it does not."""
    await trial.subject.enqueue_queued_work(draft("x"))
    await claim(trial.subject, ttl_ms=10)
    trial.clock.advance(9)
    kept_out = await trial.subject.claim_ready_queued_work("root", "o2", IDLE, MINUTE_MS, 1)
    expect_equal(kept_out, None, "a claim one millisecond before the expiry")
    trial.clock.advance(1)
    await claim(trial.subject, owner="o2")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-5")
async def negative_times_to_live_are_refused(trial: Trial[RuntimePersistence]) -> None:
    """A negative time to live is an argument that makes no sense; nothing is claimed under it."""
    store = trial.subject
    batch = await store.enqueue_queued_work(draft("x"))
    with refused("invalid_argument", "a claim for a negative time"):
        await store.claim_ready_queued_work("root", "o", IDLE, -1, 1)
    with refused("invalid_argument", "an exact claim for a negative time"):
        await store.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, -1, [batch.batch_id])
    held = await claim(store)
    with refused("invalid_argument", "a renewal for a negative time"):
        await store.renew_queued_work_claim(held, -1)


@case(Contract.RUNTIME_PERSISTENCE, rule="R-13")
async def tokens_and_claim_ids_are_fresh(trial: Trial[RuntimePersistence]) -> None:
    """No two claims share an id or a token, of the same row at the same time either."""
    await trial.subject.enqueue_queued_work(draft("x"))
    claims = [await claim(trial.subject, ttl_ms=0) for _ in range(4)]
    expect_equal(len({held.claim_id for held in claims}), 4, "claim ids")
    expect_equal(len({held.lease_token for held in claims}), 4, "tokens")
    fences = [held.fencing_token for held in claims]
    expect_equal(fences, sorted(set(fences)), "fences strictly grow")


@case(Contract.RUNTIME_PERSISTENCE)
async def an_owner_cannot_retake_its_own_live_claim(trial: Trial[RuntimePersistence]) -> None:
    """Who asks plays no role: a live claim keeps its own owner out too."""
    await trial.subject.enqueue_queued_work(draft("x"))
    await claim(trial.subject, owner="o1")
    again = await trial.subject.claim_ready_queued_work("root", "o1", IDLE, MINUTE_MS, 1)
    expect_equal(again, None, "the owner's second claim")


@case(Contract.RUNTIME_PERSISTENCE)
async def a_claim_of_nothing_has_no_effect(trial: Trial[RuntimePersistence]) -> None:
    """A limit of zero, and a session without work, give None and hold nothing."""
    store = trial.subject
    expect_equal(await store.claim_ready_queued_work("root", "o", IDLE, MINUTE_MS, 1), None, "no work")
    await store.enqueue_queued_work(draft("x"))
    expect_equal(await store.claim_ready_queued_work("root", "o", IDLE, MINUTE_MS, 0), None, "no room")
    expect_equal(len(await store.list_pending_queued_work("root")), 1, "the work is pending still")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-38")
async def refused_exact_claims_have_no_effect(trial: Trial[RuntimePersistence]) -> None:
    """Wrong order, unknown, doubled, foreign and missing ids give None, and no fence grows."""
    store = trial.subject
    first, second = [await store.enqueue_queued_work(joining(text)) for text in ("1", "2")]
    foreign = await store.enqueue_queued_work(draft("x", "other"))
    a, b = first.batch_id, second.batch_id
    for wanted in (
        [],
        [b],
        [b, a],
        [a, a],
        [a, b, b],
        ["nowhere"],
        [foreign.batch_id],
        [a, foreign.batch_id],
    ):
        refusal = await store.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, MINUTE_MS, wanted)
        expect_equal(refusal, None, f"an exact claim of {len(wanted)} ids that do not come next")
    expect_equal(ids(await store.list_pending_queued_work("root")), [a, b], "pending work after refusals")
    held = await store.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, MINUTE_MS, [a, b])
    expect_equal(expect_present(held, "the exact claim").fencing_token, 1, "the first fence")


@case(Contract.RUNTIME_PERSISTENCE)
async def exact_claims_stop_at_boundaries_too(trial: Trial[RuntimePersistence]) -> None:
    """At a checkpoint an exact claim of work that waits for the commit is refused."""
    store = trial.subject
    batch = await store.enqueue_queued_work(draft("x", delivery=LATE))
    wanted = [batch.batch_id]
    refusal = await store.claim_ready_queued_work_by_batch_ids("root", "o", CHECKPOINT, MINUTE_MS, wanted)
    expect_equal(refusal, None, "an exact claim at a checkpoint")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-32")
async def expired_claims_renew_until_somebody_takes_over(trial: Trial[RuntimePersistence]) -> None:
    """Expiry alone loses nothing; a re-claim does, for renewals as for abandons."""
    store = trial.subject
    await store.enqueue_queued_work(draft("x"))
    late = await claim(store, owner="late", ttl_ms=0)
    renewed = await store.renew_queued_work_claim(late, 0)
    expect_equal(renewed.fencing_token, late.fencing_token, "a renewal keeps the fence")
    winner = await claim(store, owner="winner")
    with refused("queue_claim_expired", "the renewal of a claim that was taken over"):
        await store.renew_queued_work_claim(late, MINUTE_MS)
    await store.abandon_queued_work_claim(late)
    expect_equal(await store.list_pending_queued_work("root"), [], "a stale abandon gives nothing back")
    await store.renew_queued_work_claim(winner, MINUTE_MS)


@case(Contract.RUNTIME_PERSISTENCE)
async def renewals_are_all_or_nothing(trial: Trial[RuntimePersistence]) -> None:
    """A claim that lost one of its rows is not renewed for the others."""
    store = trial.subject
    first, second = [await store.enqueue_queued_work(joining(text)) for text in ("1", "2")]
    late = await claim(store, ttl_ms=0)
    expect_equal(ids(late), [first.batch_id, second.batch_id], "a claim of two rows")
    await store.cancel_queued_work_batch("root", second.batch_id)
    with refused("queue_claim_expired", "a renewal without one of the rows"):
        await store.renew_queued_work_claim(late, MINUTE_MS)
    expect_equal(ids(await store.list_pending_queued_work("root")), [first.batch_id], "nothing was renewed")


@case(Contract.RUNTIME_PERSISTENCE)
async def abandoned_work_returns_to_its_place(trial: Trial[RuntimePersistence]) -> None:
    """Abandoning two claims in any order restores the order of the queue."""
    store = trial.subject
    batches = [await store.enqueue_queued_work(draft(text)) for text in ("1", "2", "3")]
    claims = [await claim(store), await claim(store)]
    for held in claims:
        await store.abandon_queued_work_claim(held)
        await store.abandon_queued_work_claim(held)
    wanted = [batch.batch_id for batch in batches]
    expect_equal(ids(await store.list_pending_queued_work("root")), wanted, "the order after abandons")
    expect_equal(ids(await claim(store)), wanted[:1], "what comes next")


@case(Contract.RUNTIME_PERSISTENCE)
async def concurrent_claimants_never_share_a_row(trial: Trial[RuntimePersistence]) -> None:
    """Of many claimants at once each row has one."""
    store = trial.subject
    batches = [await store.enqueue_queued_work(draft(str(index))) for index in range(6)]
    claims = await asyncio.gather(
        *(store.claim_ready_queued_work("root", f"o{index}", IDLE, MINUTE_MS, 1) for index in range(10))
    )
    taken = [batch_id for held in claims for batch_id in ids(held)]
    expect_equal(sorted(taken), sorted(batch.batch_id for batch in batches), "each row has one claimant")


@case(Contract.RUNTIME_PERSISTENCE)
async def running_turns_pass_over_work_that_waits_for_the_commit(trial: Trial[RuntimePersistence]) -> None:
    """The running turn's own claim is not blocked by a head that waits, and never takes it."""
    store = trial.subject
    waiting = await store.enqueue_queued_work(draft("waits", delivery=LATE, slot=JOIN, group="g"))
    early = [await store.enqueue_queued_work(joining(text)) for text in ("1", "2")]
    held = await store.claim_for_running_turn("root", "o", MINUTE_MS, 10)
    wanted = [batch.batch_id for batch in early]
    expect_equal(ids(expect_present(held, "work for the running turn")), wanted, "what it takes in")
    expect_equal(await store.claim_for_running_turn("root", "o", MINUTE_MS, 10), None, "nothing else")
    expect_equal(ids(await store.list_pending_queued_work("root")), [waiting.batch_id], "what waits")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-37")
async def a_group_fence_exceeds_that_of_every_row(trial: Trial[RuntimePersistence]) -> None:
    """A group's fence is one more than the largest of its rows, not of its head."""
    store = trial.subject
    first = await store.enqueue_queued_work(joining("1"))
    await claim(store, ttl_ms=0)
    second = await store.enqueue_queued_work(joining("2"))
    worn = await store.claim_for_running_turn("root", "o", 0, 10)
    expect_equal(ids(worn), [first.batch_id, second.batch_id], "a claim of both")
    await store.cancel_queued_work_batch("root", first.batch_id)
    third = await store.enqueue_queued_work(joining("3"))
    both = await claim(store)
    expect_equal(ids(both), [second.batch_id, third.batch_id], "a claim of an old row and a new one")
    expect_equal(both.fencing_token, expect_present(worn, "it").fencing_token + 1, "the group's fence")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-6", needs=Feature.SECOND_HANDLE)
async def claims_keep_the_other_handle_out(trial: Trial[RuntimePersistence]) -> None:
    """What one handle claims the other one neither sees as pending nor gets, and may complete by its token."""
    await trial.subject.enqueue_queued_work(draft("x"))
    held = await claim(trial.subject)
    expect_equal(await trial.second.list_pending_queued_work("root"), [], "pending through the other handle")
    kept_out = await trial.second.claim_ready_queued_work("root", "o2", IDLE, MINUTE_MS, 1)
    expect_equal(kept_out, None, "a claim through the other handle")
    await trial.second.commit_runtime_state(next_commit(0).completing_queue_claim(held.completion()))
    expect_equal(await trial.subject.list_queued_work("root"), [], "the queue after the completion")
