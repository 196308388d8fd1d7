"""Queued work on its way in: source keys, lists, cancelling (contracts 2.D.4 and 2.D.9 to 2.D.11)."""

from __future__ import annotations

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import (
    expect,
    expect_equal,
    expect_kind,
    expect_only,
    expect_present,
    refused,
)
from lash.testing.conformance.samples.queue import (
    ALONE,
    EARLY,
    JOIN,
    LATE,
    YEAR_2100_MS,
    batch_text,
    claim,
    draft,
    ids,
    queued_turn_input_draft,
    sample_wake,
)
from lash.testing.conformance.samples.sessions import commit_of, next_commit
from lash.testing.conformance.trial import Trial
from lash.values import MergeGroup, ProcessWakePayload, process_wake_batch_draft


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def queued_work_source_keys_are_idempotent_and_list_ordered(trial: Trial[RuntimePersistence]) -> None:
    """A source key returns the stored batch, payload and all; a list is one session's, in order."""
    store = trial.subject
    first = await store.enqueue_queued_work(
        queued_turn_input_draft("root", "first", EARLY, JOIN).replace(source_key="source:first")
    )
    replay = await store.enqueue_queued_work(
        queued_turn_input_draft("root", "different replay payload", EARLY, JOIN).replace(
            source_key="source:first"
        )
    )
    second = await store.enqueue_queued_work(queued_turn_input_draft("root", "second", EARLY, ALONE))
    await store.enqueue_queued_work(queued_turn_input_draft("other", "other session", EARLY, ALONE))
    expect_equal(replay.batch_id, first.batch_id, "a replayed source key returns the original batch")
    expect_equal(replay.items[0].item_id, first.items[0].item_id, "and its items")
    expect_equal(batch_text(replay), "first", "and the stored payload, not the replay's")
    listed = await store.list_queued_work("root")
    expect_equal(ids(listed), [first.batch_id, second.batch_id], "the session's batches in order")
    expect(listed[0].enqueue_seq < listed[1].enqueue_seq, "the sequence grows")


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def queued_work_cancel_removes_only_unclaimed_batches(trial: Trial[RuntimePersistence]) -> None:
    """Unclaimed work can be cancelled; claimed work cannot, is hidden from pending, and stays listed."""
    store = trial.subject
    cancellable = await store.enqueue_queued_work(draft("cancel me", delivery=LATE))
    cancelled = expect_present(
        await store.cancel_queued_work_batch("root", cancellable.batch_id), "the cancelled batch is returned"
    )
    expect_equal(cancelled.batch_id, cancellable.batch_id, "the batch that was cancelled")
    expect_equal(batch_text(cancelled), "cancel me", "its payload")
    expect_equal(await store.list_queued_work("root"), [], "cancelled batches leave the queue")
    claimed = await store.enqueue_queued_work(draft("claimed", delivery=LATE))
    held = await claim(store, most=1)
    expect_equal(ids(held), [claimed.batch_id], "the claimed batch")
    expect_equal(await store.list_pending_queued_work("root"), [], "claimed work is not pending")
    expect_equal(len(await store.list_queued_work("root")), 1, "claimed work stays until it is completed")
    refusal = await store.cancel_queued_work_batch("root", claimed.batch_id)
    expect_equal(refusal, None, "claimed work is not cancelled")
    await store.abandon_queued_work_claim(held)
    expect_equal(len(await store.list_pending_queued_work("root")), 1, "abandoned work is pending again")
    expect_present(
        await store.cancel_queued_work_batch("root", claimed.batch_id), "abandoned work can be cancelled"
    )


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def queued_wake_delivery_is_source_key_idempotent_and_claimed_once(
    trial: Trial[RuntimePersistence],
) -> None:
    """A wake enqueued twice is one batch of one item, claimed once and then gone."""
    store, wake = trial.subject, sample_wake()
    first = await store.enqueue_queued_work(process_wake_batch_draft(wake))
    replay = await store.enqueue_queued_work(process_wake_batch_draft(wake))
    expect_equal(replay.batch_id, first.batch_id, "a replayed wake returns the original batch")
    expect_equal(len(await store.list_queued_work("root")), 1, "a replayed wake makes no second delivery")
    held = await claim(store, owner="wake-owner")
    expect_equal(len(held.batches), 1, "the batches of the claim")
    expect_equal(len(held.batches[0].items), 1, "the items of the batch")
    payload = held.batches[0].items[0].payload
    expect_equal(expect_kind(payload, ProcessWakePayload, "the payload").wake, wake, "the wake")
    await store.commit_runtime_state(commit_of().completing_queue_claim(held.completion()))
    expect_equal(await store.list_queued_work("root"), [], "a completed wake is gone")


@case(Contract.RUNTIME_PERSISTENCE)
async def source_keys_belong_to_a_session(trial: Trial[RuntimePersistence]) -> None:
    """The same key in another session is other work; no key at all is always new work."""
    store = trial.subject
    one = await store.enqueue_queued_work(draft("x", "one", source_key="k"))
    two = await store.enqueue_queued_work(draft("x", "two", source_key="k"))
    expect(one.batch_id != two.batch_id, "a key is scoped by its session")
    plain = [await store.enqueue_queued_work(draft("x", "one")) for _ in range(2)]
    expect_equal(len({batch.batch_id for batch in plain}), 2, "work without a key is always new")


@case(Contract.RUNTIME_PERSISTENCE)
async def source_keys_hold_while_claimed_and_once_completed(trial: Trial[RuntimePersistence]) -> None:
    """A claimed or completed batch still answers for its key, and is not given out again."""
    store = trial.subject
    first = await store.enqueue_queued_work(draft("x", source_key="k"))
    held = await claim(store)
    while_claimed = await store.enqueue_queued_work(draft("y", source_key="k"))
    expect_equal(while_claimed.batch_id, first.batch_id, "the key of a claimed batch")
    await store.commit_runtime_state(commit_of().completing_queue_claim(held.completion()))
    once_completed = await store.enqueue_queued_work(draft("z", source_key="k"))
    expect_equal(once_completed.batch_id, first.batch_id, "the key of a completed batch")
    expect_equal(await store.list_queued_work("root"), [], "completed work is not listed again")


@case(Contract.RUNTIME_PERSISTENCE)
async def cancelled_source_keys_are_free_again(trial: Trial[RuntimePersistence]) -> None:
    """After a cancel the key makes new work."""
    store = trial.subject
    first = await store.enqueue_queued_work(draft("x", source_key="k"))
    await store.cancel_queued_work_batch("root", first.batch_id)
    again = await store.enqueue_queued_work(draft("y", source_key="k"))
    expect(again.batch_id != first.batch_id, "a cancelled key makes new work")
    expect_equal(batch_text(again), "y", "with its own payload")
    repeat = await store.enqueue_queued_work(draft("z", source_key="k"))
    expect_equal(repeat.batch_id, again.batch_id, "which then answers for the key")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-52")
async def settled_wakes_are_not_delivered_again(trial: Trial[RuntimePersistence]) -> None:
    """A completed wake suppresses its own event only: a later event with the same dedupe key is new work."""
    store = trial.subject
    first = await store.enqueue_queued_work(process_wake_batch_draft(sample_wake(1)))
    await store.commit_runtime_state(commit_of().completing_queue_claim((await claim(store)).completion()))
    again = await store.enqueue_queued_work(process_wake_batch_draft(sample_wake(1)))
    expect_equal(again.batch_id, first.batch_id, "the same event is settled")
    later = await store.enqueue_queued_work(process_wake_batch_draft(sample_wake(2)))
    expect(later.batch_id != first.batch_id, "a later event of the dedupe key is delivered")
    expect_equal(ids(await store.list_queued_work("root")), [later.batch_id], "what is pending")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-35")
async def empty_batches_are_refused(trial: Trial[RuntimePersistence]) -> None:
    """Work without a payload or without a session is refused and uses nothing up."""
    with refused("invalid_argument", "work without a payload"):
        await trial.subject.enqueue_queued_work(draft("x").replace(payloads=()))
    for blank in ("", " \t"):
        with refused("invalid_argument", "work of a blank session"):
            await trial.subject.enqueue_queued_work(draft("x", blank))
    expect_equal(await trial.subject.list_queued_work("root"), [], "the queue after the refusals")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-15")
async def batch_ids_and_sequences_are_never_reused(trial: Trial[RuntimePersistence]) -> None:
    """Sequences grow over all sessions of a store, also after the newest batch is gone."""
    store = trial.subject
    batches = [await store.enqueue_queued_work(draft("x", session)) for session in ("one", "two", "one")]
    await store.cancel_queued_work_batch("one", batches[-1].batch_id)
    batches.append(await store.enqueue_queued_work(draft("x", "one")))
    sequences = [batch.enqueue_seq for batch in batches]
    expect_equal(sequences, sorted(set(sequences)), "sequences grow and are never reused")
    expect_equal(len({batch.batch_id for batch in batches}), 4, "ids are never reused")


@case(Contract.RUNTIME_PERSISTENCE)
async def batches_round_trip_whole(trial: Trial[RuntimePersistence]) -> None:
    """What is listed and claimed is what was enqueued: payloads, policies, key, availability."""
    store = trial.subject
    wanted = draft("one", slot=JOIN, group="g", source_key="k", delivery=LATE, available_at_ms=5)
    wanted = wanted.replace(payloads=(*wanted.payloads, *draft("two").payloads))
    stored = await store.enqueue_queued_work(wanted)
    listed = expect_only(await store.list_queued_work("root"), "the queue")
    held = await claim(store)
    for batch in (stored, listed, *held.batches):
        expect_equal(batch, stored, "a batch as listed and as claimed")
        expect_equal(batch.payloads, wanted.payloads, "its payloads")
        shown = (batch.delivery_policy, batch.slot_policy, batch.merge_key, batch.source_key)
        expect_equal(shown, (LATE, JOIN, MergeGroup(name="g"), "k"), "its policies and keys")
        expect_equal(batch.available_at_ms, 5, "its availability")
        expect_equal(
            [item.item_id for item in batch.items],
            [f"{batch.batch_id}:item:0", f"{batch.batch_id}:item:1"],
            "its item ids",
        )


@case(Contract.RUNTIME_PERSISTENCE)
async def cancelling_is_scoped_and_once(trial: Trial[RuntimePersistence]) -> None:
    """A batch of another session, an unknown one and one that was cancelled before give None."""
    store = trial.subject
    batch = await store.enqueue_queued_work(draft("x", "one"))
    expect_equal(await store.cancel_queued_work_batch("two", batch.batch_id), None, "another session's batch")
    expect_equal(await store.cancel_queued_work_batch("one", "nowhere"), None, "an unknown batch")
    expect_present(await store.cancel_queued_work_batch("one", batch.batch_id), "the session's own batch")
    expect_equal(await store.cancel_queued_work_batch("one", batch.batch_id), None, "a second cancel")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-32")
async def expired_claims_can_be_cancelled_away(trial: Trial[RuntimePersistence]) -> None:
    """A batch with an expired claim is pending, cancellable, and then lost to its late owner."""
    store = trial.subject
    batch = await store.enqueue_queued_work(draft("x"))
    late = await claim(store, ttl_ms=0)
    expect_equal(ids(await store.list_pending_queued_work("root")), [batch.batch_id], "pending work")
    expect_present(await store.cancel_queued_work_batch("root", batch.batch_id), "the expired batch")
    with refused("queue_claim_expired", "the completion of a cancelled batch"):
        await store.commit_runtime_state(next_commit(0).completing_queue_claim(late.completion()))


@case(Contract.RUNTIME_PERSISTENCE)
async def pending_lists_show_what_is_not_available_yet(trial: Trial[RuntimePersistence]) -> None:
    """Work for later is pending, and listed, and not claimed."""
    store = trial.subject
    batch = await store.enqueue_queued_work(draft("later", available_at_ms=YEAR_2100_MS))
    expect_equal(ids(await store.list_pending_queued_work("root")), [batch.batch_id], "pending work")
    expect_equal(ids(await store.list_queued_work("root")), [batch.batch_id], "listed work")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-3", needs=Feature.CLOCK)
async def batches_and_claims_carry_the_time_of_their_operation(trial: Trial[RuntimePersistence]) -> None:
    """Enqueue and claim times are the clock's at that operation, and a claim's end counts from it."""
    store = trial.subject
    enqueued_at_ms = trial.clock.advance(5)
    batch = await store.enqueue_queued_work(draft("x"))
    expect_equal(batch.enqueued_at_ms, enqueued_at_ms, "when the batch was enqueued")
    claimed_at_ms = trial.clock.advance(7)
    held = await claim(store, ttl_ms=100)
    expect_equal(held.claimed_at_ms, claimed_at_ms, "when the claim was made")
    expect_equal(held.expires_at_ms, claimed_at_ms + 100, "when the claim ends")
    renewed_at_ms = trial.clock.advance(50)
    renewed = await store.renew_queued_work_claim(held, 100)
    expect_equal(renewed.expires_at_ms, renewed_at_ms + 100, "when the renewed claim ends")
