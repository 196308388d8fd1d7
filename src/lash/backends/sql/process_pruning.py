"""Deleting processes that are long over; of each, its id stays (contract 5, B-19)."""

from __future__ import annotations

import msgspec

from lash.backends.sql.effect_rows import scope_columns, scope_hash
from lash.backends.sql.engine import Tx
from lash.backends.sql.process_rows import event_key
from lash.rules.leases import TIME_MAX_MS
from lash.values import EffectScope, process_wait_key


class OverRow(msgspec.Struct, frozen=True, gc=False):
    """A process that has ended."""

    pid: int
    process_id: str


OVER_PROCESSES = """SELECT pid, process_id FROM process WHERE terminal_sequence IS NOT NULL
    AND pruned_at_ms IS NULL AND updated_at_ms < ? AND change_seq <= ?
    ORDER BY updated_at_ms, change_seq LIMIT ?"""
ENTOMB_PROCESS = """UPDATE process SET pruned_at_ms = ?, external_ref = NULL, lease_owner_id = NULL,
    lease_token = NULL, lease_claimed_at_ms = 0, lease_expires_at_ms = 0, ended_under = NULL WHERE pid = ?"""
DELETE_EVENTS = "DELETE FROM process_event WHERE key BETWEEN ? AND ?"
DELETE_WAKES = "DELETE FROM process_wake WHERE key BETWEEN ? AND ?"
DELETE_REGISTERED = "DELETE FROM process_registered WHERE pid = ?"
DELETE_FRAME = "DELETE FROM process_frame WHERE pid = ?"
DELETE_GRANTS = "DELETE FROM process_grant WHERE process_id = ?"
DELETE_OBSERVERS = "DELETE FROM process_observer WHERE process_id = ?"
DELETE_WAITS = "DELETE FROM wait WHERE scope_key = ? AND scope_key <> ''"
DELETE_END = "DELETE FROM wait WHERE wait_key = ?"
_OWN_EFFECTS = "sid = 0 AND scope_hash = ? AND scope_type = ? AND scope_id = ?"
DELETE_OUTCOMES = f"""DELETE FROM effect_outcome WHERE effect_seq IN
    (SELECT effect_seq FROM effect WHERE {_OWN_EFFECTS})"""  # noqa: S608  # constants only
DELETE_EFFECTS = f"DELETE FROM effect WHERE {_OWN_EFFECTS}"  # noqa: S608


async def prune_processes(tx: Tx, finished_before_ms: int, watermark: int | None, limit: int) -> int:
    """Delete up to `limit` processes that ended before a time; return how many. See `ProcessRegistry`."""
    newest = TIME_MAX_MS if watermark is None else watermark
    gone = await tx.fetch_all(OverRow, OVER_PROCESSES, finished_before_ms, newest, limit)
    ids = [(row.process_id,) for row in gone]
    pids = [(row.pid,) for row in gone]
    logs = [(event_key(row.pid, 0), event_key(row.pid, 0xFFFFFFFF)) for row in gone]
    scopes = [EffectScope.process(row.process_id) for row in gone]
    effects = [(scope_hash(scope), *scope_columns(scope)) for scope in scopes]
    for statement in (DELETE_EVENTS, DELETE_WAKES):
        await tx.write_many(statement, logs)
    for statement in (DELETE_REGISTERED, DELETE_FRAME):
        await tx.write_many(statement, pids)
    for statement in (DELETE_GRANTS, DELETE_OBSERVERS):
        await tx.write_many(statement, ids)
    for statement in (DELETE_OUTCOMES, DELETE_EFFECTS):
        await tx.write_many(statement, effects)
    await tx.write_many(DELETE_WAITS, [(scope.key,) for scope in scopes])
    await tx.write_many(DELETE_END, [(process_wait_key(row.process_id),) for row in gone])
    await tx.write_many(ENTOMB_PROCESS, [(tx.now_ms, row.pid) for row in gone])
    return len(gone)
