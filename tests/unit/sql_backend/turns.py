"""Sessions, turns and commits for the tests of the SQL backend, and a child process that makes some."""

from __future__ import annotations

import asyncio
import sys

from lash.backends.sql import SqliteDatabase
from lash.values import (
    AgentFrameRecord,
    ClaimedTurn,
    EffectIdentity,
    EffectScope,
    EffectState,
    EventNode,
    GraphAppend,
    HydratedSessionCheckpoint,
    Message,
    PersistedTurnState,
    PluginNode,
    RuntimeCommit,
    RuntimeEffectKind,
    RuntimeTurnCommitStamp,
    SessionConfig,
    SessionNodeRecord,
    TextPart,
    TokenLedgerEntry,
    TokenUsage,
    TurnDraft,
    TurnInput,
    TurnReceipt,
    TurnSettlement,
    UnwrittenEffect,
    derived_node_id,
)

AGENT = "assistant"
TIME = "2026-11-24T09:00:00.000Z"


def note(node_id: str, parent: str | None = None, body: object = None) -> SessionNodeRecord:
    return SessionNodeRecord(
        node_id=node_id,
        parent_node_id=parent,
        timestamp=TIME,
        payload=PluginNode(plugin_type="test", body=body),
    )


def append(
    session_id: str, revision: int, *nodes: SessionNodeRecord, leaf: str | None = None
) -> RuntimeCommit:
    """A commit without a turn that appends nodes; the last one is the leaf unless one is named."""
    return RuntimeCommit(
        session_id=session_id,
        config=SessionConfig(),
        agent_frames=(AgentFrameRecord(frame_id="f", session_id=session_id),),
        current_agent_frame_id="f",
        graph=GraphAppend(nodes=nodes, leaf_node_id=leaf or (nodes[-1].node_id if nodes else None)),
        expected_head_revision=revision,
        checkpoint=HydratedSessionCheckpoint(turn_state=PersistedTurnState(turn_index=revision)),
    )


def turn_draft(session_id: str, turn_id: str, text: str = "hello", **facts: object) -> TurnDraft:
    return TurnDraft(session_id=session_id, turn_id=turn_id, input=TurnInput.text(text), agent=AGENT).replace(
        **facts
    )


def turn_commit(claimed: ClaimedTurn, *, nodes: int = 5, effects: int = 3) -> RuntimeCommit:
    """The whole commit of a driven turn: nodes, two usage rows, its queue claim, its journal, its receipt."""
    session_id, turn_id = claimed.lease.session_id, claimed.turn_id
    made: list[SessionNodeRecord] = []
    parent = claimed.head.leaf_node_id
    for ordinal in range(nodes):
        node_id = derived_node_id(session_id, claimed.head.revision, turn_id, ordinal)
        message = Message(id=f"{turn_id}:{ordinal}", role="user", parts=(TextPart(text="x" * 400),))
        made.append(
            SessionNodeRecord(
                node_id=node_id, parent_node_id=parent, timestamp=TIME, payload=EventNode(event=message)
            )
        )
        parent = node_id
    lines = tuple(
        UnwrittenEffect(identity=identity(session_id, turn_id, number), state=EffectState.DONE)
        for number in range(effects)
    )
    usage = tuple(
        TokenLedgerEntry(
            source="turn", model="m", usage=TokenUsage(input_tokens=10, output_tokens=5), key=f"{turn_id}:{n}"
        )
        for n in range(2)
    )
    settlement = TurnSettlement(
        receipt=TurnReceipt(turn_id=turn_id, node_ids=tuple(node.node_id for node in made)),
        lease=claimed.lease,
        path_digest="d" * 64,
        effects=lines,
    )
    return append(session_id, claimed.head.revision, *made).replace(
        usage_deltas=usage,
        turn_commit=RuntimeTurnCommitStamp(
            session_id=session_id, turn_id=turn_id, turn_commit_hash=f"hash of {turn_id}"
        ),
        completed_queue_claims=(claimed.work.completion(),),
        settlement=settlement,
    )


def identity(session_id: str, turn_id: str, number: int, *, at_most_once: bool = False) -> EffectIdentity:
    return EffectIdentity(
        scope=EffectScope.turn(session_id, turn_id),
        replay_key=f"{session_id}:{turn_id}:0:0:tool_call:{number}",
        envelope_hash="e" * 64,
        kind=RuntimeEffectKind.TOOL_CALL,
        effect_id=str(number),
        label="tool",
        at_most_once=at_most_once,
        field_digests={"command": "c" * 12},
    )


async def drive(database: SqliteDatabase, session_id: str, turn_id: str) -> None:
    """Accept a turn, take it up, and commit it."""
    accepted = await database.turn_ingress.accept_turn(
        turn_draft(session_id, turn_id), claim_owner_id=database.owner_id
    )
    assert accepted.claimed is not None
    persistence = database.runtime_persistence(session_id)
    await persistence.commit_runtime_state(turn_commit(accepted.claimed))


async def _commit_turns(path: str, session_id: str, count: int) -> None:
    database = SqliteDatabase(path)
    await database.session_catalog.admit_session(session_id, agent=AGENT)
    for number in range(count):
        await drive(database, session_id, f"{session_id}-turn-{number}")
    await database.close()


async def _hold_everything(path: str) -> None:
    """Hold a turn, a queue claim, an effect and a lease, say so, and wait to be killed."""
    database = SqliteDatabase(path)
    await database.session_catalog.admit_session("held", agent=AGENT)
    accepted = await database.turn_ingress.accept_turn(
        turn_draft("held", "t"), claim_owner_id=database.owner_id, lease_ttl_ms=10**9
    )
    assert accepted.claimed is not None
    await database.effect_journal.claim_effect(
        identity("held", "t", 1), owner_id=database.owner_id, ttl_ms=10**9
    )
    await database.session_leases.claim_session_lease("leased", owner_id=database.owner_id, ttl_ms=10**9)
    print(database.owner_id, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "commit":
        asyncio.run(_commit_turns(sys.argv[2], sys.argv[3], int(sys.argv[4])))
    else:
        asyncio.run(_hold_everything(sys.argv[2]))
