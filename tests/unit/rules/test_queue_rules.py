"""Laws of queue selection (contract 2.D.5, 2.D.6; R-16, R-31, R-36 to R-38)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError
from lash.rules.queue import (
    QueueRow,
    candidates,
    check_held,
    group_at_head,
    is_cancellable,
    is_claimed,
    merge_key_of,
    merge_key_text,
    next_fence,
    select_exact,
    select_for_running_turn,
    select_ready,
)
from lash.values import MergeGroup, MergePayloadDefault, NeverMerge, QueuedWorkClaimBoundary

NOW = 1_000
IDLE = QueuedWorkClaimBoundary.IDLE
CHECKPOINT = QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
EARLY, LATE = "earliest_safe_boundary", "after_current_turn_commit"

merge_keys = st.one_of(
    st.just(NeverMerge()), st.just(MergePayloadDefault()), st.builds(MergeGroup, name=st.text(max_size=8))
)


@st.composite
def queues(draw: st.DrawFn) -> list[QueueRow]:
    """Rows of one session in any order, claimed and unavailable ones among them."""
    count = draw(st.integers(0, 8))
    rows = []
    for seq in range(count):
        is_held = draw(st.booleans()) and draw(st.booleans())
        rows.append(
            QueueRow(
                batch_id=f"b{seq}",
                enqueue_seq=seq,
                delivery_policy=draw(st.sampled_from([EARLY, EARLY, LATE])),
                slot_policy=draw(st.sampled_from(["join", "join", "exclusive"])),
                merge_key=draw(st.sampled_from(["payload_default", "payload_default", "group:a", "never"])),
                available_at_ms=draw(st.sampled_from([0, NOW, NOW, NOW + 1])),
                claim_owner_id="w" if is_held else None,
                claim_token="t" if is_held else None,
                claim_expires_at_ms=draw(st.sampled_from([NOW - 1, NOW, NOW + 1])) if is_held else 0,
                fencing_token=draw(st.integers(0, 5)),
                run_turn_id=draw(st.sampled_from([None, None, None, "t1"])),
            )
        )
    return draw(st.permutations(rows))


def _ids(rows: list[QueueRow]) -> list[str]:
    return [row.batch_id for row in rows]


def _ready(rows: list[QueueRow], limit: int = 10, boundary: QueuedWorkClaimBoundary = IDLE) -> list[str]:
    return _ids(select_ready(rows, boundary=boundary, max_batches=limit, now_ms=NOW))


@given(queues())
def test_candidates_are_free_available_rows_of_no_turn_in_order(rows: list[QueueRow]) -> None:
    found = _ids(candidates(rows, NOW))
    assert found == sorted(found)
    for row in rows:
        free = row.claim_token is None or row.claim_expires_at_ms <= NOW
        assert (row.batch_id in found) == (free and row.available_at_ms <= NOW and row.run_turn_id is None)


@given(queues(), st.integers(0, 9))
def test_group_starts_at_the_head_and_is_of_one_shape(rows: list[QueueRow], limit: int) -> None:
    ready = candidates(rows, NOW)
    group = select_ready(rows, boundary=IDLE, max_batches=limit, now_ms=NOW)
    assert group == ready[: len(group)]
    assert len(group) <= limit
    assert bool(group) == bool(ready and limit)
    if len(group) > 1:
        assert {row.slot_policy for row in group} == {"join"}
        assert len({(row.delivery_policy, row.merge_key) for row in group}) == 1
        assert group[0].merge_key != "never"


@given(queues())
def test_group_is_as_large_as_it_may_be(rows: list[QueueRow]) -> None:
    ready = candidates(rows, NOW)
    group = select_ready(rows, boundary=IDLE, max_batches=10, now_ms=NOW)
    if group and len(group) < len(ready) and group[0].slot_policy == "join" and group[0].merge_key != "never":
        following, head = ready[len(group)], group[0]
        assert (following.slot_policy, following.delivery_policy, following.merge_key) != (
            head.slot_policy,
            head.delivery_policy,
            head.merge_key,
        )


@given(queues(), st.integers(0, 9))
def test_rows_that_are_no_candidates_change_nothing(rows: list[QueueRow], limit: int) -> None:
    assert _ready(rows, limit) == _ready(candidates(rows, NOW), limit)


@given(queues(), st.integers(0, 9))
def test_checkpoint_gives_the_idle_group_or_nothing(rows: list[QueueRow], limit: int) -> None:
    at_checkpoint = select_ready(rows, boundary=CHECKPOINT, max_batches=limit, now_ms=NOW)
    ready = candidates(rows, NOW)
    blocked = bool(ready) and ready[0].delivery_policy == LATE
    assert _ids(at_checkpoint) == ([] if blocked else _ready(rows, limit))


@given(queues(), st.integers(0, 9))
def test_running_turn_sees_the_queue_without_late_rows(rows: list[QueueRow], limit: int) -> None:
    early = [row for row in rows if row.delivery_policy == EARLY]
    running = select_for_running_turn(rows, max_batches=limit, now_ms=NOW)
    assert _ids(running) == _ready(early, limit)


@given(queues(), st.integers(0, 9))
def test_exact_claim_accepts_the_next_group_and_no_other_order(rows: list[QueueRow], limit: int) -> None:
    group = _ready(rows, limit)

    def exact(asked: list[str]) -> list[str]:
        return _ids(select_exact(rows, boundary=IDLE, batch_ids=asked, now_ms=NOW))

    assert exact(group) == group
    if len(group) > 1:
        assert exact(group[::-1]) == []
        assert exact(group[1:]) == []
        assert exact(group[:-1]) == group[:-1]
    assert exact([*group, "nobody"]) == []
    assert exact([]) == []


@given(queues())
def test_fence_is_above_every_row_of_the_group(rows: list[QueueRow]) -> None:
    group = select_ready(rows, boundary=IDLE, max_batches=10, now_ms=NOW)
    assert all(next_fence(group) > row.fencing_token for row in group)
    assert next_fence([]) == 1


@given(queues())
def test_dead_owner_holds_nothing(rows: list[QueueRow]) -> None:
    assert not any(is_claimed(row, NOW, {"w"}) for row in rows)
    assert set(_ids(candidates(rows, NOW))) <= set(_ids(candidates(rows, NOW, {"w"})))


@given(queues())
def test_cancellable_rows_are_free_and_of_no_turn(rows: list[QueueRow]) -> None:
    for row in rows:
        free = row.claim_token is None or row.claim_expires_at_ms <= NOW
        assert is_cancellable(row, NOW) == (free and row.run_turn_id is None)


@given(merge_keys, merge_keys)
def test_merge_key_texts_are_equal_when_the_keys_are(one: object, two: object) -> None:
    texts = [merge_key_text(key) for key in (one, two)]  # type: ignore[arg-type]  # drawn from merge_keys
    assert (texts[0] == texts[1]) == (one == two)
    assert merge_key_of(texts[0]) == one


def test_unknown_merge_key_text_is_corruption() -> None:
    with pytest.raises(LashError) as problem:
        merge_key_of("sometimes")
    assert problem.value.code == "stored_data_corrupt"


@given(
    st.lists(st.sampled_from("abcd"), max_size=4), st.lists(st.sampled_from("abcd"), max_size=4, unique=True)
)
def test_claim_holds_exactly_the_rows_that_it_names(named: list[str], held: list[str]) -> None:
    def outcome() -> str:
        try:
            check_held("s", "c", named, held)
        except LashError as problem:
            return problem.code
        return "held"

    assert outcome() == ("held" if sorted(named) == sorted(held) else "queue_claim_expired")


def test_group_of_nothing_is_nothing() -> None:
    assert group_at_head([], 5) == []
