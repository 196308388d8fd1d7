"""Everything of a commit that needs no database: encoded, hashed and checked before a transaction begins.

What is done here is done once, however often the script that applies it is run, and outside the one thread
that writes.
"""

from __future__ import annotations

import hashlib

import msgspec

from lash.backends.sql.effect_rows import EffectKey, effect_key, scope_hash
from lash.backends.sql.node_rows import PreparedNode
from lash.backends.sql.receipts import StoredReceipt, stored_receipt
from lash.rules.blobs import bare_refs, component_blobs
from lash.rules.commits import check_binding, is_recorded
from lash.rules.exact_json import exact_bytes
from lash.rules.graph import ids_named_by
from lash.rules.identifiers import check_session_id
from lash.values import (
    EffectScope,
    RuntimeCommit,
    RuntimeCommitResult,
    TurnSettlement,
    UnwrittenEffect,
    bytes_hash,
    checkpoint_manifest,
)


class PreparedSettlement(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit settles, ready to be stored."""

    receipt: StoredReceipt
    scope: EffectScope
    scope_hash: int
    lines: tuple[tuple[EffectKey, UnwrittenEffect], ...]

    @property
    def keys(self) -> list[EffectKey]:
        """Where the lines are found that the commit brings."""
        return [key for key, _ in self.lines]


class PreparedCommit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit as bytes."""

    commit: RuntimeCommit
    result: RuntimeCommitResult
    nodes: list[PreparedNode]
    manifest_body: bytes
    config: bytes
    frames: bytes
    setup_hash: str
    blobs: dict[str, bytes]
    bare_refs: tuple[str, ...]
    named_ids: tuple[str, ...]
    usage_keys: list[str]
    settlement: PreparedSettlement | None


def prepare_commit(commit: RuntimeCommit, bound_session_id: str | None) -> PreparedCommit:
    """Return the commit as bytes.

    Raises:
        LashError: `invalid_argument`, `session_binding_mismatch`, `runtime_turn_commit_conflict` for a stamp
            of another session, `json_not_representable`.
    """
    check_session_id(commit.session_id)
    check_binding(commit, bound_session_id)
    is_recorded(commit, None)
    _check_texts(commit)
    what = f"commit of session {commit.session_id!r}"
    manifest = checkpoint_manifest(commit.checkpoint)
    manifest_body = exact_bytes(manifest, what=what)
    config = exact_bytes(commit.config, what=what)
    frames = exact_bytes(commit.agent_frames, what=what)
    result = RuntimeCommitResult(
        head_revision=(commit.expected_head_revision or 0) + 1,  # or the commit is refused
        checkpoint_ref=bytes_hash(manifest_body),
        manifest=manifest,
    )
    return PreparedCommit(
        commit=commit,
        result=result,
        nodes=[PreparedNode.of(node) for node in commit.nodes],
        manifest_body=manifest_body,
        config=config,
        frames=frames,
        setup_hash=hashlib.sha256(b"%d:%b%b" % (len(config), config, frames)).hexdigest(),
        blobs=component_blobs(commit.checkpoint),
        bare_refs=bare_refs(commit.checkpoint),
        named_ids=ids_named_by(commit.graph),
        usage_keys=[delta.key for delta in commit.usage_deltas if delta.key is not None],
        settlement=None
        if commit.settlement is None
        else _prepare_settlement(commit.session_id, commit.settlement, result.head_revision),
    )


def _prepare_settlement(
    session_id: str, settlement: TurnSettlement, head_revision: int
) -> PreparedSettlement:
    scope = EffectScope.turn(session_id, settlement.receipt.turn_id)
    lines: dict[EffectKey, UnwrittenEffect] = {}
    for line in settlement.effects:
        lines.setdefault(effect_key(line.identity), line)  # the first result of an effect stands
    receipt = settlement.receipt.replace(head_revision=head_revision)
    return PreparedSettlement(
        receipt=stored_receipt(receipt),
        scope=scope,
        scope_hash=scope_hash(scope),
        lines=tuple(lines.items()),
    )


def _check_texts(commit: RuntimeCommit) -> None:
    """Refuse texts that no statement can carry, so that a script never meets one."""
    texts = (
        commit.current_agent_frame_id,
        commit.leaf_node_id,
        [plain for delta in commit.usage_deltas for plain in (delta.source, delta.model, delta.key)],
        None
        if commit.turn_commit is None
        else [commit.turn_commit.turn_id, commit.turn_commit.turn_commit_hash],
        [[c.session_id, c.claim_id, c.lease_token, c.batch_ids] for c in commit.completed_queue_claims],
        commit.committed_attachment_ids,
        None if commit.settlement is None else commit.settlement.path_digest,
    )
    exact_bytes(texts, what=f"commit of session {commit.session_id!r}")
