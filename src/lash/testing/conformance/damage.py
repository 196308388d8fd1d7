"""Makes stored data of lash's own backends unreadable, for the cases that ask what a reader is told then.

Each kind is something that a backend stores encoded. The bytes are replaced by some that nothing decodes from,
past everything that the backend knows: what a bad disk or somebody with an editor leaves behind.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lash.errors import LashBug
from lash.testing.conformance.trial import Damage

if TYPE_CHECKING:
    from lash.backends.memory import MemoryDatabase

GARBAGE = b"\xff not what was stored"

# The column that holds it, in the tables that SQLite and PostgreSQL share.
_STATEMENTS = {
    "process": """UPDATE process_registered SET body = {garbage}
        WHERE pid = (SELECT pid FROM process WHERE process_id = {id})""",
    "node": "UPDATE node SET body = {garbage} WHERE node_id = {id}",
    "checkpoint": "UPDATE session SET manifest = {garbage} WHERE session_id = {id}",
    "meta": """UPDATE session_meta SET body = {garbage}
        WHERE sid = (SELECT sid FROM session WHERE session_id = {id})""",
    "batch": """UPDATE queue_items SET items = {garbage}
        WHERE enqueue_seq = (SELECT enqueue_seq FROM queue WHERE batch_id = {id})""",
}


def sqlite_damage(path: Path) -> Damage:
    """Return what damages a file of `SqliteDatabase`."""

    async def damage(kind: str, id: str) -> None:
        await asyncio.to_thread(_damage_file, path, _statement(kind, ":garbage", ":id"), id)

    return damage


def _damage_file(path: Path, sql: str, id: str) -> None:
    import apsw  # lash's own backend is the only one that this is for

    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(10_000)
        connection.execute(sql, {"garbage": GARBAGE, "id": id})
        if not connection.changes():
            raise LashBug(f"there is nothing to damage: {sql}")
    finally:
        connection.close()


def postgres_damage(url: str) -> Damage:
    """Return what damages the schema of a URL."""
    from lash.testing.conformance.throwaway_schemas import execute

    async def damage(kind: str, id: str) -> None:
        sql = f"{_statement(kind, '%(garbage)s', '%(id)s')} RETURNING 1"
        if not await asyncio.to_thread(execute, url, sql, {"garbage": GARBAGE, "id": id}):
            raise LashBug(f"there is nothing to damage: {sql}")

    return damage


def _statement(kind: str, garbage: str, id: str) -> str:
    return _STATEMENTS[kind].format(garbage=garbage, id=id)


def memory_damage(database: MemoryDatabase) -> Damage:
    """Return what damages the tables of a `MemoryDatabase`."""
    tables: Any = database._tables  # nobody else has any business in there

    async def damage(kind: str, id: str) -> None:
        match kind:
            case "process":
                _replace(tables.processes.processes, id, body=GARBAGE)
            case "node":
                (nodes,) = [nodes for nodes in tables.nodes.values() if id in nodes]
                _replace(nodes, id, body=GARBAGE)
            case "checkpoint":
                _replace(tables.heads, id, manifest=GARBAGE)
            case "meta":
                tables.metas[id] = GARBAGE
            case "batch":
                _replace(tables.queue._batches, id, items=GARBAGE)
            case _:
                raise LashBug(f"there is no way to damage a {kind}")

    return damage


def _replace(rows: dict[Any, Any], key: Any, **changes: bytes) -> None:  # each table has rows of its own
    rows[key] = msgspec.structs.replace(rows[key], **changes)
