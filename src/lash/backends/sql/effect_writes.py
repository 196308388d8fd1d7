"""The writes of the journal that several operations share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from lash.backends.sql.effect_rows import (
    ADD_OUTCOME,
    INSERT_LINE,
    PUT_OUTCOME,
    EffectKey,
    StoredEffect,
    ended_columns,
    started_columns,
)
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.session_rows import FIND_SID, INSERT_SESSION
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


async def given_sids(tx: Tx, found: Mapping[str | None, Sequence[int]]) -> dict[str | None, int]:
    """Return the numbers of the sessions that scopes belong to, giving them some if need be; 0 for none.

    Args:
        tx: The transaction.
        found: For each session, or None for no session, what `sid_query` found.
    """
    sids = {session_id: sids[0] if sids else 0 for session_id, sids in found.items()}
    new = [session_id for session_id, sid in sids.items() if session_id is not None and not sid]
    if new:
        made = await tx.read(*(Query(int, INSERT_SESSION, name, tx.now_ms, tx.now_ms) for name in new))
        sids |= {session_id: numbers[0] for session_id, numbers in zip(new, made, strict=True)}
    return sids


def sid_query(session_id: str | None) -> Query[int]:
    """Return the read of a session's number; of none, for a scope that belongs to no session."""
    return Query(int, FIND_SID, session_id)


async def start_line(
    tx: Tx,
    sid: int,
    key: EffectKey,
    identity: EffectIdentity,
    *,
    due_at_ms: int | None = None,
    claim: EffectClaim | None = None,
) -> None:
    """Store the line of an effect that starts now."""
    await tx.write(
        INSERT_LINE, *started_columns(sid, key, identity, tx.now_ms, due_at_ms=due_at_ms, claim=claim)
    )
    if identity.field_digests:
        await tx.write(ADD_OUTCOME, encode_record(identity.field_digests), None)


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
    known: Mapping[EffectKey, StoredEffect],
    sids: Mapping[str | None, int],
) -> set[EffectKey]:
    """Store results of lines that have none, and the lines that are missing; return which were written.

    A line that has a result already, or is settled, keeps what it has.
    """
    written: set[EffectKey] = set()
    for key, identity, result in results:
        line = known.get(key)
        if key in written or (line is not None and (line.settled or line.state != EffectState.STARTED)):
            continue
        if line is None:
            await _add_ended(tx, sids[key.session_id], key, identity, result)
        else:
            await end_line(tx, line.effect_seq, result)
        written.add(key)
        tx.notify(f"effect:{key.replay_key}")
    return written


async def _add_ended(
    tx: Tx, sid: int, key: EffectKey, identity: EffectIdentity, result: PreparedResult
) -> None:
    """Store the line and the outcome of an effect that nobody had announced."""
    state, attempts = result.state, result.attempts
    await tx.write(
        INSERT_LINE, *ended_columns(sid, key, identity, state, attempts, tx.now_ms, error=result.error)
    )
    digests = encode_record(identity.field_digests) if identity.field_digests else None
    if digests is not None or result.outcome is not None:
        await tx.write(ADD_OUTCOME, digests, result.outcome)
