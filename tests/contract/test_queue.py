"""Queued work: enqueue, claim, renew, abandon, cancel, list (contract 2.D.4 to 2.D.11)."""

from __future__ import annotations

import pytest

from lash.contracts import Database
from lash.values import ProcessWakePayload, process_wake_batch_draft

from .conftest import Backend
from .samples import (
    ALONE,
    CHECKPOINT,
    DEFAULT,
    EARLY,
    IDLE,
    JOIN,
    LATE,
    NEVER,
    commit,
    draft,
    group,
    ids,
    refused,
    text_of,
    wake,
)
from .settable import START_MS, SettableClock


async def test_enqueued_batch_echoes_its_draft_and_the_clock(db: Database) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(
        draft(
            "hi",
            delivery=LATE,
            slot=JOIN,
            merge=group("a"),
            source_key="k",
            available_at_ms=4_102_444_800_000,
        )
    )
    assert (batch.session_id, batch.source_key, batch.available_at_ms) == ("root", "k", 4_102_444_800_000)
    assert (batch.delivery_policy, batch.slot_policy, batch.merge_key) == (LATE, JOIN, group("a"))
    assert batch.enqueued_at_ms == START_MS
    assert [item.item_id for item in batch.items] == [f"{batch.batch_id}:item:0"]
    assert text_of(batch) == "hi"
    assert await store.list_queued_work("root") == [batch]


async def test_same_source_key_returns_the_stored_batch_and_ignores_new_content(
    db: Database, clock: SettableClock
) -> None:
    store = db.runtime_persistence()
    first = await store.enqueue_queued_work(draft("first", source_key="k"))
    clock.advance(5)
    again = await store.enqueue_queued_work(draft("changed", source_key="k", delivery=LATE))
    assert again == first
    assert ids(await store.list_queued_work("root")) == [first.batch_id]


async def test_source_keys_are_scoped_by_session_and_absent_ones_never_meet(db: Database) -> None:
    store = db.runtime_persistence()
    batches = [
        await store.enqueue_queued_work(draft("a", source_key="k")),
        await store.enqueue_queued_work(draft("a", "other", source_key="k")),
        await store.enqueue_queued_work(draft("a")),
        await store.enqueue_queued_work(draft("a")),
    ]
    assert len({batch.batch_id for batch in batches}) == 4
    seqs = [batch.enqueue_seq for batch in batches]
    assert seqs == sorted(set(seqs))


async def test_completed_key_stays_taken_and_cancelled_key_is_free_again(db: Database) -> None:
    store = db.runtime_persistence()
    done = await store.enqueue_queued_work(draft("done", source_key="done"))
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)
    assert claim is not None
    await store.commit_runtime_state(commit().completing_queue_claim(claim.completion()))
    assert await store.enqueue_queued_work(draft("again", source_key="done")) == done
    assert await store.list_queued_work("root") == []

    gone = await store.enqueue_queued_work(draft("gone", source_key="gone"))
    assert await store.cancel_queued_work_batch("root", gone.batch_id) == gone
    fresh = await store.enqueue_queued_work(draft("fresh", source_key="gone"))
    assert fresh.batch_id != gone.batch_id
    assert fresh.enqueue_seq > gone.enqueue_seq
    assert ids(await store.list_queued_work("root")) == [fresh.batch_id]


async def test_wake_of_the_same_event_is_enqueued_once_even_after_it_was_handled(db: Database) -> None:
    store = db.runtime_persistence()
    first = await store.enqueue_queued_work(process_wake_batch_draft(wake()))
    assert await store.enqueue_queued_work(process_wake_batch_draft(wake())) == first
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)
    assert claim is not None
    await store.commit_runtime_state(commit().completing_queue_claim(claim.completion()))
    assert await store.enqueue_queued_work(process_wake_batch_draft(wake())) == first
    assert await store.list_queued_work("root") == []


async def test_wakes_of_one_dedupe_key_coalesce_only_while_the_first_waits(db: Database) -> None:
    store = db.runtime_persistence()

    def of(sequence: int) -> ProcessWakePayload:
        return ProcessWakePayload(wake=wake(sequence=sequence, dedupe_key="same"))

    first = await store.enqueue_queued_work(process_wake_batch_draft(of(1).wake))
    assert await store.enqueue_queued_work(process_wake_batch_draft(of(2).wake)) == first
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)
    assert claim is not None
    # The first one has been read by whoever claimed it: a later event must not be swallowed.
    third = await store.enqueue_queued_work(process_wake_batch_draft(of(3).wake))
    assert third.batch_id != first.batch_id
    assert await store.enqueue_queued_work(process_wake_batch_draft(of(1).wake)) == first
    await store.commit_runtime_state(commit().completing_queue_claim(claim.completion()))
    assert await store.enqueue_queued_work(process_wake_batch_draft(of(4).wake)) == third
    assert await store.enqueue_queued_work(process_wake_batch_draft(of(1).wake)) == first
    assert ids(await store.list_queued_work("root")) == [third.batch_id]


@pytest.mark.parametrize("bad", [draft(session_id="  "), draft().replace(payloads=())])
async def test_blank_session_and_empty_batch_are_refused(db: Database, bad: object) -> None:
    store = db.runtime_persistence()
    with refused("invalid_argument"):
        await store.enqueue_queued_work(bad)  # type: ignore[arg-type]  # both are drafts
    assert await store.list_queued_work("  ") == []
    assert await store.list_queued_work("root") == []


async def test_content_that_json_cannot_say_is_refused_and_leaves_no_row(db: Database) -> None:
    store = db.runtime_persistence()
    (payload,) = draft().payloads
    bad = payload.replace(input=payload.input.replace(context={"x": float("nan")}))  # type: ignore[union-attr]
    with refused("json_not_representable"):
        await store.enqueue_queued_work(draft().replace(payloads=(bad,)))
    assert await store.list_queued_work("root") == []


async def test_idle_claim_carries_owner_times_token_and_fence(db: Database) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(draft())
    claim = await store.claim_ready_queued_work("root", "w1", IDLE, 60_000, 10)
    assert claim is not None
    assert (claim.session_id, claim.owner_id) == ("root", "w1")
    assert (claim.claimed_at_ms, claim.expires_at_ms) == (START_MS, START_MS + 60_000)
    assert claim.fencing_token == 1
    assert claim.batches == (batch,)
    assert claim.lease_token
    assert claim.claim_id


async def test_nothing_is_claimed_from_an_empty_queue_or_with_a_limit_of_zero(db: Database) -> None:
    store = db.runtime_persistence()
    assert await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10) is None
    await store.enqueue_queued_work(draft())
    assert await store.claim_ready_queued_work("root", "w", IDLE, 1000, 0) is None
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 1)
    assert claim is not None
    assert claim.fencing_token == 1


async def test_checkpoint_is_blocked_by_a_head_that_waits_for_the_commit(db: Database) -> None:
    store = db.runtime_persistence()
    late = await store.enqueue_queued_work(draft("late", delivery=LATE))
    early = await store.enqueue_queued_work(draft("early"))
    assert await store.claim_ready_queued_work("root", "w", CHECKPOINT, 1000, 10) is None
    head = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)
    assert ids(head) == [late.batch_id]
    # A head that is leased does not block.
    assert ids(await store.claim_ready_queued_work("root", "w", CHECKPOINT, 1000, 10)) == [early.batch_id]


async def test_running_turn_passes_over_work_that_waits_for_its_commit(db: Database) -> None:
    store = db.runtime_persistence()
    await store.enqueue_queued_work(draft("late", delivery=LATE))
    a = await store.enqueue_queued_work(draft("a", slot=JOIN, merge=DEFAULT))
    await store.enqueue_queued_work(draft("late", delivery=LATE))
    b = await store.enqueue_queued_work(draft("b", slot=JOIN, merge=DEFAULT))
    claim = await store.claim_for_running_turn("root", "w", 1000, 10)
    assert ids(claim) == [a.batch_id, b.batch_id]
    assert await store.claim_for_running_turn("root", "w", 1000, 10) is None


async def test_unavailable_head_is_passed_over_until_its_time_has_come(
    db: Database, clock: SettableClock
) -> None:
    store = db.runtime_persistence()
    later = await store.enqueue_queued_work(draft("later", available_at_ms=START_MS + 10))
    now = await store.enqueue_queued_work(draft("now", available_at_ms=START_MS))
    assert ids(await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)) == [now.batch_id]
    clock.advance(9)
    assert await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10) is None
    clock.advance(1)
    assert ids(await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)) == [later.batch_id]


@pytest.mark.parametrize(("slot", "merge"), [(ALONE, DEFAULT), (JOIN, NEVER)])
async def test_exclusive_and_never_merging_heads_are_claimed_alone(
    db: Database, slot: object, merge: object
) -> None:
    store = db.runtime_persistence()
    first = await store.enqueue_queued_work(draft(slot=slot, merge=merge))  # type: ignore[arg-type]
    second = await store.enqueue_queued_work(draft(slot=slot, merge=merge))  # type: ignore[arg-type]
    assert ids(await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)) == [first.batch_id]
    assert ids(await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)) == [second.batch_id]


async def test_joining_stops_at_the_first_row_of_another_shape_and_at_the_limit(db: Database) -> None:
    store = db.runtime_persistence()
    shapes = [
        (EARLY, JOIN, group("a")),
        (EARLY, JOIN, group("a")),
        (EARLY, JOIN, group("b")),
        (LATE, JOIN, group("b")),
        (EARLY, JOIN, DEFAULT),
        (EARLY, JOIN, DEFAULT),
        (EARLY, JOIN, DEFAULT),
        (EARLY, ALONE, DEFAULT),
    ]
    rows = [
        (await store.enqueue_queued_work(draft(delivery=d, slot=s, merge=m))).batch_id for d, s, m in shapes
    ]
    claims = [ids(await store.claim_ready_queued_work("root", "w", IDLE, 1000, 2)) for _ in range(6)]
    assert claims == [rows[:2], rows[2:3], rows[3:4], rows[4:6], rows[6:7], rows[7:8]]


async def test_joining_ignores_rows_of_others_and_rows_that_cannot_be_claimed_now(db: Database) -> None:
    store = db.runtime_persistence()
    a = await store.enqueue_queued_work(draft(slot=JOIN, merge=DEFAULT))
    await store.enqueue_queued_work(draft(session_id="other"))
    await store.enqueue_queued_work(draft(available_at_ms=START_MS + 1))
    b = await store.enqueue_queued_work(draft(slot=JOIN, merge=DEFAULT))
    assert ids(await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10)) == [a.batch_id, b.batch_id]


async def test_live_claim_keeps_everyone_out_and_an_expired_one_nobody(
    db: Database, clock: SettableClock
) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(draft())
    first = await store.claim_ready_queued_work("root", "w1", IDLE, 100, 10)
    assert first is not None
    clock.advance(99)
    assert await store.claim_ready_queued_work("root", "w1", IDLE, 100, 10) is None
    assert await store.claim_ready_queued_work("root", "w2", IDLE, 100, 10) is None
    clock.advance(1)  # live iff expires_at > now
    second = await store.claim_ready_queued_work("root", "w2", IDLE, 100, 10)
    assert second is not None
    assert ids(second) == [batch.batch_id]
    assert second.fencing_token > first.fencing_token
    assert (second.claim_id, second.lease_token) != (first.claim_id, first.lease_token)


async def test_time_to_live_of_zero_is_granted_and_over_at_once(db: Database) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(draft())
    first = await store.claim_ready_queued_work("root", "w1", IDLE, 0, 10)
    assert first is not None
    assert first.expires_at_ms == START_MS
    assert ids(await store.claim_ready_queued_work("root", "w2", IDLE, 1000, 10)) == [batch.batch_id]


async def test_negative_time_to_live_is_refused_without_a_claim(db: Database) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(draft())
    with refused("invalid_argument"):
        await store.claim_ready_queued_work("root", "w1", IDLE, -1, 10)
    assert ids(await store.list_pending_queued_work("root")) == [batch.batch_id]


async def test_huge_time_to_live_clamps_instead_of_wrapping(db: Database) -> None:
    store = db.runtime_persistence()
    await store.enqueue_queued_work(draft())
    claim = await store.claim_ready_queued_work("root", "w1", IDLE, 2**63 - 1, 10)
    assert claim is not None
    assert START_MS < claim.expires_at_ms <= 2**63 - 1
    assert await store.claim_ready_queued_work("root", "w2", IDLE, 1000, 10) is None


async def test_fence_is_above_that_of_every_row_of_the_group(db: Database) -> None:
    store = db.runtime_persistence()
    await store.enqueue_queued_work(draft("a", slot=JOIN, merge=DEFAULT, available_at_ms=START_MS + 50))
    b = await store.enqueue_queued_work(draft("b", slot=JOIN, merge=DEFAULT))
    fences = []
    for _ in range(3):
        claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 1)
        assert claim is not None
        assert ids(claim) == [b.batch_id]
        fences.append(claim.fencing_token)
        await store.abandon_queued_work_claim(claim)
    assert fences == [1, 2, 3]


async def test_fence_of_a_group_counts_from_its_highest_row(db: Database, clock: SettableClock) -> None:
    store = db.runtime_persistence()
    await store.enqueue_queued_work(draft("a", slot=JOIN, merge=DEFAULT, available_at_ms=START_MS + 50))
    await store.enqueue_queued_work(draft("b", slot=JOIN, merge=DEFAULT))
    for _ in range(3):
        claim = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 1)
        assert claim is not None
        await store.abandon_queued_work_claim(claim)
    clock.advance(50)
    both = await store.claim_ready_queued_work("root", "w", IDLE, 0, 2)
    assert both is not None
    assert (len(both.batches), both.fencing_token) == (2, 4)
    alone = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 1)
    assert alone is not None
    assert alone.fencing_token == 5


async def test_exact_claim_takes_what_comes_next_and_nothing_else(db: Database) -> None:
    store = db.runtime_persistence()
    rows = [(await store.enqueue_queued_work(draft(slot=JOIN, merge=DEFAULT))).batch_id for _ in range(3)]
    other = await store.enqueue_queued_work(draft(session_id="other"))
    wrong: list[list[str]] = [
        [],
        rows[1:2],
        [rows[1], rows[0]],
        [rows[0], rows[0]],
        [rows[0], rows[2]],
        [*rows, "nobody"],
        ["nobody"],
        [other.batch_id],
    ]
    for asked in wrong:
        assert await store.claim_ready_queued_work_by_batch_ids("root", "w", IDLE, 1000, asked) is None
    claim = await store.claim_ready_queued_work_by_batch_ids("root", "w", IDLE, 1000, rows[:2])
    assert claim is not None
    assert ids(claim) == rows[:2]
    assert claim.fencing_token == 1, "a refused exact claim must not have raised the fence (R-38)"
    assert ids(await store.list_pending_queued_work("root")) == rows[2:]


async def test_exact_claim_respects_the_boundary(db: Database) -> None:
    store = db.runtime_persistence()
    late = await store.enqueue_queued_work(draft(delivery=LATE))
    asked = [late.batch_id]
    assert await store.claim_ready_queued_work_by_batch_ids("root", "w", CHECKPOINT, 1000, asked) is None
    assert ids(await store.claim_ready_queued_work_by_batch_ids("root", "w", IDLE, 1000, asked)) == asked


async def test_renewal_counts_from_now_and_keeps_everything_else(db: Database, clock: SettableClock) -> None:
    store = db.runtime_persistence()
    await store.enqueue_queued_work(draft())
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 20, 10)
    assert claim is not None
    clock.advance(10)
    renewed = await store.renew_queued_work_claim(claim, 100)
    assert renewed == claim.replace(expires_at_ms=START_MS + 110)
    clock.advance(99)
    assert await store.claim_ready_queued_work("root", "w2", IDLE, 20, 10) is None
    clock.advance(1)
    assert await store.claim_ready_queued_work("root", "w2", IDLE, 20, 10) is not None


async def test_expired_claim_renews_unless_it_was_superseded(db: Database, clock: SettableClock) -> None:
    store = db.runtime_persistence()
    await store.enqueue_queued_work(draft())
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 20, 10)
    assert claim is not None
    clock.advance(500)
    await store.renew_queued_work_claim(claim, 20)
    clock.advance(500)
    assert await store.claim_ready_queued_work("root", "w2", IDLE, 20, 10) is not None
    with refused("queue_claim_expired") as problem:
        await store.renew_queued_work_claim(claim, 20)
    assert problem.value.facts["claim_id"] == claim.claim_id


async def test_renewal_of_a_partly_lost_claim_changes_nothing(db: Database, clock: SettableClock) -> None:
    store = db.runtime_persistence()
    rows = [(await store.enqueue_queued_work(draft(slot=JOIN, merge=DEFAULT))).batch_id for _ in range(2)]
    both = await store.claim_ready_queued_work("root", "w1", IDLE, 10, 2)
    assert both is not None
    clock.advance(10)
    taken = await store.claim_ready_queued_work("root", "w2", IDLE, 1000, 1)
    assert ids(taken) == rows[:1]
    with refused("queue_claim_expired"):
        await store.renew_queued_work_claim(both, 1000)
    # The second row was not extended: it is still there for anybody.
    assert ids(await store.claim_ready_queued_work("root", "w3", IDLE, 1000, 2)) == rows[1:]


async def test_abandoned_rows_return_to_their_places_in_any_order(db: Database) -> None:
    store = db.runtime_persistence()
    rows = [(await store.enqueue_queued_work(draft())).batch_id for _ in range(3)]
    first = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 1)
    second = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 1)
    assert first is not None
    assert second is not None
    await store.abandon_queued_work_claim(second)
    await store.abandon_queued_work_claim(first)
    await store.abandon_queued_work_claim(first)
    assert ids(await store.list_pending_queued_work("root")) == rows
    again = await store.claim_ready_queued_work("root", "w", IDLE, 1000, 1)
    assert again is not None
    assert ids(again) == rows[:1]
    assert again.fencing_token == first.fencing_token + 1


async def test_stale_abandon_gives_back_only_what_it_still_holds(db: Database, clock: SettableClock) -> None:
    store = db.runtime_persistence()
    rows = [(await store.enqueue_queued_work(draft(slot=JOIN, merge=DEFAULT))).batch_id for _ in range(2)]
    both = await store.claim_ready_queued_work("root", "w1", IDLE, 10, 2)
    assert both is not None
    clock.advance(10)
    taken = await store.claim_ready_queued_work("root", "w2", IDLE, 1000, 1)
    assert taken is not None
    await store.abandon_queued_work_claim(both)
    assert ids(await store.list_pending_queued_work("root")) == rows[1:]
    await store.renew_queued_work_claim(taken, 1000)


async def test_cancel_takes_an_unclaimed_batch_out_once(db: Database) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(draft("x"))
    assert await store.cancel_queued_work_batch("other", batch.batch_id) is None
    assert await store.cancel_queued_work_batch("root", "nobody") is None
    assert await store.cancel_queued_work_batch("root", batch.batch_id) == batch
    assert await store.cancel_queued_work_batch("root", batch.batch_id) is None
    assert await store.list_queued_work("root") == []
    assert await store.claim_ready_queued_work("root", "w", IDLE, 1000, 10) is None


async def test_claimed_batch_is_cancellable_only_after_its_claim_is_over(
    db: Database, clock: SettableClock
) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(draft())
    claim = await store.claim_ready_queued_work("root", "w", IDLE, 10, 10)
    assert claim is not None
    assert await store.cancel_queued_work_batch("root", batch.batch_id) is None
    assert ids(await store.list_queued_work("root")) == [batch.batch_id]
    assert await store.list_pending_queued_work("root") == []
    clock.advance(10)
    assert ids(await store.list_pending_queued_work("root")) == [batch.batch_id]
    assert await store.cancel_queued_work_batch("root", batch.batch_id) == batch
    with refused("queue_claim_expired"):
        await store.commit_runtime_state(commit().completing_queue_claim(claim.completion()))


async def test_pending_list_includes_unavailable_work(db: Database) -> None:
    store = db.runtime_persistence()
    batch = await store.enqueue_queued_work(draft(available_at_ms=START_MS + 1_000))
    assert ids(await store.list_pending_queued_work("root")) == [batch.batch_id]


async def test_queue_operations_never_bind_a_handle(db: Database) -> None:
    store = db.runtime_persistence()
    for session_id in ("root", "other"):
        await store.enqueue_queued_work(draft(session_id=session_id))
        assert await store.claim_ready_queued_work(session_id, "w", IDLE, 1000, 10) is not None
    await store.commit_runtime_state(commit("third"))


async def test_queue_is_seen_through_another_handle_at_once(backend: Backend) -> None:
    other = await backend.another_handle()
    mine, theirs = backend.db.runtime_persistence(), other.runtime_persistence()
    batch = await mine.enqueue_queued_work(draft("x", source_key="k"))
    assert await theirs.list_queued_work("root") == [batch]
    assert await theirs.enqueue_queued_work(draft("y", source_key="k")) == batch
    claim = await theirs.claim_ready_queued_work("root", "w", IDLE, 1000, 10)
    assert claim is not None
    assert await mine.list_pending_queued_work("root") == []
    await mine.abandon_queued_work_claim(claim)
    assert ids(await theirs.list_pending_queued_work("root")) == [batch.batch_id]
