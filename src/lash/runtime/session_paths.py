"""The path of a session, through the sessions that it was forked from.

A fork shares the history before its fork point by reference: its meta names the session and the node, its own
nodes begin after it, and nothing is copied. Reading it reads both. What was committed to either session after the
fork is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lash.contracts import Database
from lash.errors import LashError
from lash.values import (
    ActivePath,
    AgentFrameRecord,
    EventNode,
    ForkedSession,
    Message,
    PersistedSessionRead,
    SessionNodeRecord,
)

FORKS_MAX = 64  # forks of forks of …; each costs a read when a session is loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPath:
    """What a session's reader needs.

    Attributes:
        nodes: The whole path, root first; shared nodes before own ones.
        shared: How many of the nodes are another session's.
        forks: How many forks there are between the session and the one that its history begins in.
        base: The session that the last shared node is of; None for one that shares nothing.
        own: What the session has committed itself; None before its first commit.
    """

    nodes: tuple[SessionNodeRecord, ...]
    shared: int = 0
    forks: int = 0
    base: PersistedSessionRead | None = None
    own: PersistedSessionRead | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages on the path: the complete conversation, whatever the model is shown of it."""
        return messages_of(self.nodes)


class SessionPaths:
    """Reads paths.

    Args:
        database: Where the sessions are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, session_id: str, *, is_committed: bool = True) -> SessionPath:
        """Return the path of a session as it is now.

        Args:
            session_id: The session.
            is_committed: False to save the look at what it has committed, when it has committed nothing.

        Raises:
            LashError: `fork_base_missing` when the session that it was forked from is gone; and as
                `RuntimePersistence.load_session`.
        """
        own = None
        if is_committed:
            own = await self._database.runtime_persistence(session_id).load_session(ActivePath())
        shared, base, forks = await self._shared(session_id)
        nodes = () if own is None else own.graph.nodes
        return SessionPath(nodes=(*shared, *nodes), shared=len(shared), forks=forks, base=base, own=own)

    async def _shared(
        self, session_id: str
    ) -> tuple[tuple[SessionNodeRecord, ...], PersistedSessionRead | None, int]:
        """Return the nodes that a session has from others, root first; whose the last one is; how many forks."""
        meta = await self._database.runtime_persistence(session_id).load_session_meta()
        if meta is None or not isinstance(meta.relation, ForkedSession) or meta.relation.node_id is None:
            return (), None, 0
        parent, node_id = meta.relation.parent_session_id, meta.relation.node_id
        persistence = self._database.runtime_persistence(parent)
        before, base, forks = await self._shared(parent)
        if await persistence.load_node(node_id) is not None:
            own = await persistence.load_session(ActivePath(node_id))
            if own is not None:
                return (*before, *own.graph.nodes), own, forks + 1
        for at, node in enumerate(before):
            if node.node_id == node_id:
                return before[: at + 1], base, forks + 1
        raise LashError(
            "fork_base_missing",
            f"session {session_id!r} was forked from {parent!r} at {node_id!r}, which is gone",
            session_id=session_id,
            parent_session_id=parent,
            node_id=node_id,
        )


def messages_of(nodes: Sequence[SessionNodeRecord]) -> tuple[Message, ...]:
    """Return the messages among nodes."""
    return tuple(
        node.payload.event
        for node in nodes
        if isinstance(node.payload, EventNode) and isinstance(node.payload.event, Message)
    )


def frames_of_fork(
    base: PersistedSessionRead, session_id: str, frame_id: str | None
) -> tuple[AgentFrameRecord, ...]:
    """Return the frames that a fork begins with: those of its base up to the one that it was forked in."""
    frames: list[AgentFrameRecord] = []
    for frame in base.agent_frames:
        is_last = frame.frame_id == frame_id
        own = frame.replace(session_id=session_id, execution_state_ref=None, execution_state_snapshot=None)
        if frame is base.agent_frames[0]:
            own = own.replace(frame_id=f"{session_id}:frame:initial")
        frames.append(own.replace(status="active" if is_last or frame_id is None else "superseded"))
        if is_last or frame_id is None:
            break
    return tuple(frames)
