"""How a turn enters and is taken up: acceptance, the claim that drives it, its status (contract 5, B-13)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

from lash.values.journal import EffectRecord
from lash.values.leases import SessionLease
from lash.values.queue import QueuedWorkClaim
from lash.values.record import Json, JsonRecord, Record
from lash.values.turns import TurnInput, TurnReceipt

OnBusy = Literal["queue", "inject", "refuse"]


class TurnDraft(JsonRecord, frozen=True, kw_only=True, eq=False):
    """Input on its way in. `turn_id` is the idempotency key of the turn that it asks for.

    `queue` waits for the turns before it and becomes a turn of its own; `inject` enters the running turn
    at its next boundary, or becomes a turn when none runs; `refuse` fails when the session is busy.
    """

    session_id: str
    turn_id: str
    input: TurnInput
    agent: str
    on_busy: OnBusy = "queue"

    def content(self) -> Json:
        """Return what two drafts under one turn id must agree in."""
        return [self.session_id, self.agent, self.input, self.on_busy]


class SessionHead(Record, frozen=True, kw_only=True):
    """Where a session stands, without its content. Revision 0 means that nothing was committed yet."""

    session_id: str
    revision: int = 0
    leaf_node_id: str | None = None
    path_digest: str = ""


class ClaimedTurn(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A turn that the claimant drives now: lease, input, where the session stands, what is recorded.

    `restarts` counts the claims before this one. `receipt` is set when the turn was committed already (its
    driver died between commit and answer): there is nothing to drive. `injected` are the claims that the
    turn's checkpoints took before, by effect id.
    """

    turn_id: str
    agent: str
    lease: SessionLease
    work: QueuedWorkClaim
    head: SessionHead
    journal: tuple[EffectRecord, ...] = ()
    injected: dict[str, QueuedWorkClaim] = {}
    restarts: int = 0
    receipt: TurnReceipt | None = None
    cancel_requested: bool = False


class TurnState(StrEnum):
    """What has become of a turn."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    RUNNING = "running"
    COMMITTED = "committed"
    CANCELLED = "cancelled"  # before it ran; one that was cancelled while it ran is committed


class TurnStatus(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What has become of a turn. `absorbed_by` names the turn that injected input went into.

    `parked_on` are the waits of which one has to be resolved before the turn goes on.
    """

    turn_id: str
    state: TurnState
    batch_id: str | None = None
    receipt: TurnReceipt | None = None
    absorbed_by: str | None = None
    parked_on: tuple[str, ...] = ()


class TurnAcceptance(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A durable yes. `claimed` is set when the caller asked to drive the turn and may do so at once."""

    turn_id: str
    batch_id: str
    enqueue_seq: int
    status: TurnStatus
    known: bool = False  # the same turn had been accepted before
    claimed: ClaimedTurn | None = None


class ClaimRefused(Record, frozen=True, kw_only=True):
    """Why there was nothing to claim. `retry_at_ms` is when it is worth asking again, if that is known.

    `parked` says that the session's turn waits for something outside; it is worth asking again once one of its
    waits is resolved.
    """

    reason: Literal["empty", "not_yet_available", "session_leased", "agent_not_served", "parked"]
    holder_id: str | None = None
    retry_at_ms: int | None = None


ClaimTurnAnswer: TypeAlias = ClaimedTurn | ClaimRefused


class ReadySession(Record, frozen=True, kw_only=True):
    """A session with work that could be claimed now, or from `ready_at_ms` on."""

    session_id: str
    agent: str
    ready_at_ms: int
    enqueue_seq: int


CancelAnswer = Literal["cancelled_before_execution", "requested", "too_late", "unknown_turn"]


class SessionInfo(Record, frozen=True, kw_only=True):
    """A line of the session list."""

    session_id: str
    agent: str
    created_at_ms: int
    updated_at_ms: int
    labels: tuple[str, ...] = ()
    title: str | None = None
    head_revision: int = 0
    pending: int = 0
    running: bool = False


class SessionDeletion(Record, frozen=True, kw_only=True):
    """What deleting a session removed. Its id stays reserved for ever (contract 5, B-5).

    `orphaned_attachment_ids` are the attachments that no session names any more. A database that holds the bytes
    has removed them (`attachment_count`); whoever holds them elsewhere has to.
    """

    session_id: str
    node_count: int = 0
    queued_count: int = 0
    effect_count: int = 0
    attachment_count: int = 0
    orphaned_attachment_ids: tuple[str, ...] = ()
