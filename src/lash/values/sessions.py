"""A session's state: policy, agent frames, checkpoint, meta, and how it is read (contracts 1.12 to 1.16)."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lash.values.graph import SessionGraph
from lash.values.invocations import CausalRef
from lash.values.models import GenerationOptions, ModelSpec
from lash.values.record import Json, JsonRecord, Record
from lash.values.usage import TokenLedgerEntry, TokenUsage

AgentFrameReason: TypeAlias = str

DEFAULT_SESSION_ID = "root"
DEFAULT_MODEL = ModelSpec(id="unset", context_window_tokens=1)


class SessionPolicy(Record, frozen=True, kw_only=True):
    """What a frame runs with. Only `provider_id` and `model` are kept in the head; frames carry it all."""

    model: ModelSpec = DEFAULT_MODEL
    provider_id: str = ""
    session_id: str | None = None
    autonomous: bool = False
    max_turns: int | None = None
    instructions: str | None = None
    generation: GenerationOptions = GenerationOptions()


class SessionConfig(Record, frozen=True, kw_only=True):
    """The part of the policy that the session head keeps."""

    provider_id: str = ""
    model: ModelSpec = DEFAULT_MODEL


class AgentFrameAssignment(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What a frame was opened with."""

    policy: SessionPolicy = SessionPolicy()
    plugin_options: dict[str, Json] = {}
    plugin_source: str | None = None
    tool_access: dict[str, Json] = {}
    subagent: dict[str, Json] | None = None
    usage_source: str | None = None


class AgentFrameRecord(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A context boundary inside a session. `created_at` is RFC 3339 text, or empty."""

    frame_id: str
    session_id: str
    previous_frame_id: str | None = None
    status: Literal["active", "superseded"] = "active"
    reason: AgentFrameReason = "initial"
    caused_by: CausalRef | None = None
    created_at: str = ""
    assignment: AgentFrameAssignment = AgentFrameAssignment()
    protocol_turn_options: dict[str, Json] = {}
    execution_state_ref: str | None = None
    execution_state_snapshot: bytes | None = None


class ToolState(JsonRecord, frozen=True, kw_only=True, eq=False):
    """The tool registry of a session, opaque to stores."""

    generation: int = 0
    tools: dict[str, Json] = {}

    def with_generation(self, generation: int) -> ToolState:
        return self.replace(generation=generation)


class PluginSessionSnapshot(JsonRecord, frozen=True, kw_only=True, eq=False):
    """The plugins' own state, opaque to stores."""

    plugins: dict[str, Json] = {}


class PersistedTurnState(JsonRecord, frozen=True, kw_only=True, eq=False):
    """The part of a checkpoint that every turn changes."""

    turn_index: int = 0
    token_usage: TokenUsage = TokenUsage()
    last_prompt_usage: TokenUsage | None = None
    protocol_turn_options: dict[str, Json] = {}


class SessionCheckpoint(JsonRecord, frozen=True, kw_only=True, eq=False):
    """The manifest that a commit stores: turn state, and references to component bodies.

    A reference is the SHA-256 of the component's encoded, uncompressed body; the checkpoint's own
    reference is that of the manifest's bytes (contract 1.14).
    """

    turn_state: PersistedTurnState = PersistedTurnState()
    tool_state_ref: str | None = None
    plugin_snapshot_ref: str | None = None
    plugin_snapshot_revision: int | None = None
    execution_state_ref: str | None = None


class HydratedSessionCheckpoint(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A checkpoint with bodies: what a commit carries and what a load returns.

    In a commit a body is stored and wins over a reference; a reference alone means "unchanged"; neither
    means the component is gone from now on (contract 2.D.3).
    """

    turn_state: PersistedTurnState = PersistedTurnState()
    tool_state: ToolState | None = None
    tool_state_ref: str | None = None
    plugin_snapshot: PluginSessionSnapshot | None = None
    plugin_snapshot_ref: str | None = None
    plugin_snapshot_revision: int | None = None
    execution_state: bytes | None = None
    execution_state_ref: str | None = None


class RuntimeSessionState(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A session as the runtime holds it between commits. Every field has a default."""

    session_id: str = DEFAULT_SESSION_ID
    policy: SessionPolicy = SessionPolicy()
    agent_frames: tuple[AgentFrameRecord, ...] = ()
    current_agent_frame_id: str = f"{DEFAULT_SESSION_ID}:frame:initial"
    session_graph: SessionGraph = SessionGraph()
    turn_index: int = 0
    token_usage: TokenUsage = TokenUsage()
    last_prompt_usage: TokenUsage | None = None
    protocol_turn_options: dict[str, Json] = {}
    tool_state_ref: str | None = None
    tool_state_generation: int | None = None
    tool_state_snapshot: ToolState | None = None
    plugin_snapshot_ref: str | None = None
    plugin_snapshot_revision: int | None = None
    plugin_snapshot: PluginSessionSnapshot | None = None
    execution_state_ref: str | None = None
    execution_state_snapshot: bytes | None = None
    token_ledger: tuple[TokenLedgerEntry, ...] = ()
    checkpoint_ref: str | None = None
    head_revision: int | None = None
    graph_replace_required: bool = False

    @property
    def current_agent_frame(self) -> AgentFrameRecord | None:
        """The record of the current frame, or None when it has none yet."""
        return next((f for f in self.agent_frames if f.frame_id == self.current_agent_frame_id), None)

    def ensure_agent_frame_initialized(self) -> RuntimeSessionState:
        """Return a state whose current frame has a record, creating the initial one if needed."""
        if self.current_agent_frame is not None:
            return self
        frame = AgentFrameRecord(
            frame_id=self.current_agent_frame_id,
            session_id=self.session_id,
            assignment=AgentFrameAssignment(policy=self.policy),
            protocol_turn_options=self.protocol_turn_options,
            execution_state_ref=self.execution_state_ref,
            execution_state_snapshot=self.execution_state_snapshot,
        )
        return self.replace(agent_frames=(*self.agent_frames, frame))

    def append_agent_frame(self, frame: AgentFrameRecord) -> RuntimeSessionState:
        """Return a state in which `frame` is active and the frame before it superseded."""
        previous = self.current_agent_frame
        kept = tuple(
            f.replace(status="superseded") if previous is not None and f.frame_id == previous.frame_id else f
            for f in self.agent_frames
            if f.frame_id != frame.frame_id
        )
        opened = frame.replace(
            status="active",
            previous_frame_id=frame.previous_frame_id or (previous.frame_id if previous else None),
        )
        return self.replace(
            agent_frames=(*kept, opened),
            current_agent_frame_id=opened.frame_id,
            policy=opened.assignment.policy,
            protocol_turn_options=opened.protocol_turn_options,
            execution_state_ref=opened.execution_state_ref,
            execution_state_snapshot=opened.execution_state_snapshot,
        )

    def with_execution_state(self, body: bytes | None) -> RuntimeSessionState:
        """Return a state whose execution state, here and on the current frame, is `body`."""
        frames = tuple(
            f.replace(execution_state_snapshot=body, execution_state_ref=None)
            if f.frame_id == self.current_agent_frame_id
            else f
            for f in self.agent_frames
        )
        return self.replace(agent_frames=frames, execution_state_snapshot=body, execution_state_ref=None)


class RootSession(Record, frozen=True, tag="root", tag_field="kind"):
    """A session that nobody started from another one."""


class ChildSession(Record, frozen=True, tag="child", tag_field="kind"):
    """A session that another one started."""

    parent_session_id: str
    caused_by: CausalRef | None = None


class ForkedSession(Record, frozen=True, tag="fork", tag_field="kind"):
    """A session that shares another one's history up to a node."""

    parent_session_id: str
    node_id: str | None = None


SessionRelation: TypeAlias = RootSession | ChildSession | ForkedSession


class SessionMeta(Record, frozen=True, kw_only=True):
    """What a session is called. `created_at` is RFC 3339 text."""

    session_id: str
    session_name: str
    created_at: str
    model: str
    cwd: str | None = None
    relation: SessionRelation = RootSession()


class FullGraph(Record, frozen=True, tag="full_graph"):
    """Read every live node, in insertion order."""


class ActivePath(Record, frozen=True, tag="active_path"):
    """Read the path of the persisted leaf, or of the named one."""

    leaf_node_id: str | None = None


SessionReadScope: TypeAlias = FullGraph | ActivePath


class PersistedSessionRead(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A session as stored: one consistent snapshot of all its parts."""

    session_id: str
    head_revision: int
    config: SessionConfig
    agent_frames: tuple[AgentFrameRecord, ...]
    current_agent_frame_id: str
    graph: SessionGraph
    checkpoint_ref: str | None = None
    checkpoint: HydratedSessionCheckpoint | None = None
    token_ledger: tuple[TokenLedgerEntry, ...] = ()


class VacuumReport(Record, frozen=True, kw_only=True):
    """How many tombstoned nodes a vacuum removed."""

    removed_node_count: int = 0


class GcReport(Record, frozen=True, kw_only=True):
    """What a sweep of unreachable blobs found and deleted."""

    root_count: int = 0
    retained_blob_count: int = 0
    deleted_blob_count: int = 0
