"""Waits as rows, what is parked on them, and the writes that make it ready (contract 5, B-23).

A script that resolves a key, and one that parks on it, both begin by reading the wait under its key. On a database
with several writers that read locks the key: no turn or process is parked on what is being resolved. Whoever is
parked is named by a fresh id of that parking, so that a late writer wakes nothing that was parked anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import msgspec

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.session_rows import announce, corrupt
from lash.backends.sql.store import json_list
from lash.rules.waits import resolved_wait, wait_unknown
from lash.values import Json, WaitKind, WaitRecord, decode_record, encode_record, process_of_wait_key


class WaitRow(msgspec.Struct, frozen=True, gc=False):
    """A wait, in the order in which its columns are selected."""

    wait_key: str
    scope_key: str
    kind: str
    created_at_ms: int
    opened_at_ms: int | None
    deadline_ms: int | None
    on_timeout: bytes | None
    token_hash: str | None
    detail: bytes | None
    value: bytes | None
    resolved_at_ms: int | None
    timed_out: int

    def record(self) -> WaitRecord:
        """Return the wait.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        if self.resolved_at_ms is not None and self.value is None:
            raise corrupt("wait", f"wait {self.wait_key!r}", "it is resolved and has no value")
        return WaitRecord(
            key=self.wait_key,
            created_at_ms=self.created_at_ms,
            scope_key=self.scope_key,
            kind=cast("WaitKind", self.kind),  # checked when it was opened
            deadline_ms=self.deadline_ms,
            on_timeout=self._json(self.on_timeout),
            token_hash=self.token_hash,
            detail=self._json(self.detail),
            opened_at_ms=self.opened_at_ms,
            resolution=self._json(self.value),
            resolved_at_ms=self.resolved_at_ms,
            timed_out=bool(self.timed_out),
        )

    def _json(self, body: bytes | None) -> Json:
        if body is None:
            return None
        value: Json = decode_record(object, body, what=f"table wait: wait {self.wait_key!r}")  # any JSON
        return value


class ParkedRow(msgspec.Struct, frozen=True, gc=False):
    """A turn (`sid` and `session_id`) or a process (`pid`) that is parked on a key."""

    wait_key: str
    park_id: str
    sid: int | None
    pid: int | None
    session_id: str | None


_WAIT = """SELECT wait_key, scope_key, kind, created_at_ms, opened_at_ms, deadline_ms, on_timeout, token_hash,
    detail, value, resolved_at_ms, timed_out FROM wait"""
_PARKED = """SELECT k.wait_key, k.park_id, k.sid, k.pid, s.session_id
    FROM parking k LEFT JOIN session s ON s.sid = k.sid"""

FIND_WAIT = f"{_WAIT} WHERE wait_key = ?"
FIND_WAITS = f"{_WAIT} WHERE wait_key IN (SELECT value FROM json_each(?))"  # noqa: S608  # constants only
FIND_RESOLVED = "SELECT 1 FROM wait WHERE wait_key = ? AND resolved_at_ms IS NOT NULL"
FIND_BY_TOKEN = f"{_WAIT} WHERE token_hash = ?"
FIND_DUE = """SELECT wait_key FROM wait WHERE resolved_at_ms IS NULL AND deadline_ms IS NOT NULL
    AND deadline_ms <= ? ORDER BY deadline_ms, wait_seq LIMIT ?"""
NEXT_DEADLINE = """SELECT deadline_ms FROM wait WHERE resolved_at_ms IS NULL AND deadline_ms IS NOT NULL
    ORDER BY deadline_ms LIMIT 1"""
PUT_WAIT = """INSERT INTO wait (wait_key, scope_key, kind, created_at_ms, opened_at_ms, deadline_ms, on_timeout,
    token_hash, detail, value, resolved_at_ms, timed_out) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (wait_key) DO UPDATE SET scope_key = excluded.scope_key, kind = excluded.kind,
    opened_at_ms = excluded.opened_at_ms, deadline_ms = excluded.deadline_ms, on_timeout = excluded.on_timeout,
    token_hash = excluded.token_hash, detail = excluded.detail, value = excluded.value,
    resolved_at_ms = excluded.resolved_at_ms, timed_out = excluded.timed_out"""
PARKED_ON = f"{_PARKED} WHERE k.wait_key = ?"
PARKED_AMONG = f"{_PARKED} WHERE k.wait_key IN (SELECT value FROM json_each(?))"  # noqa: S608  # constants only
PARK = "INSERT INTO parking (wait_key, park_id, sid, pid) VALUES (?, ?, ?, ?)"
FORGET_PARKING = "DELETE FROM parking WHERE park_id = ?"
WAKE_TURN = """UPDATE session SET park_id = NULL, parked_turn_id = NULL, parked_on = NULL
    WHERE sid = ? AND park_id = ?"""
WAKE_PROCESS = "UPDATE process SET park_id = NULL, parked_on = NULL WHERE pid = ? AND park_id = ?"


PARKED_TURN = """SELECT park_id, sid, session_id, parked_turn_id, parked_on FROM session
    WHERE session_id = ? AND park_id IS NOT NULL"""
OVER_AMONG = """SELECT process_id FROM process WHERE process_id IN (SELECT value FROM json_each(?))
    AND (terminal_sequence IS NOT NULL OR pruned_at_ms IS NOT NULL)"""


class ParkedTurnRow(msgspec.Struct, frozen=True, gc=False):
    """The parked turn of a session."""

    park_id: str
    sid: int
    session_id: str
    turn_id: str
    keys: bytes

    def parked_on(self, turn_id: str) -> tuple[str, ...]:
        """Return what a turn is parked on; nothing when it is another one that is parked."""
        if turn_id != self.turn_id:
            return ()
        return decode_record(tuple[str, ...], self.keys, what=f"table session: parking of {self.turn_id!r}")

    def row(self) -> ParkedRow:
        """Return it as one of those that are parked on a key."""
        return ParkedRow("", self.park_id, self.sid, None, self.session_id)


def select_waits(rest: str) -> str:
    """Return a select of waits, with the conditions that follow `FROM`."""
    return f"{_WAIT} {rest}"


def find_wait(key: str) -> Query[WaitRow]:
    """Return the read of a wait."""
    return Query(WaitRow, FIND_WAIT, key)


def is_resolved(key: str) -> Query[int]:
    """Return the read that has a row once a wait is resolved."""
    return Query(int, FIND_RESOLVED, key)


def parked_on(key: str) -> Query[ParkedRow]:
    """Return the read of what is parked on a key."""
    return Query(ParkedRow, PARKED_ON, key)


async def resolve_key(
    tx: Tx, key: str, value: Json, *, scope_key: str = "", token_hash: str | None = None
) -> tuple[WaitRecord, bool]:
    """Resolve a wait unless it is, and make ready what is parked on it; return it and whether this did it.

    Raises:
        LashError: `wait_unknown` when `token_hash` is given and the wait has not that token.
    """
    rows, parked = await tx.read(find_wait(key), parked_on(key))
    stored = rows[0].record() if rows else None
    if token_hash is not None and (stored is None or stored.token_hash != token_hash):
        raise wait_unknown()
    if stored is not None and stored.is_resolved:
        return stored, False
    wait = resolved_wait(stored, key, value, scope_key=scope_key, now_ms=tx.now_ms)
    await write_resolution(tx, wait, parked)
    return wait, True


async def resolve_if_known(tx: Tx, key: str, value: Json) -> None:
    """Resolve a wait, unless it is, that somebody has opened or is parked on; otherwise nothing is kept."""
    rows, parked = await tx.read(find_wait(key), parked_on(key))
    await resolve_found(tx, key, value, rows, parked)


async def resolve_found(
    tx: Tx, key: str, value: Json, rows: Sequence[WaitRow], parked: Sequence[ParkedRow]
) -> None:
    """As `resolve_if_known`, with what `find_wait` and `parked_on` have found."""
    stored = rows[0].record() if rows else None
    if parked or (stored is not None and not stored.is_resolved):
        wait = resolved_wait(stored, key, value, scope_key="", now_ms=tx.now_ms)
        await write_resolution(tx, wait, parked)


async def write_resolution(tx: Tx, wait: WaitRecord, parked: Sequence[ParkedRow]) -> None:
    """Store a wait that was resolved just now, and make ready what was parked on it."""
    await write_wait(tx, wait)
    tx.notify(f"wait:{wait.key}")
    await make_ready(tx, parked)


async def write_wait(tx: Tx, wait: WaitRecord) -> None:
    """Store a wait as it is now."""
    await tx.write(
        PUT_WAIT,
        wait.key,
        wait.scope_key,
        wait.kind,
        wait.created_at_ms,
        wait.opened_at_ms,
        wait.deadline_ms,
        _body(wait.on_timeout),
        wait.token_hash,
        _body(wait.detail),
        encode_record(wait.resolution) if wait.is_resolved else None,
        wait.resolved_at_ms,
        int(wait.timed_out),
    )


def waits_among(keys: Iterable[str]) -> Query[WaitRow]:
    """Return the read of several waits. Where several transactions write at once it locks their keys."""
    return Query(WaitRow, FIND_WAITS, json_list(keys))


def over_among(keys: Iterable[str]) -> Query[str]:
    """Return the read of those processes, among the ones that keys stand for, that have ended."""
    ids = (process_of_wait_key(key) for key in keys)
    return Query(str, OVER_AMONG, json_list([one for one in ids if one is not None]))


async def park(
    tx: Tx, park_id: str, keys: Iterable[str], *, sid: int | None = None, pid: int | None = None
) -> None:
    """Note what a turn or a process waits for; the caller has noted `park_id` in its row."""
    await tx.write_many(PARK, [(key, park_id, sid, pid) for key in keys])


async def make_ready(tx: Tx, parked: Sequence[ParkedRow]) -> None:
    """Let what was parked go on, and tell those who look for work."""
    by_id = {row.park_id: row for row in parked}
    await tx.write_many(FORGET_PARKING, [(park_id,) for park_id in by_id])
    turns = [row for row in by_id.values() if row.sid is not None]
    processes = [row for row in by_id.values() if row.pid is not None]
    await tx.write_many(WAKE_TURN, [(row.sid, row.park_id) for row in turns])
    await tx.write_many(WAKE_PROCESS, [(row.pid, row.park_id) for row in processes])
    for row in turns:
        announce(tx, row.session_id or "", queue=True)
    if processes:
        tx.notify("processes")


def _body(value: Json) -> bytes | None:
    return None if value is None else encode_record(value)
