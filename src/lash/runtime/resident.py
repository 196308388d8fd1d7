"""A session as a runtime keeps it between turns: where it stands, and its history.

Resident state is a copy that may be old. `refresh` compares its revision with the head that a claim has
read and loads what is missing; without that nothing here is used (rule R-6).
"""

from __future__ import annotations

from collections import OrderedDict

from lash.contracts import RuntimePersistence
from lash.runtime.history import History
from lash.values import (
    ActivePath,
    AgentFrameAssignment,
    AgentFrameRecord,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    PersistedTurnState,
    SessionConfig,
    SessionHead,
    SessionPolicy,
)


class ResidentSession:
    """One session's state between two turns."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.revision = 0
        self.history = History()
        self.config = SessionConfig()
        self.frames: tuple[AgentFrameRecord, ...] = ()
        self.frame_id = f"{session_id}:frame:initial"
        self.checkpoint = HydratedSessionCheckpoint()
        self.execution_state: bytes | None = None  # the body that `checkpoint` only refers to

    @property
    def turn_state(self) -> PersistedTurnState:
        return self.checkpoint.turn_state

    async def refresh(self, persistence: RuntimePersistence, head: SessionHead) -> None:
        """Bring this copy to the revision that the claim has read."""
        if head.revision == self.revision:
            return
        read = await persistence.load_session(ActivePath())
        if read is not None:
            # The head keeps the digest of its path, so that nobody has to work it out from the beginning.
            known = head.path_digest if read.head_revision == head.revision else ""
            self._adopt(read, known or None)

    def open_frame(self, policy: SessionPolicy, created_at: str) -> None:
        """Give the session its initial frame, if it has none."""
        if self.frames:
            return
        self.frames = (
            AgentFrameRecord(
                frame_id=self.frame_id,
                session_id=self.session_id,
                created_at=created_at,
                assignment=AgentFrameAssignment(policy=policy),
            ),
        )

    def _adopt(self, read: PersistedSessionRead, digest: str | None) -> None:
        self.revision = read.head_revision
        self.history = History.of(read.graph.nodes, digest)
        self.config = read.config
        self.frames = read.agent_frames
        self.frame_id = read.current_agent_frame_id
        stored = read.checkpoint or HydratedSessionCheckpoint()
        self.execution_state = stored.execution_state
        # References only: the next commit leaves the components as they are (contract 1.12, trap b).
        self.checkpoint = stored.replace(tool_state=None, plugin_snapshot=None, execution_state=None)


class ResidentSessions:
    """The sessions that were driven last, up to a number of them."""

    def __init__(self, capacity: int = 512) -> None:
        self._capacity = capacity
        self._sessions: OrderedDict[str, ResidentSession] = OrderedDict()

    def take(self, session_id: str) -> ResidentSession:
        """Return the copy of a session; only its driver may use it, until `keep`."""
        return self._sessions.pop(session_id, None) or ResidentSession(session_id)

    def keep(self, resident: ResidentSession) -> None:
        """Put a copy back that is as the last commit left it. One that is not is simply dropped."""
        self._sessions[resident.session_id] = resident
        while len(self._sessions) > self._capacity:
            self._sessions.popitem(last=False)
