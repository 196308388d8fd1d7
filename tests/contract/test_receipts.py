"""Receipts in the order of their commits: what a watcher that knows a revision has missed (ruling 21)."""

from __future__ import annotations

from lash.contracts import Database

from .samples import commit, settling, stamp


async def _commit_turns(db: Database, session_id: str, count: int) -> None:
    store = db.runtime_persistence(session_id)
    for number in range(count):
        turn_id = f"t{number}"
        await store.commit_runtime_state(
            commit(
                session_id,
                expected=number,
                turn_commit=stamp(turn_id, session_id=session_id),
                settlement=settling(turn_id),
            )
        )


async def test_receipts_after_a_revision_come_in_the_order_of_their_commits(db: Database) -> None:
    await _commit_turns(db, "s1", 12)
    await _commit_turns(db, "s2", 2)
    ingress = db.turn_ingress

    newer = await ingress.list_receipts("s1", after_revision=9)
    first = await ingress.list_receipts("s1", after_revision=0, limit=2)

    assert [(one.turn_id, one.head_revision) for one in newer] == [("t9", 10), ("t10", 11), ("t11", 12)]
    assert [(one.turn_id, one.head_revision) for one in first] == [("t0", 1), ("t1", 2)]
    assert await ingress.list_receipts("s1", after_revision=12) == []
    assert await ingress.list_receipts("never", after_revision=0) == []


async def test_a_commit_that_was_no_driven_turn_has_no_receipt(db: Database) -> None:
    await _commit_turns(db, "s1", 1)
    await db.runtime_persistence("s1").commit_runtime_state(commit("s1", expected=1))

    assert await db.turn_ingress.list_receipts("s1", after_revision=1) == []
