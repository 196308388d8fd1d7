"""Effects as rows: a small line for the ledger, and beside it the outcome until it is settled.

Lines are found by short hashes of their scope and of their key, so that the two long texts are in no index;
the texts themselves decide. The key's hash starts with one of the key's beginning: the keys of one turn
begin alike, and so their index entries are neighbours on one page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from lash.backends.sql.digests import packed_digest, unpacked_digest
from lash.backends.sql.engine import Query, Tx, Value
from lash.backends.sql.session_rows import corrupt
from lash.backends.sql.store import json_list
from lash.errors import ErrorRecord
from lash.rules.journal import EffectRow
from lash.values import (
    EffectClaim,
    EffectIdentity,
    EffectRecord,
    EffectResult,
    EffectScope,
    EffectState,
    RuntimeEffectKind,
    decode_record,
)

_KEY_PREFIX_CHARS = 40
_KEY_MARKS = {(False, False): "=", (True, False): "+", (False, True): "-", (True, True): "*"}


class EffectKey(msgspec.Struct, frozen=True):
    """Where a line is found: the scope's session, and the hashes."""

    session_id: str | None
    scope_hash: int
    key_hash: int
    scope: EffectScope
    replay_key: str


class StoredEffect(msgspec.Struct, frozen=True, gc=False):
    """A line with its outcome, in the order in which the columns are selected."""

    effect_seq: int
    session_id: str | None
    scope_type: str
    scope_id: str
    replay_key: str
    packed_hash: bytes
    kind: str
    effect_id: str
    label: str
    at_most_once: int
    state: str
    started_at_ms: int
    ended_at_ms: int | None
    due_at_ms: int | None
    attempts: int
    runs: int
    settled: int
    settled_by: str | None
    error: bytes | None
    claim_owner_id: str | None
    claim_token: str | None
    claim_expires_at_ms: int
    digests: bytes | None
    outcome: bytes | None

    @property
    def envelope_hash(self) -> str:
        """The hash of what the effect was asked to do.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        return unpacked_digest(self.packed_hash, table="effect", what=f"effect_seq {self.effect_seq}")

    @property
    def row(self) -> EffectRow:
        """The line as decisions see it."""
        return EffectRow(
            envelope_hash=self.envelope_hash,
            state=self.state,
            at_most_once=bool(self.at_most_once),
            claim_owner_id=self.claim_owner_id,
            claim_token=self.claim_token,
            claim_expires_at_ms=self.claim_expires_at_ms,
            settled=bool(self.settled),
        )

    @property
    def scope(self) -> EffectScope:
        """The scope that the line belongs to."""
        return scope_of(self.scope_type, self.scope_id, self.session_id)

    @property
    def full_key(self) -> str:
        """The replay key as callers know it."""
        return expanded_key(self.scope, self.replay_key, self.effect_id)

    def is_at(self, key: EffectKey) -> bool:
        """Whether this is the line under a key, and not one whose hashes happen to be the same."""
        return self.scope == key.scope and self.full_key == key.replay_key

    def record(self) -> EffectRecord:
        """Return the line as callers see it.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        where = f"table effect: effect {self.full_key!r} (effect_seq {self.effect_seq})"
        try:
            state, kind = EffectState(self.state), RuntimeEffectKind(self.kind)
        except ValueError as problem:
            raise corrupt("effect", f"effect_seq {self.effect_seq}", problem) from problem
        digests = {} if self.digests is None else decode_record(dict[str, str], self.digests, what=where)
        return EffectRecord(
            identity=EffectIdentity(
                scope=self.scope,
                replay_key=self.full_key,
                envelope_hash=self.envelope_hash,
                kind=kind,
                effect_id=self.effect_id,
                label=self.label,
                at_most_once=bool(self.at_most_once),
                field_digests=digests,
            ),
            state=state,
            started_at_ms=self.started_at_ms,
            result=self._result(state, where),
            ended_at_ms=self.ended_at_ms,
            due_at_ms=self.due_at_ms,
            settled=bool(self.settled),
            settled_by=self.settled_by,
            runs=self.runs,
        )

    def _result(self, state: EffectState, where: str) -> EffectResult | None:
        if state is EffectState.STARTED:
            return None
        error = None if self.error is None else decode_record(ErrorRecord, self.error, what=where)
        return EffectResult(state=state, outcome=self.outcome, error=error, attempts=self.attempts)


_SELECT = """SELECT e.effect_seq, s.session_id, e.scope_type, e.scope_id, e.replay_key, e.envelope_hash,
    e.kind, e.effect_id, e.label, e.at_most_once, e.state, e.started_at_ms, e.ended_at_ms, e.due_at_ms,
    e.attempts, e.runs, e.settled, e.settled_by, e.error, e.claim_owner_id, e.claim_token,
    e.claim_expires_at_ms, o.digests, o.outcome
    FROM effect e LEFT JOIN session s ON s.sid = e.sid LEFT JOIN effect_outcome o USING (effect_seq)"""

FIND_BY_HASH = f"{_SELECT} WHERE e.key_hash IN (SELECT value FROM json_each(?)) ORDER BY e.effect_seq"  # noqa: S608
LIST_OF_SCOPE = f"""{_SELECT} WHERE e.sid = coalesce((SELECT sid FROM session WHERE session_id = ?), 0)
    AND e.scope_hash = ? ORDER BY e.effect_seq"""  # noqa: S608
_FILTERS = """e.effect_seq > ? AND (? IS NULL OR e.state = ?) AND (? IS NULL OR e.settled = ?)
    AND (? IS NULL OR (e.scope_type = 'turn' AND e.scope_id = ?)) ORDER BY e.effect_seq LIMIT ?"""
LIST_EFFECTS = f"{_SELECT} WHERE {_FILTERS}"
LIST_OF_SESSION = f"{_SELECT} WHERE e.sid = (SELECT sid FROM session WHERE session_id = ?) AND {_FILTERS}"  # noqa: S608
INSERT_LINE = """INSERT INTO effect (sid, scope_hash, key_hash, scope_type, scope_id, replay_key,
    envelope_hash, kind, effect_id, label, at_most_once, state, started_at_ms, ended_at_ms, due_at_ms,
    attempts, settled, error, claim_owner_id, claim_token, claim_expires_at_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
# Of the line that was stored by the statement before this one.
ADD_OUTCOME = (
    """INSERT INTO effect_outcome (effect_seq, digests, outcome) VALUES (last_insert_rowid(), ?, ?)"""
)
PUT_OUTCOME = """INSERT INTO effect_outcome (effect_seq, digests, outcome) VALUES (?, ?, ?)
    ON CONFLICT (effect_seq) DO UPDATE SET outcome = excluded.outcome"""


def effect_key(identity: EffectIdentity) -> EffectKey:
    """Return where the line of an effect is found."""
    return key_of(identity.scope, identity.replay_key)


def key_of(scope: EffectScope, replay_key: str) -> EffectKey:
    """Return where the line under a scope and a replay key is found."""
    return EffectKey(scope.session_id, scope_hash(scope), key_hash(replay_key), scope, replay_key)


def scope_hash(scope: EffectScope) -> int:
    """Return the short hash of a scope."""
    return _short_hash(scope.key, 8)


def key_hash(replay_key: str) -> int:
    """Return the short hash of a replay key; keys that begin alike have hashes that are close."""
    return _short_hash(replay_key[:_KEY_PREFIX_CHARS], 4) << 32 | _short_hash(replay_key, 4) & 0xFFFFFFFF


def _short_hash(text: str, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest(), "big", signed=True)


def scope_columns(scope: EffectScope) -> tuple[str, str]:
    """Return a scope as its type and its own id; the session is another column."""
    own = scope.turn_id or scope.process_id or scope.drain_id or scope.operation_id
    return scope.type, own or ""


def scope_of(scope_type: str, scope_id: str, session_id: str | None) -> EffectScope:
    """Return the scope that `scope_columns` took apart.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    match scope_type:
        case "turn":
            return EffectScope.turn(session_id or "", scope_id)
        case "process":
            return EffectScope.process(scope_id)
        case "queue_drain":
            return EffectScope.queue_drain(session_id or "", scope_id)
        case "session_delete":
            return EffectScope.session_delete(session_id or "")
        case "runtime_operation":
            return EffectScope.runtime_operation(scope_id)
    raise corrupt("effect", f"scope {scope_id!r}", f"{scope_type!r} is no type of scope")


def shortened_key(scope: EffectScope, replay_key: str, effect_id: str) -> str:
    """Return a replay key as it is stored: without what its scope and the effect's id say already.

    The first character tells what was left out: the session and the turn, the effect id at the end, or both.
    """
    start, end = f"{scope.session_id}:{scope.turn_id}:", f":{effect_id}"
    has_start = scope.type == "turn" and replay_key.startswith(start)
    rest = replay_key[len(start) :] if has_start else replay_key
    has_end = rest.endswith(end)
    return _KEY_MARKS[has_start, has_end] + (rest[: -len(end)] if has_end else rest)


def expanded_key(scope: EffectScope, stored: str, effect_id: str) -> str:
    """Return the replay key that `shortened_key` stored.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    parts = next((parts for parts, mark in _KEY_MARKS.items() if stored[:1] == mark), None)
    if parts is None:
        raise corrupt("effect", f"scope {scope.key!r}", f"{stored!r} is no replay key")
    has_start, has_end = parts
    start = f"{scope.session_id}:{scope.turn_id}:" if has_start else ""
    return start + stored[1:] + (f":{effect_id}" if has_end else "")


def _identity_columns(sid: int, key: EffectKey, identity: EffectIdentity) -> tuple[Value, ...]:
    return (
        sid,
        key.scope_hash,
        key.key_hash,
        *scope_columns(key.scope),
        shortened_key(key.scope, key.replay_key, identity.effect_id),
        packed_digest(identity.envelope_hash),
        identity.kind.value,
        identity.effect_id,
        identity.label,
        identity.at_most_once,
    )


def started_columns(
    sid: int,
    key: EffectKey,
    identity: EffectIdentity,
    now_ms: int,
    *,
    due_at_ms: int | None = None,
    claim: EffectClaim | None = None,
) -> tuple[Value, ...]:
    """Return the columns of a line that starts now, under a claim or not."""
    return (
        *_identity_columns(sid, key, identity),
        EffectState.STARTED.value,
        now_ms,
        None,
        due_at_ms,
        1,
        0,
        None,
        None if claim is None else claim.owner_id,
        None if claim is None else claim.claim_token,
        0 if claim is None else claim.expires_at_ms,
    )


def ended_columns(
    sid: int,
    key: EffectKey,
    identity: EffectIdentity,
    state: EffectState,
    attempts: int,
    now_ms: int,
    *,
    error: bytes | None = None,
    is_settled: bool = False,
) -> tuple[Value, ...]:
    """Return the columns of a line that is stored only now that its effect has ended."""
    tail = (state.value, now_ms, now_ms, None, attempts, is_settled, error, None, None, 0)
    return (*_identity_columns(sid, key, identity), *tail)


def effects_at(keys: Sequence[EffectKey]) -> Query[StoredEffect]:
    """Return the read of the lines under some keys; `by_key` sorts out equal hashes."""
    return Query(StoredEffect, FIND_BY_HASH, json_list(key.key_hash for key in keys))


def by_key(keys: Iterable[EffectKey], rows: Sequence[StoredEffect]) -> dict[EffectKey, StoredEffect]:
    """Return the line of each key that has one."""
    return {key: row for key in keys for row in rows if row.is_at(key)}


def lines_of_scope(scope: EffectScope) -> Query[StoredEffect]:
    """Return the read of the lines of a scope, and of another one whose hash happens to be the same."""
    return Query(StoredEffect, LIST_OF_SCOPE, scope.session_id, scope_hash(scope))


async def effects_of_scope(tx: Tx, scope: EffectScope) -> list[StoredEffect]:
    """Return the lines of a scope, in the order in which the effects were started."""
    (rows,) = await tx.read(lines_of_scope(scope))
    return [row for row in rows if row.scope == scope]
