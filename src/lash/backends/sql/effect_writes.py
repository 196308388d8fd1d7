"""The writes of the journal that several operations share."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.sql.effect_rows import (
    PUT_OUTCOME,
    START_LINE,
    EffectKey,
    StoredEffect,
    started_columns,
)
from lash.backends.sql.engine import Tx
from lash.backends.sql.session_rows import ensure_sid, find_session
from lash.rules.storable import storable_bytes
from lash.values import EffectClaim, EffectIdentity, EffectResult, EffectState, encode_record

ONE_MORE_RUN = "UPDATE effect SET runs = runs + 1 WHERE effect_seq = ?"
END_LINE = """UPDATE effect SET state = ?, attempts = ?, error = ?, ended_at_ms = ?, settled_by = ?,
    claim_owner_id = NULL, claim_token = NULL, claim_expires_at_ms = 0 WHERE effect_seq = ?"""


class PreparedResult(msgspec.Struct, frozen=True, kw_only=True):
    """A result as bytes."""

    state: EffectState
    attempts: int
    outcome: bytes | None
    error: bytes | None


def prepare_result(result: EffectResult, replay_key: str) -> PreparedResult:
    """Return a result as bytes.

    Raises:
        LashError: `json_not_representable` for an error whose facts are no JSON.
    """
    what = f"result of effect {replay_key!r}"
    error = None if result.error is None else storable_bytes(result.error, what=what)
    return PreparedResult(state=result.state, attempts=result.attempts, outcome=result.outcome, error=error)


async def sid_of(tx: Tx, session_id: str | None) -> int:
    """Return the number of the session that a scope belongs to; 0 for none."""
    if session_id is None:
        return 0
    session = await find_session(tx, session_id)
    return session.sid if session is not None else await ensure_sid(tx, None, session_id)


async def start_line(
    tx: Tx,
    key: EffectKey,
    identity: EffectIdentity,
    *,
    due_at_ms: int | None = None,
    claim: EffectClaim | None = None,
) -> int:
    """Store the line of an effect that starts now; return its number."""
    sid = await sid_of(tx, key.session_id)
    columns = started_columns(sid, key, identity, tx.now_ms, due_at_ms=due_at_ms, claim=claim)
    seq = await tx.fetch_one(int, START_LINE, *columns)
    assert seq is not None
    if identity.field_digests:
        await tx.write(PUT_OUTCOME, seq, encode_record(identity.field_digests), None)
    return seq


async def end_line(tx: Tx, effect_seq: int, result: PreparedResult, *, settled_by: str | None = None) -> None:
    """Store how an effect ended, and let go of its claim."""
    await tx.write(
        END_LINE, result.state.value, result.attempts, result.error, tx.now_ms, settled_by, effect_seq
    )
    if result.outcome is not None:
        await tx.write(PUT_OUTCOME, effect_seq, None, result.outcome)


async def end_lines(
    tx: Tx,
    results: Sequence[tuple[EffectKey, EffectIdentity, PreparedResult]],
    known: dict[EffectKey, StoredEffect],
) -> set[EffectKey]:
    """Store results of lines that have none, and the lines that are missing; return which were written.

    A line that has a result already, or is settled, keeps what it has.
    """
    written: set[EffectKey] = set()
    for key, identity, result in results:
        line = known.get(key)
        if key in written or (line is not None and (line.settled or line.state != EffectState.STARTED)):
            continue
        seq = await start_line(tx, key, identity) if line is None else line.effect_seq
        await end_line(tx, seq, result)
        written.add(key)
        tx.notify(f"effect:{key.replay_key}")
    return written
