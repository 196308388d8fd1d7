"""Deleting what is over and old, a slice at a time: settled lines of the journal, settled batches of the queue.

Both tables grow at their end, so what began after a time lies together at the end as well, and where that part
begins is found by halving. A slice therefore looks at what is old and at nothing else, however much there is,
and no index has to be kept for it. (Where a clock went back, a row is only found later.)
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from lash.backends.sql.engine import Tx
from lash.backends.sql.store import json_list


class RowTime(msgspec.Struct, frozen=True, gc=False):
    """When a row began."""

    seq: int
    at_ms: int


class Ledger(NamedTuple):
    """A table whose rows are numbered in the order of their beginning."""

    last: str
    row_from: str
    find: str
    deletes: tuple[str, ...]


LAST_EFFECT = "SELECT coalesce(max(effect_seq), 0) FROM effect"
EFFECT_FROM = "SELECT effect_seq, started_at_ms FROM effect WHERE effect_seq >= ? ORDER BY effect_seq LIMIT 1"
OLD_EFFECTS = """SELECT effect_seq FROM effect WHERE effect_seq < ? AND settled = 1
    AND coalesce(ended_at_ms, started_at_ms) < ? ORDER BY effect_seq LIMIT ?"""
DELETE_OUTCOMES = "DELETE FROM effect_outcome WHERE effect_seq IN (SELECT value FROM json_each(?))"
DELETE_EFFECTS = "DELETE FROM effect WHERE effect_seq IN (SELECT value FROM json_each(?))"
LAST_BATCH = "SELECT coalesce(max(enqueue_seq), 0) FROM queue"
BATCH_FROM = (
    "SELECT enqueue_seq, enqueued_at_ms FROM queue WHERE enqueue_seq >= ? ORDER BY enqueue_seq LIMIT 1"
)
OLD_BATCHES = """SELECT enqueue_seq FROM queue WHERE enqueue_seq < ? AND settled_at_ms < ?
    ORDER BY enqueue_seq LIMIT ?"""
DELETE_ITEMS = "DELETE FROM queue_items WHERE enqueue_seq IN (SELECT value FROM json_each(?))"
DELETE_BATCHES = "DELETE FROM queue WHERE enqueue_seq IN (SELECT value FROM json_each(?))"

EFFECTS = Ledger(LAST_EFFECT, EFFECT_FROM, OLD_EFFECTS, (DELETE_OUTCOMES, DELETE_EFFECTS))
BATCHES = Ledger(LAST_BATCH, BATCH_FROM, OLD_BATCHES, (DELETE_ITEMS, DELETE_BATCHES))


async def prune(tx: Tx, ledger: Ledger, before_ms: int, limit: int) -> int:
    """Delete the oldest rows that were over before a time; return how many."""
    end = await _first_from(tx, ledger, before_ms)
    found = await tx.fetch_all(int, ledger.find, end, before_ms, max(limit, 0))
    if found:
        for statement in ledger.deletes:
            await tx.write(statement, json_list(found))
    return len(found)


async def _first_from(tx: Tx, ledger: Ledger, at_ms: int) -> int:
    """Return the number from which on every row began at that time or later: none of those is over before it."""
    low, high = 1, (await tx.fetch_one(int, ledger.last) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = await tx.fetch_one(RowTime, ledger.row_from, middle)
        if row is None or row.at_ms >= at_ms:
            high = middle
        else:
            low = row.seq + 1
    return low
