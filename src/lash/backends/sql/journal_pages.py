"""Looking over the journal: pages for an operator (rule R-8)."""

from __future__ import annotations

from typing import Any

from lash.backends.sql.effect_rows import (
    LIST_EFFECTS,
    LIST_OF_SESSION,
    StoredEffect,
    effects_at,
    key_of,
)
from lash.backends.sql.engine import Tx
from lash.errors import LashError
from lash.values import EffectFilter, EffectRecord, EffectScope, Json


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


def _twice(filters: tuple[Any, ...]) -> tuple[Any, ...]:  # values of the columns that are compared
    after, *optional = filters
    return (after, *(value for value in optional for _ in range(2)))
