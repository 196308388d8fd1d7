"""Looking over the journal: pages for an operator, and the end of what is over (rule R-8, ruling 7)."""

from __future__ import annotations

from typing import Any

from lash.backends.sql.effect_rows import (
    LIST_EFFECTS,
    LIST_OF_SESSION,
    StoredEffect,
    effects_at,
    key_of,
)
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.store import json_list
from lash.errors import LashError
from lash.values import EffectFilter, EffectRecord, EffectScope, Json

# What has not started before that time has not ended before it either: the search stops at the first such line.
FIND_PRUNABLE = """SELECT effect_seq FROM effect WHERE settled = 1
    AND coalesce(ended_at_ms, started_at_ms) < ?1 AND effect_seq < coalesce(
        (SELECT effect_seq FROM effect WHERE started_at_ms >= ?1 ORDER BY effect_seq LIMIT 1), 1 << 62)
    ORDER BY effect_seq LIMIT ?2"""
DELETE_OUTCOMES = "DELETE FROM effect_outcome WHERE effect_seq IN (SELECT value FROM json_each(?))"
DELETE_EFFECTS = "DELETE FROM effect WHERE effect_seq IN (SELECT value FROM json_each(?))"


async def page_of_effects(
    tx: Tx, where: EffectFilter, after: Json, limit: int
) -> tuple[list[EffectRecord], Json]:
    """Return a page of lines in the order of their start, and the cursor of the next page.

    Raises:
        LashError: `invalid_argument` for a cursor that no page gave.
    """
    if after is not None and type(after) is not int:
        raise LashError("invalid_argument", f"{after!r} is no cursor of an earlier page", after=after)
    limit = max(limit, 0)
    filters = (
        after or 0,
        None if where.state is None else where.state.value,
        None if where.settled is None else int(where.settled),
        where.turn_id,
    )
    rows: list[StoredEffect]
    if where.session_id is None:
        rows = await tx.fetch_all(StoredEffect, LIST_EFFECTS, *_twice(filters), limit + 1)
    else:
        rows = await tx.fetch_all(
            StoredEffect, LIST_OF_SESSION, where.session_id, *_twice(filters), limit + 1
        )
    page = rows[:limit]
    more: Json = page[-1].effect_seq if page and len(rows) > limit else None
    return [row.record() for row in page], more


async def effects_under_key(tx: Tx, replay_key: str) -> list[EffectRecord]:
    """Return every line under a key, whatever its scope."""
    anywhere = key_of(EffectScope.runtime_operation(""), replay_key)  # only the key's hash is looked at
    (rows,) = await tx.read(effects_at([anywhere]))
    return [row.record() for row in rows if row.full_key == replay_key]


async def prune(tx: Tx, ended_before_ms: int, limit: int) -> int:
    """Delete the oldest settled lines that ended before a time; return how many."""
    (found,) = await tx.read(Query(int, FIND_PRUNABLE, ended_before_ms, max(limit, 0)))
    if found:
        await tx.write(DELETE_OUTCOMES, json_list(found))
        await tx.write(DELETE_EFFECTS, json_list(found))
    return len(found)


def _twice(filters: tuple[Any, ...]) -> tuple[Any, ...]:  # values of the columns that are compared
    after, *optional = filters
    return (after, *(value for value in optional for _ in range(2)))
