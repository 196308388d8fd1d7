"""Sessions: states, nodes, commits, meta, attachment intents."""

from __future__ import annotations

from typing import Any

from lash.contracts import RuntimePersistence
from lash.testing.conformance.expectations import expect_present
from lash.values import (
    ActivePath,
    AttachmentIntent,
    EventNode,
    FullGraph,
    GraphAppend,
    GraphCommitDelta,
    GraphReplaceFull,
    GraphUnchanged,
    PersistedSessionRead,
    ProtocolEvent,
    RootSession,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeSessionState,
    RuntimeTurnCommitStamp,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    SessionReadScope,
    TokenLedgerEntry,
    TokenUsage,
)

FULL = FullGraph()


def node(node_id: str, parent: str | None = None) -> SessionNodeRecord:
    """Return a node that holds a protocol event, as the seed's do."""
    return SessionNodeRecord(
        node_id=node_id,
        parent_node_id=parent,
        timestamp="1970-01-01T00:00:00Z",
        payload=EventNode(event=ProtocolEvent(plugin_id="conformance", payload={"node": node_id})),
    )


def state(session_id: str = "root", **fields: Any) -> RuntimeSessionState:
    """Return a session state; its frames stay those of the session `root`, as in the seed."""
    return RuntimeSessionState(session_id=session_id, **fields)


def commit_of(session_id: str = "root", **fields: Any) -> RuntimeCommit:
    """Return the commit that stores a state."""
    return RuntimeCommit.persisted_state(state(session_id, **fields))


def next_commit(expected: int, graph: GraphCommitDelta | None = None, **changes: Any) -> RuntimeCommit:
    """Return a commit of `root` upon revision `expected`; it leaves the graph alone unless told."""
    return commit_of(head_revision=expected or None).replace(
        expected_head_revision=expected, graph=graph or GraphUnchanged(), **changes
    )


def append(*nodes: SessionNodeRecord, leaf: str | None = "") -> GraphAppend:
    """Return a delta that appends nodes; the leaf is the last of them unless told."""
    return GraphAppend(nodes=nodes, leaf_node_id=nodes[-1].node_id if leaf == "" else leaf)


def replacement(*nodes: SessionNodeRecord, leaf: str | None) -> GraphReplaceFull:
    """Return a delta that replaces the graph."""
    return GraphReplaceFull(graph=SessionGraph.from_nodes(nodes, leaf))


def branchy() -> GraphReplaceFull:
    """Return the seed's graph of two branches, the left one active."""
    return replacement(
        node("root-node"),
        node("left-node", "root-node"),
        node("left-leaf", "left-node"),
        node("right-leaf", "root-node"),
        leaf="left-leaf",
    )


async def committed(
    store: RuntimePersistence, graph: GraphCommitDelta | None = None, **changes: Any
) -> RuntimeCommitResult:
    """Make the first commit of `root`."""
    return await store.commit_runtime_state(next_commit(0, graph, **changes))


async def load(store: RuntimePersistence, scope: SessionReadScope = FULL) -> PersistedSessionRead:
    """Return what is stored of the session, failing when there is nothing."""
    return expect_present(await store.load_session(scope), "a committed session can be loaded")


def node_ids(read: PersistedSessionRead) -> list[str]:
    """Return the ids of the nodes that were read, in order."""
    return [node.node_id for node in read.graph.nodes]


async def path(store: RuntimePersistence, leaf: str | None = None) -> list[str]:
    """Return the ids on a path."""
    return node_ids(await load(store, ActivePath(leaf_node_id=leaf)))


def stamp(turn_id: str, turn_hash: str = "h1", session_id: str = "root") -> RuntimeTurnCommitStamp:
    """Return a stamp with a hash that a caller made."""
    return RuntimeTurnCommitStamp(session_id=session_id, turn_id=turn_id, turn_commit_hash=turn_hash)


def used(tokens: int, *, source: str = "turn", key: str | None = None, **counters: int) -> TokenLedgerEntry:
    """Return a usage entry."""
    usage = TokenUsage(input_tokens=tokens, **counters)
    return TokenLedgerEntry(source=source, model="mock-model", usage=usage, key=key)


def meta(name: str = "Conformance Root", session_id: str = "root") -> SessionMeta:
    """Return the seed's meta."""
    return SessionMeta(
        session_id=session_id,
        session_name=name,
        created_at="2026-06-02T00:00:00Z",
        model="gpt-5.4-mini",
        cwd="/srv/lash-conformance",
        relation=RootSession(),
    )


def intent(attachment_id: str, *, session_id: str = "root", at_ms: int = 100) -> AttachmentIntent:
    """Return an intent; the seed's are of time 100."""
    return AttachmentIntent(
        attachment_id=attachment_id,
        session_id=session_id,
        canonical_uri=f"sha256:{attachment_id}",
        intent_at_ms=at_ms,
    )
