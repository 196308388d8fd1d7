"""What the writers write: made of a token, so that whoever knows the token knows what has to be there.

Sessions `q*` are served by the seed's queue, `t*` by the turn ingress; `l` only ever has its lease taken.
"""

from __future__ import annotations

import hashlib
from typing import Any

from lash.contracts import Database
from lash.values import (
    AgentFrameRecord,
    AttachmentIntent,
    ClaimedTurn,
    DeliveryPolicy,
    EffectIdentity,
    EffectResult,
    EffectScope,
    EffectState,
    ExternalInput,
    GraphAppend,
    HydratedSessionCheckpoint,
    MergePayloadDefault,
    ModelSpec,
    PersistedTurnState,
    PluginNode,
    PreparedToolCall,
    ProcessEventAppendRequest,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessRegistration,
    ProcessScope,
    ProcessStartGrant,
    ProcessWakeSpec,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    RecoveryDisposition,
    RuntimeCommit,
    RuntimeEffectKind,
    RuntimeTurnCommitStamp,
    SelectPointer,
    SelectPresent,
    SessionConfig,
    SessionNodeRecord,
    SlotPolicy,
    TokenLedgerEntry,
    TokenUsage,
    ToolCallInput,
    TriggerSubscriptionDraft,
    TurnDraft,
    TurnInput,
    TurnInputPayload,
    TurnReceipt,
    TurnSettlement,
)

AGENT = "assistant"
QUEUES = ("q0", "q1")
TURNS = ("t0", "t1")
LEASED = "l"
LOGS = ("log0", "log1", "log2")  # processes that only have a log
LOG_LEASED = "log0"
WOKEN = ProcessScope("w")  # the session that their wakes go to
HOLDERS = (ProcessScope("h", "a"), ProcessScope("h", "b"))  # a grant is with the first of them, or the second
SUBSCRIPTIONS = 3
TOKENS_A_COMMIT = 7
TIME = "2026-11-24T09:00:00.000Z"

_LINE = ProcessEventType(name="line")
_WAKE = ProcessEventType(
    name="wake",
    semantics=ProcessEventSemanticsSpec(
        wake=ProcessWakeSpec(input=SelectPointer("/text"), when=SelectPresent("/text"))
    ),
)


async def prepare(database: Database) -> None:
    """Store what the writers find when they start."""
    for session_id in TURNS:
        await database.session_catalog.admit_session(session_id, agent=AGENT)
    for process_id in LOGS:
        await database.process_registry.register_process(log_registration(process_id))
    for number in range(SUBSCRIPTIONS):
        await database.host_event_store.register_subscription(
            TriggerSubscriptionDraft(
                session_id=f"s{number}",
                source_type="t",
                source_key="k",
                source=None,
                event_ty=None,
                module_ref="m",
                required_surface_ref="r",
                process_ref=None,
                process_name="n",
            )
        )


def work(token: str, session_id: str) -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id=session_id,
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.JOIN,
        merge_key=MergePayloadDefault(),
        payloads=(TurnInputPayload(input=TurnInput.text(token)),),
        source_key=token,
    )


def node_ids(token: str) -> tuple[str, str]:
    """The nodes that the commit of that token brings."""
    return f"{token}.a", f"{token}.b"


def commit(token: str, session_id: str, *, revision: int, leaf: str | None, **fields: Any) -> RuntimeCommit:
    """A commit of two nodes, a usage row, a checkpoint with a body of its own, and a stamp."""
    first, second = node_ids(token)
    return RuntimeCommit(
        session_id=session_id,
        config=SessionConfig(provider_id="p", model=ModelSpec(id="m", context_window_tokens=1000)),
        agent_frames=(AgentFrameRecord(frame_id="f", session_id=session_id),),
        current_agent_frame_id="f",
        graph=GraphAppend(nodes=(_node(first, leaf), _node(second, first)), leaf_node_id=second),
        checkpoint=HydratedSessionCheckpoint(
            turn_state=PersistedTurnState(turn_index=revision), execution_state=token.encode()
        ),
        expected_head_revision=revision,
        usage_deltas=(
            TokenLedgerEntry(
                source="turn", model="m", usage=TokenUsage(input_tokens=TOKENS_A_COMMIT), key=token
            ),
        ),
        turn_commit=RuntimeTurnCommitStamp(
            session_id=session_id, turn_id=token, turn_commit_hash=hashlib.sha256(token.encode()).hexdigest()
        ),
        **fields,
    )


def queue_commit(
    token: str, claim: QueuedWorkClaim, attachments: tuple[str, ...], *, revision: int, leaf: str | None
) -> RuntimeCommit:
    """The commit that completes a claim of the seed's queue."""
    return commit(
        token,
        claim.session_id,
        revision=revision,
        leaf=leaf,
        completed_queue_claims=(claim.completion(),),
        committed_attachment_ids=attachments,
    )


def turn_commit(turn: ClaimedTurn) -> RuntimeCommit:
    """The commit of a driven turn, which closes its journal and gives its lease back."""
    settlement = TurnSettlement(
        receipt=TurnReceipt(turn_id=turn.turn_id, node_ids=node_ids(turn.turn_id)), lease=turn.lease
    )
    return commit(
        turn.turn_id,
        turn.lease.session_id,
        revision=turn.head.revision,
        leaf=turn.head.leaf_node_id,
        completed_queue_claims=(turn.work.completion(),),
        settlement=settlement,
    )


def turn_draft(token: str, session_id: str) -> TurnDraft:
    return TurnDraft(session_id=session_id, turn_id=token, input=TurnInput.text(token), agent=AGENT)


def attachment(token: str) -> bytes:
    """Bytes of one to six pages, so that some lie on overflow pages."""
    seed = hashlib.sha256(token.encode()).digest()
    return seed * (64 + seed[0] * 4)


def intent(attachment_id: str, session_id: str, at_ms: int) -> AttachmentIntent:
    return AttachmentIntent(
        attachment_id=attachment_id, session_id=session_id, canonical_uri="x:y", intent_at_ms=at_ms
    )


def event(token: str, *, is_wake: bool) -> ProcessEventAppendRequest:
    return ProcessEventAppendRequest(
        event_type="wake" if is_wake else "line", payload={"text": token}, replay_key=token
    )


def registration(token: str, writer: str) -> ProcessRegistration:
    """A process that somebody runs; the call tells who wanted it registered."""
    call = PreparedToolCall(call_id=token, tool_name="t", args={"by": writer})
    return ProcessRegistration(
        id=token, input=ToolCallInput(call=call), recovery=RecoveryDisposition.RERUNNABLE
    )


def log_registration(process_id: str) -> ProcessRegistration:
    """A process that nobody here runs: it only has a log, some lines of which wake a session."""
    registration = ProcessRegistration(id=process_id, input=ExternalInput(), wake_target=WOKEN)
    return registration.with_extra_event_types([_LINE, _WAKE])


def grants_to(holder: ProcessScope) -> tuple[ProcessStartGrant, ...]:
    return (ProcessStartGrant(owner_scope=holder),)


def identity(token: str, scope: EffectScope, *, at_most_once: bool = False) -> EffectIdentity:
    return EffectIdentity(
        scope=scope,
        replay_key=token,
        envelope_hash="e" * 64,
        kind=RuntimeEffectKind.TOOL_CALL,
        effect_id=token,
        label="tool",
        at_most_once=at_most_once,
        field_digests={"command": "c" * 12},
    )


def outcome(text: str) -> EffectResult:
    return EffectResult(state=EffectState.DONE, outcome=text.encode())


def effect_scope(token: str) -> EffectScope:
    """Where the writers' effects that belong to no turn are."""
    return EffectScope.process(f"effects.{token.partition('.')[0]}")


def _node(node_id: str, parent: str | None) -> SessionNodeRecord:
    return SessionNodeRecord(
        node_id=node_id,
        parent_node_id=parent,
        timestamp=TIME,
        payload=PluginNode(plugin_type="kill", body=[node_id, "x" * 300]),
    )
