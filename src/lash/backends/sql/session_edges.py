"""What processes and host events hold of a session: its side of every edge goes with it (rulings 30 and 32).

Nothing here cancels anything: a process whose last reader is gone runs on.
"""

from __future__ import annotations

from lash.backends.sql.engine import Tx

# Before the queue's rows go: a wake that nobody worked on yet has lost its way.
DISCARD_WAKES = """UPDATE process_wake SET state = 'discarded', reason = 'target_gone' WHERE batch_id IN
    (SELECT batch_id FROM queue WHERE sid = ? AND settled_at_ms IS NULL)"""
REVOKE_HANDLES = "DELETE FROM process_grant WHERE session_id = ?"
DISABLE_SUBSCRIPTIONS = """UPDATE trigger_subscription SET enabled = 0, updated_at_ms = ?
    WHERE session_id = ? AND enabled = 1"""


async def cut_edges(tx: Tx, sid: int, session_id: str) -> None:
    """Discard the wakes that wait for a session, revoke its handles, and disable its subscriptions."""
    await tx.write(DISCARD_WAKES, sid)
    await tx.write(REVOKE_HANDLES, session_id)
    await tx.write(DISABLE_SUBSCRIPTIONS, tx.now_ms, session_id)
