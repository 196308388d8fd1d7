"""Small valid records, and the check that an operation was refused with a code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from lash.errors import LashError
from lash.values import (
    AgentFrameRecord,
    DeliveryPolicy,
    EffectIdentity,
    EffectResult,
    EffectScope,
    EffectState,
    EventNode,
    GraphAppend,
    GraphCommitDelta,
    GraphReplaceFull,
    GraphUnchanged,
    HydratedSessionCheckpoint,
    MergeGroup,
    MergeKey,
    MergePayloadDefault,
    ModelSpec,
    NeverMerge,
    PersistedTurnState,
    ProcessWakeDelivery,
    ProtocolEvent,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    RuntimeCommit,
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeScope,
    RuntimeTurnCommitStamp,
    SessionConfig,
    SessionGraph,
    SessionNodeRecord,
    SlotPolicy,
    TokenLedgerEntry,
    TokenUsage,
    TurnDraft,
    TurnInput,
    TurnInputPayload,
    TurnReceipt,
    TurnSettlement,
)

IDLE = QueuedWorkClaimBoundary.IDLE
CHECKPOINT = QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
EARLY = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
LATE = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
JOIN = SlotPolicy.JOIN
ALONE = SlotPolicy.EXCLUSIVE
DEFAULT = MergePayloadDefault()
NEVER = NeverMerge()


@contextmanager
def refused(code: str) -> Iterator[pytest.ExceptionInfo[LashError]]:
    """Fail unless the block raises a `LashError` of exactly this code."""
    with pytest.raises(LashError) as caught:
        yield caught
    assert caught.value.code == code, f"expected {code}, got {caught.value!r}"


def group(name: str) -> MergeGroup:
    return MergeGroup(name=name)


def draft(
    text: str = "work",
    session_id: str = "root",
    *,
    delivery: DeliveryPolicy = EARLY,
    slot: SlotPolicy = ALONE,
    merge: MergeKey = NEVER,
    source_key: str | None = None,
    available_at_ms: int = 0,
    turn_id: str | None = None,
) -> QueuedWorkBatchDraft:
    given = TurnInput.text(text).replace(turn_id=turn_id)
    return QueuedWorkBatchDraft(
        session_id=session_id,
        delivery_policy=delivery,
        slot_policy=slot,
        merge_key=merge,
        payloads=(TurnInputPayload(input=given),),
        source_key=source_key,
        available_at_ms=available_at_ms,
    )


def wake(*, process_id: str = "p1", sequence: int = 1, dedupe_key: str | None = None) -> ProcessWakeDelivery:
    key = dedupe_key if dedupe_key is not None else f"{process_id}:{sequence}"
    return ProcessWakeDelivery(
        wake_id="wake:" + (key.encode().hex() + "0" * 64)[:64],
        target_session_id="root",
        target_scope_id="session:root",
        process_id=process_id,
        sequence=sequence,
        event_type="process.note",
        event_invocation=RuntimeInvocation.effect(
            RuntimeScope(session_id="root"), "e1", RuntimeEffectKind.TOOL_CALL, "k1"
        ),
        dedupe_key=key,
        input=f"note {sequence}",
        created_at_ms=5,
    )


def ids(found: QueuedWorkClaim | Sequence[QueuedWorkBatch] | None) -> list[str]:
    """The batch ids of a claim or a list, in order."""
    if found is None:
        return []
    batches = found.batches if isinstance(found, QueuedWorkClaim) else found
    return [batch.batch_id for batch in batches]


def text_of(batch: QueuedWorkBatch) -> str:
    (payload,) = batch.payloads
    assert isinstance(payload, TurnInputPayload)
    (item,) = payload.input.items
    return str(getattr(item, "text", ""))


def node(node_id: str, parent: str | None = None, *, body: Any = "x", at: str = "t0") -> SessionNodeRecord:
    event = ProtocolEvent(plugin_id="sample", payload={"id": node_id, "body": body})
    return SessionNodeRecord(
        node_id=node_id, parent_node_id=parent, payload=EventNode(event=event), timestamp=at
    )


def append(*nodes: SessionNodeRecord, leaf: str | None = None) -> GraphAppend:
    return GraphAppend(nodes=nodes, leaf_node_id=leaf or (nodes[-1].node_id if nodes else None))


def replace(*nodes: SessionNodeRecord, leaf: str | None) -> GraphReplaceFull:
    return GraphReplaceFull(graph=SessionGraph.from_nodes(nodes, leaf))


def commit(
    session_id: str = "root",
    *,
    expected: int | None = None,
    graph: GraphCommitDelta | None = None,
    **fields: Any,
) -> RuntimeCommit:
    base: dict[str, Any] = {
        "session_id": session_id,
        "config": SessionConfig(provider_id="p", model=ModelSpec(id="m", context_window_tokens=1000)),
        "agent_frames": (AgentFrameRecord(frame_id="f1", session_id="root"),),
        "current_agent_frame_id": "f1",
        "graph": graph if graph is not None else GraphUnchanged(),
        "checkpoint": HydratedSessionCheckpoint(turn_state=PersistedTurnState(turn_index=1)),
        "expected_head_revision": expected,
    }
    return RuntimeCommit(**(base | fields))


def stamp(turn_id: str, turn_hash: str = "h1", session_id: str = "root") -> RuntimeTurnCommitStamp:
    return RuntimeTurnCommitStamp(session_id=session_id, turn_id=turn_id, turn_commit_hash=turn_hash)


def usage(
    tokens: int = 1, *, source: str = "turn", model: str = "m", key: str | None = None, **counters: int
) -> TokenLedgerEntry:
    return TokenLedgerEntry(
        source=source, model=model, usage=TokenUsage(input_tokens=tokens, **counters), key=key
    )


def turn(
    turn_id: str,
    session_id: str = "s1",
    *,
    text: str = "hello",
    agent: str = "helper",
    on_busy: Any = "queue",
) -> TurnDraft:
    return TurnDraft(
        session_id=session_id, turn_id=turn_id, input=TurnInput.text(text), agent=agent, on_busy=on_busy
    )


def effect(
    key: str = "k1",
    scope: EffectScope | None = None,
    *,
    envelope_hash: str = "e1",
    at_most_once: bool = False,
    digests: dict[str, str] | None = None,
) -> EffectIdentity:
    return EffectIdentity(
        scope=scope or EffectScope.turn("s1", "t1"),
        replay_key=key,
        envelope_hash=envelope_hash,
        kind=RuntimeEffectKind.TOOL_CALL,
        effect_id=key,
        label="tool",
        at_most_once=at_most_once,
        field_digests=digests or {},
    )


def done(outcome: bytes = b"yes") -> EffectResult:
    return EffectResult(state=EffectState.DONE, outcome=outcome)


def settling(turn_id: str, lease: Any = None, **fields: Any) -> TurnSettlement:
    return TurnSettlement(receipt=TurnReceipt(turn_id=turn_id), lease=lease, **fields)
