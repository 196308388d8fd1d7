"""Deleting what is over and old, a slice at a time: settled lines of the journal, settled batches of the queue.

Both tables grow at their end, so what began after a time lies together at the end as well, and where that part
begins is found by halving. A slice therefore looks at what is old and at nothing else, however much there is,
and no index has to be kept for it. (Where a clock went back, a row is only found later.)
"""

from __future__ import annotations

from typing import NamedTuple

from lash.backends.sql.engine import Tx
from lash.backends.sql.store import json_list


class Ledger(NamedTuple):
    """A table whose rows are numbered in the order of their beginning."""

    find: str
    """Its oldest rows that were over before a time, parameter 1; at most so many, parameter 2."""
    deletes: tuple[str, ...]


def _found_by_halving(table: str, number: str, began: str, is_over: str) -> str:
    """Return a select of old rows. The first part finds where the rows begin that began after the time: it
    halves what is between `low` and `high` until nothing is, by one look at the index for each step.
    """
    middle = "((h.low + h.high) / 2)"
    seq = f"(SELECT {number} FROM {table} WHERE {number} >= {middle} ORDER BY {number} LIMIT 1)"  # noqa: S608
    at = f"(SELECT {began} FROM {table} WHERE {number} >= {middle} ORDER BY {number} LIMIT 1)"  # noqa: S608
    is_before = f"coalesce({at} < ?1, false)"
    return f"""WITH RECURSIVE half (low, high) AS (
        SELECT coalesce((SELECT min({number}) FROM {table}), 1),
            coalesce((SELECT max({number}) FROM {table}), 0) + 1
        UNION ALL
        SELECT CASE WHEN {is_before} THEN {seq} + 1 ELSE h.low END,
            CASE WHEN {is_before} THEN h.high ELSE {middle} END
        FROM half h WHERE h.low < h.high
    ) SELECT {number} FROM {table} WHERE {number} < (SELECT low FROM half WHERE low >= high) AND {is_over}
    ORDER BY {number} LIMIT ?2"""  # noqa: S608  # constants only


OLD_EFFECTS = _found_by_halving(
    "effect", "effect_seq", "started_at_ms", "settled = 1 AND coalesce(ended_at_ms, started_at_ms) < ?1"
)
DELETE_OUTCOMES = "DELETE FROM effect_outcome WHERE effect_seq IN (SELECT value FROM json_each(?))"
DELETE_EFFECTS = "DELETE FROM effect WHERE effect_seq IN (SELECT value FROM json_each(?))"
OLD_BATCHES = _found_by_halving("queue", "enqueue_seq", "enqueued_at_ms", "settled_at_ms < ?1")
DELETE_ITEMS = "DELETE FROM queue_items WHERE enqueue_seq IN (SELECT value FROM json_each(?))"
DELETE_BATCHES = "DELETE FROM queue WHERE enqueue_seq IN (SELECT value FROM json_each(?))"

EFFECTS = Ledger(OLD_EFFECTS, (DELETE_OUTCOMES, DELETE_EFFECTS))
BATCHES = Ledger(OLD_BATCHES, (DELETE_ITEMS, DELETE_BATCHES))


async def prune(tx: Tx, ledger: Ledger, before_ms: int, limit: int) -> int:
    """Delete the oldest rows that were over before a time; return how many.

    Where several prune at once, each takes rows that no other has taken.
    """
    found = await tx.fetch_all(int, ledger.find, before_ms, max(limit, 0))
    if found:
        for statement in ledger.deletes:
            await tx.write(statement, json_list(found))
    return len(found)
