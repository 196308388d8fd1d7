"""Applying a commit: gather what decides, decide, prepare everything that may fail, then write (2.D.3)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lash.backends.memory.effect_table import StoredEffect
from lash.backends.memory.manifest import stamp_attachments
from lash.backends.memory.parking import resolve_key
from lash.backends.memory.queue_table import StoredBatch
from lash.backends.memory.tables import StoredHead, StoredNode, StoredStamp, Tables
from lash.rules.blobs import bare_refs, component_blobs
from lash.rules.commits import CommitFacts, check_commit
from lash.rules.graph import ids_named_by
from lash.rules.identifiers import check_session_id, check_text
from lash.rules.leases import released
from lash.rules.ledger import fresh_deltas, merge_ledger
from lash.rules.storable import storable_bytes
from lash.rules.turns import missed_by
from lash.values import (
    EffectResult,
    EffectScope,
    GraphReplaceFull,
    QueuedWorkState,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionNodeRecord,
    TokenLedgerEntry,
    TurnSettlement,
    checkpoint_manifest,
    checkpoint_ref,
    is_child_session,
    turn_wait_key,
)


class PreparedCommit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that can no longer fail."""

    head: StoredHead
    nodes: tuple[StoredNode, ...]
    blobs: dict[str, bytes]
    usage: tuple[TokenLedgerEntry, ...]
    completed: tuple[StoredBatch, ...]
    missed: tuple[StoredBatch, ...]
    effects: tuple[StoredEffect, ...]
    result: RuntimeCommitResult
    stamp: StoredStamp | None


def commit(
    tables: Tables, commit: RuntimeCommit, bound_session_id: str | None, *, keeps_manifest: bool
) -> RuntimeCommitResult:
    """Apply a commit, or return what the same one returned before.

    Args:
        tables: The database.
        commit: What to apply.
        bound_session_id: The session of the handle, if it has one.
        keeps_manifest: Whether committed attachments are stamped (contract 2.E.2).

    Raises:
        LashError: see `RuntimePersistence.commit_runtime_state`.
    """
    now_ms = tables.clock.now_ms()
    if check_commit(commit, _facts(tables, commit, bound_session_id)):
        assert commit.turn_commit is not None
        stamp = tables.stamps[commit.session_id, commit.turn_commit.turn_id]
        return stamp.decoded_result().replace(replayed=True)
    prepared = _prepare(tables, commit, now_ms)
    _apply(tables, commit, prepared, now_ms)
    if keeps_manifest:
        stamp_attachments(tables, commit.session_id, commit.committed_attachment_ids, now_ms)
    if commit.settlement is not None:
        _settle(tables, commit, commit.settlement, prepared.effects)
    tables.touch(commit.session_id, now_ms)
    tables.announce(commit.session_id, queue=bool(prepared.missed))
    return prepared.result


def _facts(tables: Tables, commit: RuntimeCommit, bound_session_id: str | None) -> CommitFacts:
    session_id, stamp = commit.session_id, commit.turn_commit
    recorded = tables.stamps.get((session_id, stamp.turn_id)) if stamp is not None else None
    return CommitFacts(
        bound_session_id=bound_session_id,
        recorded_hash=None if recorded is None else recorded.turn_commit_hash,
        lease=tables.lease(session_id),
        head_revision=tables.head(session_id).revision,
        held={
            (completion.claim_id, completion.lease_token): [
                stored.row.batch_id
                for stored in tables.queue.held(session_id, completion.claim_id, completion.lease_token)
            ]
            for completion in commit.completed_queue_claims
        },
        known_nodes=tables.known_nodes(session_id, ids_named_by(commit.graph)),
        stored_refs=[ref for ref in bare_refs(commit.checkpoint) if ref in tables.blobs],
        is_deleted=session_id in tables.deleted,
    )


def _prepare(tables: Tables, commit: RuntimeCommit, now_ms: int) -> PreparedCommit:
    session_id = commit.session_id
    check_session_id(session_id)
    for node in commit.nodes:
        check_text(node.node_id, what="node id")
    manifest = checkpoint_manifest(commit.checkpoint)
    result = RuntimeCommitResult(
        head_revision=tables.head(session_id).revision + 1,
        checkpoint_ref=checkpoint_ref(manifest),
        manifest=manifest,
    )
    what = f"commit of session {session_id!r}"
    head = StoredHead(
        revision=result.head_revision,
        leaf_node_id=commit.leaf_node_id,
        path_digest=_path_digest(tables, commit),
        current_agent_frame_id=commit.current_agent_frame_id,
        checkpoint_ref=result.checkpoint_ref,
        config=storable_bytes(commit.config, what=what),
        frames=storable_bytes(commit.agent_frames, what=what),
        manifest=storable_bytes(manifest, what=what),
    )
    fresh = fresh_deltas(commit.usage_deltas, tables.counted.get(session_id, ()))
    completed = _completed(tables, commit)
    return PreparedCommit(
        head=head,
        nodes=tuple(_stored_node(node) for node in commit.nodes),
        blobs=component_blobs(commit.checkpoint),
        usage=merge_ledger([*tables.usage.get(session_id, ()), *fresh]),
        completed=completed,
        missed=_missed(tables, commit, completed),
        effects=_settled_effects(tables, commit, now_ms),
        result=result,
        stamp=_stamp(commit, result),
    )


def _path_digest(tables: Tables, commit: RuntimeCommit) -> str:
    """The digest that the settlement brings; without one the old one holds only for the old leaf."""
    if commit.settlement is not None and commit.settlement.path_digest is not None:
        return commit.settlement.path_digest
    before = tables.head(commit.session_id)
    return before.path_digest if before.leaf_node_id == commit.leaf_node_id else ""


def _stored_node(node: SessionNodeRecord) -> StoredNode:
    return StoredNode(
        node_id=node.node_id,
        parent_node_id=node.parent_node_id,
        body=storable_bytes(node, what=f"node {node.node_id!r}"),
    )


def _completed(tables: Tables, commit: RuntimeCommit) -> tuple[StoredBatch, ...]:
    return tuple(
        stored
        for completion in commit.completed_queue_claims
        for stored in tables.queue.held(commit.session_id, completion.claim_id, completion.lease_token)
    )


def _missed(
    tables: Tables, commit: RuntimeCommit, completed: Sequence[StoredBatch]
) -> tuple[StoredBatch, ...]:
    if commit.settlement is None:
        return ()
    ids = {stored.row.batch_id for stored in completed}
    rows = missed_by(tables.queue.open_rows(commit.session_id), commit.settlement.receipt.turn_id, ids)
    found = (tables.queue.find_open(commit.session_id, row.batch_id) for row in rows)
    return tuple(stored for stored in found if stored is not None)


def _stamp(commit: RuntimeCommit, result: RuntimeCommitResult) -> StoredStamp | None:
    if commit.turn_commit is None:
        return None
    receipt = None
    if commit.settlement is not None:
        receipt = storable_bytes(
            commit.settlement.receipt.replace(head_revision=result.head_revision),
            what=f"receipt of turn {commit.turn_commit.turn_id!r}",
        )
    return StoredStamp(
        turn_commit_hash=commit.turn_commit.turn_commit_hash,
        result=storable_bytes(result, what="commit result"),
        receipt=receipt,
    )


def _apply(tables: Tables, commit: RuntimeCommit, prepared: PreparedCommit, now_ms: int) -> None:
    session_id = commit.session_id
    tables.blobs.update(prepared.blobs)
    if isinstance(commit.graph, GraphReplaceFull):
        tables.nodes[session_id] = {}
    nodes = tables.nodes.setdefault(session_id, {})
    nodes.update({node.node_id: node for node in prepared.nodes})
    tables.usage[session_id] = prepared.usage
    counted = tables.counted.setdefault(session_id, set())
    counted.update(delta.key for delta in commit.usage_deltas if delta.key is not None)
    tables.heads[session_id] = prepared.head
    tables.queue.settle(prepared.completed, QueuedWorkState.COMPLETED, now_ms)
    tables.queue.give_back(prepared.missed, leaves_turn=True)
    if commit.turn_commit is not None and prepared.stamp is not None:
        tables.stamps[session_id, commit.turn_commit.turn_id] = prepared.stamp


def _settled_effects(tables: Tables, commit: RuntimeCommit, now_ms: int) -> tuple[StoredEffect, ...]:
    """The turn's journal once it is committed, with the lines that the commit itself brings."""
    settlement = commit.settlement
    if settlement is None:
        return ()
    results = [
        (line.identity, EffectResult(state=line.state, attempts=line.attempts)) for line in settlement.effects
    ]
    brought = tables.effects.with_results(results, now_ms)
    scope_key = EffectScope.turn(commit.session_id, settlement.receipt.turn_id).key
    lines = {(line.scope_key, line.replay_key): line for line in tables.effects.of_scope(scope_key)}
    return tuple(line.settled() for line in (lines | brought).values())


def _settle(
    tables: Tables, commit: RuntimeCommit, settlement: TurnSettlement, effects: Sequence[StoredEffect]
) -> None:
    scope_key = EffectScope.turn(commit.session_id, settlement.receipt.turn_id).key
    tables.effects.put(*effects)
    tables.waits.remove(lambda wait: wait.scope_key == scope_key)
    end = turn_wait_key(commit.session_id, settlement.receipt.turn_id)
    if is_child_session(commit.session_id) and tables.waits.find(end) is not None:
        resolve_key(tables, end, None)
    if settlement.lease is not None:
        tables.leases[commit.session_id] = released(tables.lease(commit.session_id))
