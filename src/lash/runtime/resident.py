"""A session as a runtime keeps it between turns: where it stands, and its history.

Resident state is a copy that may be old. `refresh` compares its revision with the head that a claim has
read and loads what is missing; without that nothing here is used (rule R-6).
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from lash.contracts import Database
from lash.runtime.history import History
from lash.runtime.session_paths import SessionPath, SessionPaths, frames_of_fork
from lash.values import (
    AgentFrameAssignment,
    AgentFrameRecord,
    HydratedSessionCheckpoint,
    Json,
    Message,
    PersistedSessionRead,
    PersistedTurnState,
    SessionConfig,
    SessionHead,
    SessionPolicy,
)


def initial_frame_id(session_id: str) -> str:
    """Return the id of the frame that a session begins in."""
    return f"{session_id}:frame:initial"


def node_frame(session_id: str, frame_id: str) -> str | None:
    """Return what nodes of a frame name it by: those of the initial one name none."""
    return None if frame_id == initial_frame_id(session_id) else frame_id


class ResidentSession:
    """One session's state between two turns."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.revision = 0
        self.history = History()
        self.config = SessionConfig()
        self.frames: tuple[AgentFrameRecord, ...] = ()
        self.frame_id = initial_frame_id(session_id)
        self.checkpoint = HydratedSessionCheckpoint()
        self.execution_state: bytes | None = None  # the bodies that `checkpoint` only refers to
        self.seed_variables: dict[str, Json] = {}  # what programs find in a frame that this turn has opened
        self.plugin_states: dict[str, Json] = {}
        self._is_known = False  # whether anything was read: a session without a head may be a fork

    @property
    def turn_state(self) -> PersistedTurnState:
        return self.checkpoint.turn_state

    async def refresh(self, database: Database, head: SessionHead) -> None:
        """Bring this copy to the revision that the claim has read."""
        if head.revision == self.revision and self._is_known:
            return
        self._is_known = True
        path = await SessionPaths(database).read(self.session_id, is_committed=head.revision > 0)
        # The head keeps the digest of its path, so that nobody has to work it out from the beginning.
        known = head.path_digest if path.own is not None and path.own.head_revision == head.revision else ""
        if path.own is not None:
            self._adopt(path.own, path, known or None)
        elif path.base is not None:
            self._begin_at_fork(path, path.base)

    @property
    def frame(self) -> AgentFrameRecord | None:
        """The record of the current frame; None before the first commit."""
        return next((one for one in self.frames if one.frame_id == self.frame_id), None)

    @property
    def plugin_options(self) -> dict[str, Json]:
        """The plugins' options, as the session's first turn was given them."""
        return {} if self.frame is None else self.frame.assignment.plugin_options

    def entering(
        self, frame_id: str, seeds: Sequence[Message], variables: Mapping[str, Json] | None = None
    ) -> ResidentSession:
        """Return the session as a turn sees it that goes on in a new frame; this copy stays as it is.

        Of the old frame nothing crosses but the seeds: programs find `variables` and no others.
        """
        inside = copy.copy(self)
        inside.frame_id = frame_id
        inside.history = self.history.continued_in(frame_id, seeds)
        inside.execution_state = None
        inside.seed_variables = dict(variables or {})
        return inside

    def open_frame(self, policy: SessionPolicy, created_at: str, plugin_options: dict[str, Json]) -> None:
        """Give the session its initial frame, if it has none."""
        if self.frames:
            return
        self.frames = (
            AgentFrameRecord(
                frame_id=self.frame_id,
                session_id=self.session_id,
                created_at=created_at,
                assignment=AgentFrameAssignment(policy=policy, plugin_options=plugin_options),
            ),
        )

    def _adopt(self, read: PersistedSessionRead, path: SessionPath, digest: str | None) -> None:
        self.revision = read.head_revision
        self.config = read.config
        self.frames = read.agent_frames
        self.frame_id = read.current_agent_frame_id
        self.history = History.of(path.nodes, digest, node_frame(self.session_id, self.frame_id))
        if len(path.nodes) == path.shared:
            self.history.leaf_node_id = None  # the session has no node of its own yet
        stored = read.checkpoint or HydratedSessionCheckpoint()
        self.execution_state = stored.execution_state
        self.plugin_states = {} if stored.plugin_snapshot is None else stored.plugin_snapshot.plugins
        # References only: the next commit leaves the components as they are (contract 1.12, trap b).
        self.checkpoint = stored.replace(tool_state=None, plugin_snapshot=None, execution_state=None)

    def _begin_at_fork(self, path: SessionPath, base: PersistedSessionRead) -> None:
        """Begin with another session's history, in the frame that it had there; nothing is committed yet."""
        last = path.nodes[-1].agent_frame_id
        self.config = base.config
        self.frames = frames_of_fork(base, self.session_id, last)
        self.frame_id = last or initial_frame_id(self.session_id)
        self.history = History.of(path.nodes, None, last)
        self.history.leaf_node_id = None


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
