"""Applying a commit: one flight of reads, one decision, then writes that nobody waits for (contract 2.D.3).

The number of statements does not depend on how long the history is, nor do the pages that they touch: a
commit writes its nodes at the end of the session's range, the head in place, and closes what the turn had
open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lash.backends.sql.commit_preparation import PreparedCommit, PreparedSettlement
from lash.backends.sql.digests import packed_digest, unpacked_digest
from lash.backends.sql.effect_rows import (
    INSERT_LINE,
    StoredEffect,
    effects_at,
    ended_columns,
)
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.manifest_rows import STAMP_ATTACHMENTS
from lash.backends.sql.node_rows import (
    DELETE_RANGE,
    INSERT_NODE,
    NodePlace,
    placed_rows,
    places,
    session_range,
)
from lash.backends.sql.queue_rows import LEAVE_TURN, complete_rows, held_under, seq_list, taken_rows
from lash.backends.sql.session_rows import (
    SessionRow,
    announce,
    ensure_sid,
    locked_session,
)
from lash.backends.sql.store import json_list
from lash.backends.sql.wait_rows import ParkedRow, WaitRow, find_wait, parked_on, resolve_found
from lash.rules.commits import CommitFacts, check_commit
from lash.rules.leases import NO_LEASE
from lash.rules.ledger import fresh_deltas, merge_ledger
from lash.rules.queue import QueueRow
from lash.rules.turns import missed_by
from lash.values import (
    EffectState,
    GraphReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionCheckpoint,
    TokenLedgerEntry,
    checkpoint_ref,
    decode_record,
    encode_record,
    is_child_session,
    turn_wait_key,
)


class StampRow(msgspec.Struct, frozen=True, gc=False):
    """A recorded turn commit."""

    turn_id: str
    turn_commit_hash: bytes
    head_revision: int
    manifest: bytes

    @property
    def recorded_hash(self) -> str:
        """The hash of the commit that is recorded.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        return unpacked_digest(self.turn_commit_hash, table="stamp", what=f"turn {self.turn_id!r}")


class EndOfTurn(msgspec.Struct, frozen=True):
    """The wait for the end of a child session's turn, and what is parked on it."""

    key: str
    waits: list[WaitRow]
    parked: list[ParkedRow]


class KnownState(msgspec.Struct, frozen=True, kw_only=True):
    """What was read before the decision."""

    session: SessionRow | None
    stamp: StampRow | None
    taken: list[QueueRow]
    places: dict[str, NodePlace]
    counted: list[str]
    stored_refs: list[str]
    lines: list[StoredEffect]
    end: EndOfTurn | None


FIND_STAMP = """SELECT turn_id, turn_commit_hash, head_revision, manifest FROM stamp
    WHERE sid = (SELECT sid FROM session WHERE session_id = ?) AND turn_id = ?"""
FIND_COUNTED = """SELECT key FROM usage_counted WHERE sid = (SELECT sid FROM session WHERE session_id = ?)
    AND key IN (SELECT value FROM json_each(?))"""
FIND_REFS = "SELECT ref FROM blob WHERE ref IN (SELECT value FROM json_each(?))"
ADD_BLOB = "INSERT INTO blob (ref, body) VALUES (?, ?) ON CONFLICT (ref) DO NOTHING"
ADD_COUNTED = "INSERT INTO usage_counted (sid, key) VALUES (?, ?)"
ADD_STAMP = """INSERT INTO stamp (sid, turn_id, turn_commit_hash, head_revision, manifest, receipt, node_tails)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
SET_HEAD = """UPDATE session SET revision = ?, leaf_node_id = ?, path_digest = ?, next_seq = ?,
    current_agent_frame_id = ?, checkpoint_ref = ?, manifest = ?, ledger = ?, setup_hash = ?,
    updated_at_ms = ?, lease_owner_id = ?, lease_token = ?, lease_claimed_at_ms = ?,
    lease_expires_at_ms = ? WHERE sid = ?"""
SET_SETUP = """INSERT INTO session_setup (sid, config, frames) VALUES (?, ?, ?)
    ON CONFLICT (sid) DO UPDATE SET config = excluded.config, frames = excluded.frames"""
# The lines of a turn's journal that are not history yet; a fragment, also for dialects that lock them.
OPEN_LINES = "sid = ? AND scope_hash = ? AND scope_type = 'turn' AND scope_id = ? AND settled = 0"
DROP_OUTCOMES = f"""DELETE FROM effect_outcome WHERE effect_seq IN
    (SELECT effect_seq FROM effect WHERE {OPEN_LINES})"""  # noqa: S608
SETTLE_EFFECTS = f"""UPDATE effect SET settled = 1, claim_owner_id = NULL, claim_token = NULL,
    claim_expires_at_ms = 0 WHERE {OPEN_LINES}"""  # noqa: S608
END_LINE = "UPDATE effect SET state = ?, attempts = ?, ended_at_ms = ? WHERE effect_seq = ?"
DROP_WAITS = "DELETE FROM wait WHERE scope_key = ? AND scope_key <> ''"


async def apply_commit(tx: Tx, prepared: PreparedCommit) -> RuntimeCommitResult:
    """Apply a commit, or return what the same one returned before.

    Raises:
        LashError: see `RuntimePersistence.commit_runtime_state`.
    """
    commit = prepared.commit
    known = await _read(tx, prepared)
    session = known.session
    if check_commit(commit, _facts(commit, known)):
        return _stored_result(commit, known.stamp)
    sid = await ensure_sid(tx, session, commit.session_id)
    next_seq = await _write_nodes(tx, sid, prepared, known)
    ledger = await _write_usage(tx, sid, prepared, known)
    await _write_head(tx, sid, prepared, session, next_seq, ledger)
    has_missed = await _settle_queue(tx, commit, known.taken)
    if commit.committed_attachment_ids:
        await tx.write(STAMP_ATTACHMENTS, tx.now_ms, sid, json_list(commit.committed_attachment_ids))
    if prepared.settlement is not None:
        await _settle_turn(tx, sid, prepared.settlement, known)
    await _write_stamp(tx, sid, prepared)
    announce(tx, commit.session_id, queue=has_missed)
    return prepared.result


async def _read(tx: Tx, prepared: PreparedCommit) -> KnownState:
    """Read what the decision needs in one flight; what the commit does not touch is not asked for."""
    commit, session_id = prepared.commit, prepared.commit.session_id
    stamp, settlement = commit.turn_commit, prepared.settlement
    end = _awaited_end(commit)
    asked: list[Query[Any] | None] = [  # rows of several types, in this order
        locked_session(session_id),
        taken_rows(session_id),
        Query(StampRow, FIND_STAMP, session_id, stamp.turn_id) if stamp is not None else None,
        places(session_id, prepared.named_ids) if prepared.named_ids else None,
        Query(str, FIND_COUNTED, session_id, json_list(prepared.usage_keys)) if prepared.usage_keys else None,
        Query(str, FIND_REFS, json_list(prepared.bare_refs)) if prepared.bare_refs else None,
        effects_at(settlement.keys) if settlement is not None and settlement.keys else None,
        *((None, None) if end is None else (find_wait(end), parked_on(end))),
    ]
    answers = iter(await tx.read(*[query for query in asked if query is not None]))
    sessions, taken, stamps, stored, counted, refs, lines, waits, parked = (
        next(answers) if query is not None else [] for query in asked
    )
    return KnownState(
        session=sessions[0] if sessions else None,
        stamp=stamps[0] if stamps else None,
        taken=taken,
        places={place.node_id: place for place in stored},
        counted=counted,
        stored_refs=refs,
        lines=lines,
        end=None if end is None else EndOfTurn(end, waits, parked),
    )


def _awaited_end(commit: RuntimeCommit) -> str | None:
    """Return the wait that a turn's commit ends: somebody may wait for the turns of a child session."""
    if commit.settlement is None or not is_child_session(commit.session_id):
        return None
    return turn_wait_key(commit.session_id, commit.settlement.receipt.turn_id)


def _facts(commit: RuntimeCommit, known: KnownState) -> CommitFacts:
    session = known.session
    return CommitFacts(
        recorded_hash=None if known.stamp is None else known.stamp.recorded_hash,
        lease=NO_LEASE if session is None else session.lease,
        head_revision=0 if session is None else session.revision,
        held={
            (c.claim_id, c.lease_token): [
                row.batch_id for row in held_under(known.taken, c.claim_id, c.lease_token)
            ]
            for c in commit.completed_queue_claims
        },
        known_nodes={node_id: not place.hidden for node_id, place in known.places.items()},
        stored_refs=known.stored_refs,
        is_deleted=session is not None and session.is_deleted,
    )


def _stored_result(commit: RuntimeCommit, stamp: StampRow | None) -> RuntimeCommitResult:
    assert stamp is not None
    assert commit.turn_commit is not None
    what = f"table stamp: turn {commit.turn_commit.turn_id!r} of session {commit.session_id!r}"
    manifest = decode_record(SessionCheckpoint, stamp.manifest, what=what)
    return RuntimeCommitResult(
        head_revision=stamp.head_revision,
        checkpoint_ref=checkpoint_ref(manifest),
        manifest=manifest,
        replayed=True,
    )


async def _write_nodes(tx: Tx, sid: int, prepared: PreparedCommit, known: KnownState) -> int:
    """Store the nodes that the commit brings; return the number of the next one."""
    next_seq = 1 if known.session is None else known.session.next_seq
    if isinstance(prepared.commit.graph, GraphReplaceFull):
        await tx.write(DELETE_RANGE, *session_range(sid))
    if not prepared.nodes:
        return next_seq
    await tx.write_many(INSERT_NODE, placed_rows(sid, next_seq, prepared.nodes, known.places))
    return next_seq + len(prepared.nodes)


async def _write_usage(tx: Tx, sid: int, prepared: PreparedCommit, known: KnownState) -> bytes:
    """Store which usage was counted; return the session's new totals."""
    before = b"[]" if known.session is None else known.session.ledger
    deltas = prepared.commit.usage_deltas
    if not deltas:
        return before
    fresh = fresh_deltas(deltas, known.counted)
    totals = decode_ledger(prepared.commit.session_id, before)
    await tx.write_many(ADD_COUNTED, [(sid, delta.key) for delta in fresh if delta.key is not None])
    return encode_record(merge_ledger((*totals, *fresh)))


def decode_ledger(session_id: str, body: bytes) -> tuple[TokenLedgerEntry, ...]:
    """Return the running totals of a session.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    what = f"table session: ledger of session {session_id!r}"
    return decode_record(tuple[TokenLedgerEntry, ...], body, what=what)


async def _write_head(
    tx: Tx,
    sid: int,
    prepared: PreparedCommit,
    before: SessionRow | None,
    next_seq: int,
    ledger: bytes,
) -> None:
    commit = prepared.commit
    if prepared.blobs:
        await tx.write_many(ADD_BLOB, prepared.blobs.items())
    if before is None or before.setup_hash != prepared.setup_hash:
        await tx.write(SET_SETUP, sid, prepared.config, prepared.frames)
    keeps_lease = before is not None and (commit.settlement is None or commit.settlement.lease is None)
    await tx.write(
        SET_HEAD,
        prepared.result.head_revision,
        commit.leaf_node_id,
        _path_digest(commit, before),
        next_seq,
        commit.current_agent_frame_id,
        prepared.result.checkpoint_ref,
        prepared.manifest_body,
        ledger,
        prepared.setup_hash,
        tx.now_ms,
        before.lease_owner_id if before is not None and keeps_lease else None,
        before.lease_token if before is not None and keeps_lease else None,
        before.lease_claimed_at_ms if before is not None and keeps_lease else 0,
        before.lease_expires_at_ms if before is not None and keeps_lease else 0,
        sid,
    )


def _path_digest(commit: RuntimeCommit, before: SessionRow | None) -> str:
    """The digest that the settlement brings; without one the old one holds only for the old leaf."""
    if commit.settlement is not None and commit.settlement.path_digest is not None:
        return commit.settlement.path_digest
    return before.path_digest if before is not None and before.leaf_node_id == commit.leaf_node_id else ""


async def _settle_queue(tx: Tx, commit: RuntimeCommit, taken: Sequence[QueueRow]) -> bool:
    """Complete what the commit completes, give back what its turn missed; tell whether there was any."""
    completed = [
        row for c in commit.completed_queue_claims for row in held_under(taken, c.claim_id, c.lease_token)
    ]
    if completed:
        await complete_rows(tx, completed)
    if commit.settlement is None:
        return False
    missed = missed_by(taken, commit.settlement.receipt.turn_id, {row.batch_id for row in completed})
    if missed:
        await tx.write(LEAVE_TURN, seq_list(missed))
    return bool(missed)


async def _settle_turn(tx: Tx, sid: int, settlement: PreparedSettlement, known: KnownState) -> None:
    """Close the turn's journal: what happened stays as a line, what it gave is history now (ruling 7)."""
    await _bring_lines(tx, sid, settlement, known.lines)
    open_lines = (sid, settlement.scope_hash, settlement.scope.turn_id)
    await tx.write(DROP_OUTCOMES, *open_lines)
    await tx.write(SETTLE_EFFECTS, *open_lines)
    await tx.write(DROP_WAITS, settlement.scope.key)
    if known.end is not None:
        await resolve_found(tx, known.end.key, None, known.end.waits, known.end.parked)


async def _bring_lines(
    tx: Tx, sid: int, settlement: PreparedSettlement, stored: Sequence[StoredEffect]
) -> None:
    """Store the lines of effects that ended too close to the commit to have been recorded before."""
    new = []
    for key, line in settlement.lines:
        row = next((row for row in stored if row.is_at(key)), None)
        if row is None:
            columns = ended_columns(
                sid, key, line.identity, line.state, line.attempts, tx.now_ms, is_settled=True
            )
            new.append(columns)
        elif row.state == EffectState.STARTED and not row.settled:
            await tx.write(END_LINE, line.state.value, line.attempts, tx.now_ms, row.effect_seq)
    if new:
        await tx.write_many(INSERT_LINE, new)


async def _write_stamp(tx: Tx, sid: int, prepared: PreparedCommit) -> None:
    stamp, settlement = prepared.commit.turn_commit, prepared.settlement
    if stamp is not None:
        await tx.write(
            ADD_STAMP,
            sid,
            stamp.turn_id,
            packed_digest(stamp.turn_commit_hash),
            prepared.result.head_revision,
            prepared.manifest_body,
            None if settlement is None else settlement.receipt.body,
            None if settlement is None else settlement.receipt.tails,
        )
