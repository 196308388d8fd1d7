"""Durable waits as rows (contract 5, B-23): the first writer wins."""

from __future__ import annotations

from functools import partial

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.store import Store, json_list
from lash.backends.sql.wait_rows import (
    FIND_BY_TOKEN,
    FIND_DUE,
    FIND_WAIT,
    NEXT_DEADLINE,
    PARKED_AMONG,
    ParkedRow,
    WaitRow,
    find_wait,
    resolve_key,
    select_waits,
    waits_among,
    write_resolution,
    write_wait,
)
from lash.rules.identifiers import check_text
from lash.rules.storable import check_storable
from lash.rules.waits import (
    check_wait,
    check_wait_key,
    is_due,
    is_open,
    opened_wait,
    resolved_wait,
    token_taken,
    wait_unknown,
)
from lash.values import Json, WaitDraft, WaitKind, WaitRecord, WaitResolution, wait_token_hash

MOST_AT_ONCE = 100  # due waits that one transaction resolves: each is locked by name

_IS_OPEN = "resolved_at_ms IS NULL AND opened_at_ms IS NOT NULL"
_WANTED = f"(kind = ? OR ? = '') AND (? = 0 OR ({_IS_OPEN}))"
WAIT_NUMBER = "SELECT wait_seq FROM wait WHERE wait_key = ?"
LIST_WAITS = select_waits(f"WHERE wait_seq > ? AND {_WANTED} ORDER BY wait_seq LIMIT ?")
WAITS_OF_SCOPE = select_waits(
    f"WHERE scope_key = ? AND scope_key <> '' AND wait_seq > ? AND {_WANTED} ORDER BY wait_seq LIMIT ?"
)
OPEN_WAITS_OF_KIND = select_waits(f"WHERE kind = ? AND {_IS_OPEN} AND wait_seq > ? ORDER BY wait_seq LIMIT ?")
DROP_WAITS = "DELETE FROM wait WHERE scope_key = ? AND scope_key <> ''"
DROP_WAIT = "DELETE FROM wait WHERE wait_key = ?"
UNOWNED_WAITS = """SELECT wait_seq FROM wait WHERE scope_key = '' AND resolved_at_ms IS NOT NULL
    AND resolved_at_ms < ? ORDER BY resolved_at_ms LIMIT ?"""
DELETE_WAIT = "DELETE FROM wait WHERE wait_seq = ?"


class SqlDurableWaits:
    """See `DurableWaits` for the contract."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def open_wait(self, draft: WaitDraft) -> WaitRecord:
        """Open a wait, or return the one of that key; a later opening fills in what was left open."""
        check_wait(draft)
        token_hash = None if draft.token is None else wait_token_hash(draft.token)

        async def script(tx: Tx) -> WaitRecord:
            rows, holders = await tx.read(find_wait(draft.key), Query(WaitRow, FIND_BY_TOKEN, token_hash))
            if any(holder.wait_key != draft.key for holder in holders):
                raise token_taken(draft.key)
            stored = rows[0].record() if rows else None
            opened = opened_wait(stored, draft, tx.now_ms)
            if opened != stored:
                await write_wait(tx, opened)
                if is_open(opened) and opened.deadline_ms is not None:
                    tx.notify("timers")
            return opened

        return await self._store.run(script)

    async def resolve_wait(self, key: str, value: Json, *, scope_key: str = "") -> WaitResolution:
        """Resolve a key once; a later writer is told the first one's value."""
        check_wait_key(key)
        check_text(scope_key, what="scope key")
        check_storable(value, what=f"value of wait {key!r}")

        async def script(tx: Tx) -> WaitResolution:
            return _resolution(*await resolve_key(tx, key, value, scope_key=scope_key))

        return await self._store.run(script)

    async def resolve_by_token(self, token: str, value: Json) -> WaitResolution:
        """Resolve the wait that was opened with this token."""
        check_storable(value, what="value of a wait")
        wait = await self.find_wait_by_token(token)

        async def script(tx: Tx) -> WaitResolution:
            return _resolution(*await resolve_key(tx, wait.key, value, token_hash=wait.token_hash))

        return await self._store.run(script)

    async def find_wait(self, key: str) -> WaitResolution | None:
        """Return how a key was resolved, or None."""
        wait = await self.get_wait(key)
        return None if wait is None else wait.as_resolution()

    async def get_wait(self, key: str) -> WaitRecord | None:
        """Return a wait, open or resolved, or None."""
        check_text(key, what="wait key")

        async def script(tx: Tx) -> WaitRecord | None:
            row = await tx.fetch_one(WaitRow, FIND_WAIT, key)
            return None if row is None else row.record()

        return await self._store.read(script)

    async def find_wait_by_token(self, token: str) -> WaitRecord:
        """Return the wait that was opened with this token."""
        token_hash = wait_token_hash(token)

        async def script(tx: Tx) -> WaitRecord:
            row = await tx.fetch_one(WaitRow, FIND_BY_TOKEN, token_hash)
            if row is None:
                raise wait_unknown()
            return row.record()

        return await self._store.read(script)

    async def list_waits(
        self,
        *,
        kind: WaitKind | None = None,
        scope_key: str | None = None,
        open_only: bool = True,
        after: str | None = None,
        limit: int = 100,
    ) -> list[WaitRecord]:
        """Return waits in the order in which they were made."""
        for text in (after, scope_key):
            check_text(text or "", what="wait key")

        async def script(tx: Tx) -> list[WaitRecord]:
            number = 0 if after is None else await tx.fetch_one(int, WAIT_NUMBER, after)
            if number is None:
                return []
            page = _page(kind, scope_key, open_only=open_only, after=number, limit=max(limit, 0))
            (rows,) = await tx.read(page)
            return [row.record() for row in rows]

        return await self._store.read(script)

    async def resolve_due(self, *, now_ms: int | None = None, limit: int = 1000) -> list[WaitResolution]:
        """Resolve open waits whose deadline has come; return those, the earliest first."""
        resolved: list[WaitResolution] = []
        while len(resolved) < limit:
            most = min(limit - len(resolved), MOST_AT_ONCE)
            due = await self._store.read(partial(_due, now_ms=now_ms, limit=most))
            if not due:
                break
            resolved += await self._resolve_due(due, now_ms)
        return resolved

    async def next_deadline_ms(self) -> int | None:
        """Return the earliest deadline of an open wait, or None."""

        async def script(tx: Tx) -> int | None:
            return await tx.fetch_one(int, NEXT_DEADLINE)

        return await self._store.read(script)

    async def drop_waits(self, scope_key: str) -> int:
        """Delete the waits of a scope; return how many."""
        check_text(scope_key, what="scope key")

        async def script(tx: Tx) -> int:
            return await tx.write_counted(DROP_WAITS, scope_key)

        return await self._store.run(script)

    async def drop_wait(self, key: str) -> bool:
        """Delete one wait; return whether there was one."""
        check_text(key, what="wait key")

        async def script(tx: Tx) -> bool:
            return await tx.write_counted(DROP_WAIT, key) > 0

        return await self._store.run(script)

    async def prune_waits(self, *, resolved_before_ms: int, limit: int = 1000) -> int:
        """Delete resolved waits that no scope owns; return how many."""

        async def script(tx: Tx) -> int:
            old = await tx.fetch_all(int, UNOWNED_WAITS, resolved_before_ms, max(limit, 0))
            await tx.write_many(DELETE_WAIT, [(number,) for number in old])
            return len(old)

        return await self._store.run(script, durable=False)

    async def _resolve_due(self, keys: list[str], now_ms: int | None) -> list[WaitResolution]:
        """Resolve those of the waits that are still due; another caller may have come first."""

        async def script(tx: Tx) -> list[WaitResolution]:
            rows, parked = await tx.read(waits_among(keys), Query(ParkedRow, PARKED_AMONG, json_list(keys)))
            waits = {row.wait_key: row.record() for row in rows}
            now = tx.now_ms if now_ms is None else now_ms
            resolutions = []
            for key in keys:
                wait = waits.get(key)
                if wait is None or not is_due(wait, now):
                    continue
                ended = resolved_wait(
                    wait, key, wait.on_timeout, scope_key="", now_ms=tx.now_ms, timed_out=True
                )
                await write_resolution(tx, ended, [row for row in parked if row.wait_key == key])
                resolutions.append(_resolution(ended, True))
            return resolutions

        return await self._store.run(script)


async def _due(tx: Tx, *, now_ms: int | None, limit: int) -> list[str]:
    return await tx.fetch_all(str, FIND_DUE, tx.now_ms if now_ms is None else now_ms, limit)


def _page(
    kind: WaitKind | None, scope_key: str | None, *, open_only: bool, after: int, limit: int
) -> Query[WaitRow]:
    if scope_key is not None:
        return Query(WaitRow, WAITS_OF_SCOPE, scope_key, after, kind, kind or "", int(open_only), limit)
    if kind is not None and open_only:
        return Query(WaitRow, OPEN_WAITS_OF_KIND, kind, after, limit)
    return Query(WaitRow, LIST_WAITS, after, kind, kind or "", int(open_only), limit)


def _resolution(wait: WaitRecord, is_first: bool) -> WaitResolution:
    resolution = wait.as_resolution(first=is_first)
    assert resolution is not None  # it was resolved just now, or before
    return resolution
