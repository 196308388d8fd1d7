"""What the scripts' statements, and the tables, mean on PostgreSQL: every difference from SQLite is here.

The texts are written once, in SQLite's words. Most differences are of spelling, and a pattern rewrites them;
one statement is laid out anew, because the two planners need different shapes. What SQLite's single writer
gives for free is said here as well: which names a statement locks in a script that writes.

* Whatever is looked up by the id of a session, process, occurrence, wait or attachment is locked by that id.
* Lines of the journal are locked by their keys, and as rows, so that a commit that settles a turn waits for
  the outcomes that are being recorded.
* Sweeping blobs excludes commits that count on blobs, and only those.
* Changes of processes are numbered by a sequence. Who numbers one shares a lock with all who do; who reads
  the changes holds it alone for a moment. So no number appears after a larger one was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

import msgspec

from lash.backends.sql import (
    commits,
    deletion,
    effect_rows,
    maintenance,
    process_pruning,
    process_rows,
    queue_rows,
    retention,
    session_rows,
    wait_rows,
    work_overview,
)
from lash.backends.sql.engine import Value
from lash.backends.sql.engine.postgres import Lock, Statement
from lash.backends.sql.engine.postgres.statements import Locks, no_locks

_NUMBERS = frozenset({"enqueue_seq", "effect_seq", "sid", "key", "key_hash"})
"""Columns that hold numbers, where they are compared with a list."""

# The first session with work, then the next one, each with the few rows that are looked at.
_WAITING_ROWS = """
    WITH RECURSIVE open_session (sid) AS (
        SELECT min(sid) FROM queue WHERE settled_at_ms IS NULL
        UNION ALL
        SELECT (SELECT min(q.sid) FROM queue q WHERE q.settled_at_ms IS NULL AND q.sid > o.sid)
        FROM open_session o WHERE o.sid IS NOT NULL
    )
    SELECT s.session_id, coalesce(q.agent, s.agent), s.lease_owner_id, s.lease_expires_at_ms, q.batch_id,
        q.enqueue_seq, q.available_at_ms, q.claim_owner_id, q.claim_token, q.claim_expires_at_ms, q.run_turn_id
    FROM open_session o JOIN session s ON s.sid = o.sid AND s.park_id IS NULL CROSS JOIN LATERAL (
        (SELECT f.* FROM queue f WHERE f.sid = o.sid AND f.taken = 0 AND f.settled_at_ms IS NULL
            AND f.available_at_ms <= ?1 ORDER BY f.enqueue_seq LIMIT 1)
        UNION ALL
        (SELECT t.* FROM queue t WHERE t.sid = o.sid AND t.taken = 1 AND t.settled_at_ms IS NULL)
        UNION ALL
        (SELECT l.* FROM queue l WHERE l.sid = o.sid AND l.settled_at_ms IS NULL AND l.available_at_ms > 0
            AND l.available_at_ms > ?1 AND l.taken = 0 ORDER BY l.available_at_ms LIMIT 1)
    ) q"""
_LAID_OUT_ANEW = {
    work_overview.WAITING_ROWS: _WAITING_ROWS,
    queue_rows.NEXT_NUMBER: "SELECT nextval('queue_enqueue_seq_seq')",
}

_SPELLING: tuple[tuple[str, str], ...] = (
    (r"\binstr\(", "strpos("),
    (r"\blast_insert_rowid\(\)", "lastval()"),
    (r"\b1 << 62\b", "1::bigint << 62"),
    (r"\? IS NULL", "?::text IS NULL"),
    (r"(\w+_hash = \(SELECT) \?", r"\1 ?::bigint"),
    (r"LIMIT \(SELECT \?\)", "LIMIT ?"),
    (r"taken = run_turn_id IS NOT NULL", "taken = (run_turn_id IS NOT NULL)::int"),
    (r"WHERE body <> excluded\.body", "WHERE module_artifact.body <> excluded.body"),
    (
        r"\(SELECT (?:coalesce\(max\(change_seq\), 0\)|max\(change_seq\)) \+ 1 FROM process\)",
        "nextval('process_change')",
    ),
)
_IN_LIST = re.compile(r"(\w+\)?) (NOT )?IN \(SELECT value FROM json_each\(\?\)\)")
_PLACEHOLDER = re.compile(r"'[^']*'|\?(\d*)")

_LOCKED_BY = (
    ("session", re.compile(r"\bsession_id = (?:\(SELECT )?\$(\d+)")),
    ("process", re.compile(r"\bprocess_id = \$(\d+)")),
    ("occurrence", re.compile(r"\boccurrence_id = \$(\d+)")),
    ("occurrence key", re.compile(r"\bidempotency_key = \$(\d+)")),
    ("wait", re.compile(r"\bwait_key = \$(\d+)")),
    ("attachment", re.compile(r"\battachment_id = \$(\d+)")),
)
_BLOBS = "blobs"
_CHANGES = "changes of processes"


@cache
def postgres_statement(sql: str) -> Statement:
    """Return what a constant text of the scripts means on PostgreSQL."""
    text = _numbered(_spelled(_LAID_OUT_ANEW.get(sql, sql)))
    return Statement(
        text=text,
        writing_text=text + _ROW_LOCKS.get(sql, ""),
        is_change=not text.lstrip().startswith(("SELECT", "WITH")),
        before=_BEFORE.get(sql),
        locks=_locks(sql, text),
        reading_locks=_READING_LOCKS.get(sql, no_locks),
    )


def _spelled(sql: str) -> str:
    for pattern, replacement in _SPELLING:
        sql = re.sub(pattern, replacement, sql)
    return _IN_LIST.sub(lambda found: _in_list(sql, found), sql)


def _in_list(sql: str, found: re.Match[str]) -> str:
    column, is_excluded = found.groups()
    is_number = column in _NUMBERS and "usage_counted" not in sql  # whose key is a text
    items = "jsonb_array_elements_text(?::jsonb)" + ("::bigint" if is_number else "")
    return f"{column} {'<> ALL' if is_excluded else '= ANY'} (ARRAY(SELECT {items}))"


def _numbered(sql: str) -> str:
    largest = 0

    def number(found: re.Match[str]) -> str:
        nonlocal largest
        if found[1] is None:  # a literal
            return found[0]
        named = int(found[1] or largest + 1)
        largest = max(largest, named)
        return f"${named}"

    return _PLACEHOLDER.sub(number, sql)


def _locks(sql: str, text: str) -> Locks:
    named = _LOCKS.get(sql)
    if named is not None or not text.lstrip().startswith("SELECT"):
        return named or no_locks
    by = [(kind, int(n) - 1) for kind, pattern in _LOCKED_BY for n in pattern.findall(text)]
    if not by:
        return no_locks

    def locks(params: tuple[Value, ...]) -> Iterator[Lock]:
        for kind, index in by:
            if params[index] is not None:
                yield Lock(f"{kind} {params[index]!r}")

    return locks


def _each_of(kind: str) -> Locks:
    """Lock every item of the list that is the first parameter."""

    def locks(params: tuple[Value, ...]) -> Iterable[Lock]:
        return [Lock(f"{kind} {item!r}") for item in msgspec.json.decode(str(params[0]))]

    return locks


def _alone(name: str) -> Locks:
    lock = (Lock(name),)
    return lambda params: lock


def _shared(name: str) -> Locks:
    lock = (Lock(name, is_shared=True),)
    return lambda params: lock


_LOCKS: dict[str, Locks] = {
    session_rows.FIND_SID: no_locks,  # a number once given stays
    effect_rows.FIND_BY_HASH: _each_of("effect"),
    wait_rows.FIND_WAITS: _each_of("wait"),
    deletion.DELETE_ATTACHMENTS: _each_of("attachment"),
    deletion.STILL_NAMED: _each_of("attachment"),
    maintenance.HEAD_BODIES: _alone(_BLOBS),
    commits.ADD_BLOB: _shared(_BLOBS),
    commits.FIND_REFS: _shared(_BLOBS),
    process_rows.ADD_PROCESS: _shared(_CHANGES),
    process_rows.SET_PROCESS: _shared(_CHANGES),
}
_ROW_LOCKS = {
    effect_rows.FIND_BY_HASH: " FOR UPDATE OF e",
    # Nobody orders what is pruned: each of several pruners takes what no other has.
    retention.OLD_EFFECTS: " FOR UPDATE SKIP LOCKED",
    retention.OLD_BATCHES: " FOR UPDATE SKIP LOCKED",
    process_pruning.OVER_PROCESSES: " FOR UPDATE SKIP LOCKED",
}
_READING_LOCKS: dict[str, Locks] = {process_rows.CHANGED_PROCESSES: _alone(_CHANGES)}
_BEFORE = {
    commits.DROP_OUTCOMES: _numbered(
        f"SELECT 1 FROM effect WHERE {commits.OPEN_LINES} ORDER BY effect_seq FOR UPDATE"  # noqa: S608
    )
}
