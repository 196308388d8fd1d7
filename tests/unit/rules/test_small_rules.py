"""Laws of leases, the ledger, the manifest, the journal, turns and the storage gate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError
from lash.rules.journal import (
    EffectDecision,
    EffectRow,
    cancel_wait_key,
    decide_effect_claim,
    turn_scopes_prefix,
)
from lash.rules.leases import (
    LeaseRow,
    check_current_lease,
    check_renewable_lease,
    expires_at,
    granted_lease,
    is_current_lease,
    is_live,
    lease_row,
    released,
)
from lash.rules.ledger import fresh_deltas, merge_ledger
from lash.rules.manifest import is_left_over, row_after_commit, row_after_intent
from lash.rules.queue import QueueRow
from lash.rules.storable import storable_bytes
from lash.rules.turns import TurnGroup, TurnRow, cancel_answer, next_turn, select_injections, turn_status
from lash.values import (
    AttachmentIntent,
    AttachmentManifestEntry,
    ClaimRefused,
    EffectIdentity,
    EffectScope,
    PluginNode,
    RuntimeEffectKind,
    TokenLedgerEntry,
    TokenUsage,
    TurnState,
)

times = st.integers(0, 2**63 - 1)
BIG = 2**63 - 1


def _code(call: Any, *args: Any, **kwargs: Any) -> str:
    try:
        call(*args, **kwargs)
    except LashError as problem:
        return problem.code
    return "ok"


@given(times, st.integers(0, 2**70))
def test_expiry_never_wraps_and_never_precedes_now(now_ms: int, ttl_ms: int) -> None:
    assert now_ms <= expires_at(now_ms, ttl_ms) <= BIG
    assert is_live("w", expires_at(now_ms, ttl_ms), now_ms) == (ttl_ms > 0 and now_ms < BIG)


@given(times, st.integers(max_value=-1))
def test_negative_time_to_live_is_refused(now_ms: int, ttl_ms: int) -> None:
    assert _code(expires_at, now_ms, ttl_ms) == "invalid_argument"


@given(st.lists(st.tuples(st.sampled_from(["claim", "release"]), st.integers(0, 50)), max_size=12))
def test_generations_only_grow_and_one_lease_is_current(steps: list[tuple[str, int]]) -> None:
    row, leases, now_ms = LeaseRow(), [], 0
    for number, (step, ms) in enumerate(steps):
        now_ms += ms
        if step == "release":
            row = released(row)
            assert not any(is_current_lease(lease, row) for lease in leases)
            continue
        lease = granted_lease("s", row, owner_id="w", lease_token=f"t{number}", now_ms=now_ms, ttl_ms=20)
        assert all(lease.generation > earlier.generation for earlier in leases)
        leases.append(lease)
        row = lease_row(lease)
        assert [is_current_lease(lease, row) for lease in leases] == [False] * (len(leases) - 1) + [True]


@given(st.integers(0, 40))
def test_expired_lease_stays_current_but_cannot_be_renewed(now_ms: int) -> None:
    lease = granted_lease("s", LeaseRow(), owner_id="w", lease_token="t", now_ms=0, ttl_ms=20)
    row = lease_row(lease)
    check_current_lease(lease, row)
    assert _code(check_renewable_lease, lease, row, now_ms) == ("ok" if now_ms < 20 else "session_lease_lost")


entries = st.builds(
    TokenLedgerEntry,
    source=st.sampled_from(["turn", "sub"]),
    model=st.sampled_from(["m", "n"]),
    usage=st.builds(TokenUsage, input_tokens=st.integers(0, 9), cached_input_tokens=st.integers(0, 2)),
    key=st.sampled_from([None, None, "k1", "k2", "k3"]),
)


@given(st.lists(entries), st.lists(entries))
def test_merging_in_steps_is_merging_at_once(
    one: list[TokenLedgerEntry], two: list[TokenLedgerEntry]
) -> None:
    assert merge_ledger([*merge_ledger(one), *two]) == merge_ledger([*one, *two])


@given(st.lists(entries))
def test_merge_keeps_every_token_and_one_entry_a_label(given_entries: list[TokenLedgerEntry]) -> None:
    merged = merge_ledger(given_entries)
    labels = [(entry.source, entry.model) for entry in merged]
    assert len(set(labels)) == len(labels)
    assert sum(entry.usage.input_tokens for entry in merged) == sum(
        entry.usage.input_tokens for entry in given_entries
    )
    assert not any(entry.usage.is_zero for entry in merged)


def test_sum_beyond_64_bits_is_refused() -> None:
    huge = TokenLedgerEntry(source="s", model="m", usage=TokenUsage(input_tokens=BIG))
    one = TokenLedgerEntry(source="s", model="m", usage=TokenUsage(input_tokens=1))
    assert _code(merge_ledger, [huge]) == "ok"
    assert _code(merge_ledger, [huge, one]) == "monotonic_counter_overflow"


@given(st.lists(entries), st.sets(st.sampled_from(["k1", "k2", "k3"])))
def test_key_counts_once_and_keyless_entries_always(
    deltas: list[TokenLedgerEntry], counted: set[str]
) -> None:
    fresh = fresh_deltas(deltas, counted)
    keys = [entry.key for entry in fresh if entry.key is not None]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {entry.key for entry in deltas if entry.key} - counted
    assert [e for e in fresh if e.key is None] == [e for e in deltas if e.key is None]
    assert [e for e in fresh_deltas(deltas, counted | set(keys)) if e.key is not None] == []


@given(st.lists(st.integers(0, 100), min_size=1), st.integers(0, 100), st.integers(0, 100))
def test_manifest_row_waits_by_its_newest_intent(intents: list[int], bound: int, committed_at: int) -> None:
    row: AttachmentManifestEntry | None = None
    for at in intents:
        intent = AttachmentIntent(attachment_id="a", session_id="s", canonical_uri="u", intent_at_ms=at)
        row = row_after_intent(row, intent)
    assert row is not None
    assert row.intent_at_ms == max(intents)
    assert is_left_over(row, bound) == (max(intents) <= bound)
    committed = row_after_commit(row, committed_at)
    assert committed.committed_at_ms == committed_at
    assert row_after_commit(committed, committed_at + 1) == committed
    later = AttachmentIntent(attachment_id="a", session_id="s", canonical_uri="u", intent_at_ms=1000)
    assert row_after_intent(committed, later) == committed
    assert not is_left_over(committed, 1000)


@given(
    st.sampled_from(["started", "done", "failed", "unknown"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 9, 10, 11]),
    st.booleans(),
)
def test_claim_of_an_effect_finds_what_the_contract_says(
    state: str, at_most_once: bool, same_envelope: bool, expires: int | None, dead: bool
) -> None:
    identity = EffectIdentity(
        scope=EffectScope.process("p"),
        replay_key="k",
        envelope_hash="e",
        kind=RuntimeEffectKind.TOOL_CALL,
        effect_id="1",
        at_most_once=at_most_once,
    )
    row = EffectRow(
        envelope_hash="e" if same_envelope else "other",
        state=state,
        at_most_once=at_most_once,
        claim_owner_id="w" if expires is not None else None,
        claim_token="t" if expires is not None else None,
        claim_expires_at_ms=expires or 0,
    )
    if state != "started" or not same_envelope:
        expected = EffectDecision.ANSWER_RECORD
    elif expires == 11 and not dead:
        expected = EffectDecision.ANSWER_BUSY
    else:
        expected = EffectDecision.BECOME_UNKNOWN if at_most_once else EffectDecision.TAKE_OVER
    assert decide_effect_claim(row, identity, 10, {"w"} if dead else set()) is expected
    assert decide_effect_claim(None, identity, 10) is EffectDecision.INSERT


ids = st.text(alphabet="a\x1e\x1f:", min_size=0, max_size=4)


@given(ids, ids, ids, ids)
def test_scope_keys_and_cancel_keys_are_as_different_as_their_scopes(a: str, b: str, c: str, d: str) -> None:
    one, two = EffectScope.turn(a, b), EffectScope.turn(c, d)
    assert (one.key == two.key) == (one == two)
    assert (cancel_wait_key(a, b) == cancel_wait_key(c, d)) == ((a, b) == (c, d))
    assert one.key.startswith(turn_scopes_prefix(c)) == (a == c)
    assert not EffectScope.queue_drain(a, b).key.startswith(turn_scopes_prefix(c))


def _row(seq: int, **fields: Any) -> QueueRow:
    base: dict[str, Any] = {
        "batch_id": f"b{seq}",
        "enqueue_seq": seq,
        "delivery_policy": "earliest_safe_boundary",
        "slot_policy": "join",
        "merge_key": "payload_default",
    }
    return QueueRow(**(base | fields))


@given(st.lists(st.sampled_from([None, "own", "c1", "c2"]), max_size=7), st.integers(0, 3))
def test_interrupted_turn_comes_first_with_exactly_its_rows(places: list[str | None], limit: int) -> None:
    rows = [
        _row(
            seq,
            run_turn_id=None if place is None else "t1",
            injected_effect_id=place if place in ("c1", "c2") else None,
            runs=0 if place is None else 2,
        )
        for seq, place in enumerate(places)
    ]
    answer = next_turn(rows, lease=LeaseRow(), owner_id="w", max_batches=limit, now_ms=0)
    mine = [seq for seq, place in enumerate(places) if place is not None]
    if mine:
        assert isinstance(answer, TurnGroup)
        assert answer.run_turn_id == "t1"
        assert sorted(row.enqueue_seq for row in answer.all_rows) == mine
        assert answer.restarts == 2
        if "own" in places:
            assert [row.enqueue_seq for row in answer.rows] == [
                seq for seq, place in enumerate(places) if place == "own"
            ]
    elif places and limit:
        assert isinstance(answer, TurnGroup)
        assert (len(answer.rows), answer.run_turn_id) == (min(limit, len(places)), None)
    else:
        assert answer == ClaimRefused(reason="empty")


def test_checkpoint_takes_back_its_own_rows_and_leaves_those_of_others() -> None:
    rows = [
        _row(1, run_turn_id="t1"),
        _row(2, run_turn_id="t1", injected_effect_id="c1"),
        _row(3, run_turn_id="t1", injected_effect_id="c2"),
        _row(4),
        _row(5),
    ]
    taken = select_injections(rows, turn_id="t1", effect_id="c1", max_batches=2, now_ms=0)
    assert [row.enqueue_seq for row in taken] == [2, 4]


@pytest.mark.parametrize(
    ("row", "is_committed", "answer", "state"),
    [
        (None, False, "unknown_turn", TurnState.UNKNOWN),
        (None, True, "too_late", TurnState.COMMITTED),
        (TurnRow("b", 1, "pending", "t"), False, "cancelled_before_execution", TurnState.PENDING),
        (TurnRow("b", 1, "pending", "t", run_turn_id="t"), False, "requested", TurnState.RUNNING),
        (
            TurnRow("b", 1, "claimed", "t", run_turn_id="t", claim_token="x", claim_expires_at_ms=9),
            False,
            "requested",
            TurnState.RUNNING,
        ),
        (TurnRow("b", 1, "completed", "t", run_turn_id="t"), True, "too_late", TurnState.COMMITTED),
        (TurnRow("b", 1, "completed", "t"), False, "too_late", TurnState.COMMITTED),
        (TurnRow("b", 1, "cancelled", "t"), False, "unknown_turn", TurnState.CANCELLED),
    ],
)
def test_cancel_and_status_agree_about_a_turn(
    row: TurnRow | None, is_committed: bool, answer: str, state: TurnState
) -> None:
    assert cancel_answer(row, is_committed=is_committed, now_ms=5) == answer
    assert turn_status("t", row, None, is_committed=is_committed).state is state


@pytest.mark.parametrize(
    "body", [float("nan"), float("inf"), {"a": [float("-inf")]}, "\ud800", {1: "x"}, 2**64, -(2**63) - 1]
)
def test_what_json_cannot_say_does_not_pass_the_gate(body: Any) -> None:
    assert _code(storable_bytes, PluginNode(plugin_type="p", body=body), what="a node") == (
        "json_not_representable"
    )
