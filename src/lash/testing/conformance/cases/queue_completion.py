"""Completing claims with a commit (contract 2.D.3, rules R-31 and R-32)."""

from __future__ import annotations

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect, expect_equal, refused
from lash.testing.conformance.samples.queue import IDLE, MINUTE_MS, claim, draft, ids, joining
from lash.testing.conformance.samples.sessions import FULL, commit_of, next_commit, stamp
from lash.testing.conformance.trial import Trial


@case(Contract.RUNTIME_PERSISTENCE, seed=True, rule="R-31")
async def queued_work_completion_is_lease_guarded(trial: Trial[RuntimePersistence]) -> None:
    """A stale token completes nothing; the right one completes all rows of the claim."""
    store = trial.subject
    first = await store.enqueue_queued_work(joining("join one", "joined"))
    second = await store.enqueue_queued_work(joining("join two", "joined"))
    held = await claim(store, owner="owner-a")
    expect_equal(ids(held), [first.batch_id, second.batch_id], "the joined claim")
    stale = held.completion().replace(lease_token=held.lease_token + ":stale")
    with refused("queue_claim_expired", "a completion with a stale token"):
        await store.commit_runtime_state(commit_of().completing_queue_claim(stale))
    expect_equal(len(await store.list_queued_work("root")), 2, "the queue after the refusal")
    await store.commit_runtime_state(commit_of().completing_queue_claim(held.completion()))
    expect_equal(await store.list_queued_work("root"), [], "the queue after the completion")


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def queue_completion_and_turn_commit_stamp_are_atomic(trial: Trial[RuntimePersistence]) -> None:
    """A bad completion refuses the whole commit; a good one stamps it, and its retry finds the stamp."""
    store = trial.subject
    batch = await store.enqueue_queued_work(draft("atomic queue"))
    held = await claim(store, owner="queue-owner", most=1)
    expect_equal(ids(held), [batch.batch_id], "the claim")
    base = commit_of(turn_index=41)
    stamped = base.with_turn_commit(stamp("turn-atomic", base.turn_commit_hash()))
    stale = held.completion().replace(lease_token=held.lease_token + ":stale")
    with refused("queue_claim_expired", "a commit with a stale completion"):
        await store.commit_runtime_state(stamped.completing_queue_claim(stale))
    expect_equal(await store.load_session(FULL), None, "the session after the refusal")
    expect_equal(len(await store.list_queued_work("root")), 1, "the queue after the refusal")
    final = stamped.completing_queue_claim(held.completion())
    first, retry = await store.commit_runtime_state(final), await store.commit_runtime_state(final)
    expect_equal(retry.head_revision, first.head_revision, "the retry's revision")
    expect_equal(retry.checkpoint_ref, first.checkpoint_ref, "the retry's checkpoint")
    expect(await store.load_session(FULL) is not None, "the session is there")
    expect_equal(await store.list_queued_work("root"), [], "the queue after the commit")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-31")
async def completions_name_exactly_the_rows_of_their_claim(trial: Trial[RuntimePersistence]) -> None:
    """Missing, extra, doubled and foreign ids, and another session's claim, are refused alike."""
    store = trial.subject
    for text in ("1", "2"):
        await store.enqueue_queued_work(joining(text))
    held = (await claim(store)).completion()
    apart = await store.enqueue_queued_work(draft("apart"))
    a, b = held.batch_ids
    for wrong in ((a,), (a, b, apart.batch_id), (a, a), (a, b, b), (a, apart.batch_id), ()):
        with refused("queue_claim_expired", f"a completion of {len(wrong)} ids that are not the claim's"):
            await store.commit_runtime_state(
                next_commit(0).completing_queue_claim(held.replace(batch_ids=wrong))
            )
    with refused("queue_claim_expired", "the same claim twice in one commit"):
        await store.commit_runtime_state(
            next_commit(0).completing_queue_claim(held).completing_queue_claim(held)
        )
    expect_equal(len(await store.list_queued_work("root")), 3, "the queue after refusals")
    await store.commit_runtime_state(next_commit(0).completing_queue_claim(held.replace(batch_ids=(b, a))))
    expect_equal(ids(await store.list_queued_work("root")), [apart.batch_id], "order does not matter")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-31")
async def claims_of_another_session_are_not_completed(trial: Trial[RuntimePersistence]) -> None:
    """A commit completes claims of its own session only, however they are labelled."""
    store = trial.subject
    batch = await store.enqueue_queued_work(draft("x", "other"))
    held = (await claim(store, "other")).completion()
    for label in ("other", "root"):
        with refused("queue_claim_expired", f"another session's claim, labelled {label!r}"):
            await store.commit_runtime_state(
                next_commit(0).completing_queue_claim(held.replace(session_id=label))
            )
    expect_equal(ids(await store.list_queued_work("other")), [batch.batch_id], "the other session's queue")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-32")
async def expired_claims_complete_until_somebody_takes_over(trial: Trial[RuntimePersistence]) -> None:
    """Expiry alone voids no completion; a re-claim does."""
    store = trial.subject
    for text in ("1", "2"):
        await store.enqueue_queued_work(draft(text))
    late = await claim(store, ttl_ms=0)
    await store.commit_runtime_state(next_commit(0).completing_queue_claim(late.completion()))
    expect_equal(len(await store.list_queued_work("root")), 1, "the late completion counts")
    lost = await claim(store, ttl_ms=0)
    winner = await claim(store, owner="winner")
    with refused("queue_claim_expired", "the completion of a claim that was taken over"):
        await store.commit_runtime_state(next_commit(1).completing_queue_claim(lost.completion()))
    await store.commit_runtime_state(next_commit(1).completing_queue_claim(winner.completion()))
    expect_equal(await store.list_queued_work("root"), [], "the winner completes")


@case(Contract.RUNTIME_PERSISTENCE)
async def one_commit_completes_several_claims(trial: Trial[RuntimePersistence]) -> None:
    """All claims that a turn worked on end with its commit, and completed rows are not given out again."""
    store = trial.subject
    for text in ("1", "2"):
        await store.enqueue_queued_work(draft(text))
    commit = next_commit(0)
    for held in (await claim(store), await claim(store)):
        commit = commit.completing_queue_claim(held.completion())
    await store.commit_runtime_state(commit)
    expect_equal(await store.list_queued_work("root"), [], "the queue after the commit")
    again = await store.claim_ready_queued_work("root", "o", IDLE, MINUTE_MS, 10)
    expect_equal(again, None, "completed work")
    with refused("queue_claim_expired", "a completed claim that is completed again"):
        await store.commit_runtime_state(next_commit(1, completed_queue_claims=commit.completed_queue_claims))
