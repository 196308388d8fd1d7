"""Who holds what: owner ids, found the way the rows are found that name them.

A script that will have to know which holders are dead says so with one of these before its first read
(`Store.foresee_owners`), and is spared a question of its own.
"""

from __future__ import annotations

_SID = "(SELECT sid FROM session WHERE session_id = ?1)"

SESSION_HOLDER = "SELECT lease_owner_id FROM session WHERE session_id = ? AND lease_owner_id IS NOT NULL"
QUEUE_HOLDERS = f"""SELECT lease_owner_id FROM session WHERE session_id = ?1 AND lease_owner_id IS NOT NULL
    UNION SELECT q.claim_owner_id FROM queue q WHERE q.sid = {_SID} AND q.taken = 1
    AND q.settled_at_ms IS NULL AND q.claim_owner_id IS NOT NULL"""  # noqa: S608  # constants only
EFFECT_HOLDERS = """SELECT claim_owner_id FROM effect
    WHERE key_hash IN (SELECT value FROM json_each(?)) AND claim_owner_id IS NOT NULL"""
PROCESS_HOLDER = "SELECT lease_owner_id FROM process WHERE process_id = ? AND lease_owner_id IS NOT NULL"
