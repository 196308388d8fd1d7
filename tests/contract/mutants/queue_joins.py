"""Wrong joins and completions of queued work."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.errors import LashError
from lash.values import SlotPolicy

from .mutant import gives, mutant

STORE = "lash.backends.memory.persistence"
RULES = "lash.rules.queue"
TABLE = "lash.backends.memory.queue_table"
P = f"{STORE}:MemoryRuntimePersistence"


def _joins(shape: Any) -> Any:
    """Judge neighbours by another shape than the contract's."""

    def around(original: Any) -> Any:
        def group(ready: Any, most: int) -> Any:
            found = original(ready, most)
            if len(found) == 0 or ready[0].slot_policy != SlotPolicy.JOIN or ready[0].merge_key == "never":
                return found
            size = next((at for at, row in enumerate(ready) if shape(row) != shape(ready[0])), len(ready))
            return list(ready[: min(size, most)])

        return group

    return around


mutant(
    "a join does not look at the merge key",
    "queued_work_join_groups_by_delivery_policy_and_merge_key",
    (
        f"{RULES}:group_at_head",
        _joins(lambda row: (row.slot_policy, row.delivery_policy, row.merge_key == "never")),
    ),
)
mutant(
    "a join does not look at the delivery policy",
    "joins_keep_to_one_delivery_policy",
    (f"{RULES}:group_at_head", _joins(lambda row: (row.slot_policy, row.merge_key))),
)
mutant(
    "an exclusive neighbour is taken along",
    "exclusive_work_is_claimed_alone",
    (f"{RULES}:group_at_head", _joins(lambda row: (row.delivery_policy, row.merge_key))),
)


def _never_merges(original: Any) -> Any:
    return lambda ready, most: original(
        [
            msgspec.structs.replace(r, merge_key="x")
            if r.merge_key == "never" and r.slot_policy == "join"
            else r
            for r in ready
        ],
        most,
    )


mutant("never merges with never", "never_means_alone", (f"{RULES}:group_at_head", _never_merges))
mutant(
    "a group may be called payload_default",
    "merge_keys_compare_as_what_they_are",
    (f"{TABLE}:merge_key_text", lambda original: lambda key: original(key).removeprefix("group:")),
    (
        f"{TABLE}:merge_key_of",
        lambda original: (
            lambda text: original(text if text in ("never", "payload_default") else f"group:{text}")
        ),
    ),
)


def _gaps_break(original: Any) -> Any:
    def select(rows: Any, *, now_ms: int, **facts: Any) -> Any:
        found = original(rows, now_ms=now_ms, **facts)
        seqs = [row.enqueue_seq for row in found]
        size = next((at for at in range(1, len(seqs)) if seqs[at] != seqs[at - 1] + 1), len(seqs))
        return found[:size]

    return select


mutant(
    "a gap in the sequence breaks a group",
    "gaps_that_are_no_candidates_do_not_break_a_group",
    (f"{STORE}:select_ready", _gaps_break),
)


def _collects(original: Any) -> Any:
    def group(ready: Any, most: int) -> Any:
        found = original(ready, most)
        if not found or found[0].slot_policy != SlotPolicy.JOIN or found[0].merge_key == "never":
            return found
        head = found[0]
        same = [
            r
            for r in ready
            if (r.slot_policy, r.delivery_policy, r.merge_key)
            == (head.slot_policy, head.delivery_policy, head.merge_key)
        ]
        return same[:most]

    return group


mutant(
    "a group is collected from all over the queue",
    "a_candidate_in_between_ends_a_group",
    (f"{RULES}:group_at_head", _collects),
)

# completion

mutant(
    "any token completes",
    "queued_work_completion_is_lease_guarded",
    (
        f"{TABLE}:QueueTable.held",
        lambda original: (
            lambda self, session_id, claim_id, token: original(
                self, session_id, claim_id, token.removesuffix(":stale")
            )
        ),
    ),
)
mutant(
    "a stale completion commits without completing",
    "queue_completion_and_turn_commit_stamp_are_atomic",
    (
        "lash.rules.commits:check_completions",
        lambda original: (
            lambda commit, held: (
                None
                if commit.turn_commit is not None
                and any(c.lease_token.endswith(":stale") for c in commit.completed_queue_claims)
                else original(commit, held)
            )
        ),
    ),
)
mutant(
    "a completion may name some of its rows",
    "completions_name_exactly_the_rows_of_their_claim",
    (
        f"{RULES}:check_held",
        lambda original: (
            lambda session_id, claim_id, ids, held: (
                None if set(ids) <= set(held) and held and ids else original(session_id, claim_id, ids, held)
            )
        ),
    ),
)
mutant(
    "a completion may be of another session",
    "claims_of_another_session_are_not_completed",
    (
        "lash.rules.commits:check_completion",
        lambda original: (
            lambda completion, session_id, held: (
                None if completion.session_id != session_id else original(completion, session_id, held)
            )
        ),
    ),
)


def _expiry_voids(original: Any) -> Any:
    def commit(tables: Any, commit: Any, bound: Any, *, keeps_manifest: bool) -> Any:
        for completion in commit.completed_queue_claims:
            held = tables.queue.held(commit.session_id, completion.claim_id, completion.lease_token)
            if any(s.row.claim_expires_at_ms <= tables.clock.now_ms() for s in held):
                raise LashError("queue_claim_expired", "the claim has expired")
        return original(tables, commit, bound, keeps_manifest=keeps_manifest)

    return commit


mutant(
    "an expired claim does not complete",
    "expired_claims_complete_until_somebody_takes_over",
    ("lash.backends.memory.commit:commit", _expiry_voids),
)
mutant(
    "only the first completion counts",
    "one_commit_completes_several_claims",
    (
        "lash.backends.memory.commit:_completed",
        gives(
            lambda completed, *_: completed[:1] if len({s.row.claim_id for s in completed}) > 1 else completed
        ),
    ),
)
