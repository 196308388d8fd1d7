"""What processes and host events hold of a session: its side of every edge goes with it (rulings 30 and 32).

Nothing here cancels anything: a process whose last reader is gone runs on.
"""

from __future__ import annotations

import msgspec

from lash.backends.memory.tables import Tables


def cut_edges(tables: Tables, session_id: str) -> None:
    """Discard the wakes that wait for a session, revoke its handles, and disable its subscriptions.

    Comes before the session's batches go: by them it is known which wakes nobody worked on yet.
    """
    waiting = {stored.row.batch_id for stored in tables.queue.open_batches(session_id)}
    tables.processes.discard_wakes(waiting)
    for scope in [scope for scope in tables.processes.grants if scope.session_id == session_id]:
        del tables.processes.grants[scope]
    for handle, stored in tables.triggers.subscriptions.items():
        if stored.enabled and stored.as_made().session_id == session_id:
            tables.triggers.subscriptions[handle] = msgspec.structs.replace(
                stored, enabled=False, updated_at_ms=tables.clock.now_ms()
            )
