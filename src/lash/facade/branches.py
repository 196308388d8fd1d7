"""Forks: another session that begins with this one's history, shared by reference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from lash.contracts import Database
from lash.errors import LashError
from lash.runtime import FORKS_MAX, SessionPaths
from lash.turn import open_calls
from lash.values import (
    Clock,
    EventNode,
    ForkedSession,
    Message,
    SessionInfo,
    SessionMeta,
    SessionNodeRecord,
    ToolCallPart,
)

_FORK_LABEL = "fork-of:"


class Branches:
    """Makes forks, and knows them.

    Args:
        database: Where the sessions are.
        clock: When they are made.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def fork(self, info: SessionInfo, at: str | None, new_id: str) -> SessionInfo:
        """Return a new session that shares the history of another one up to a node.

        Args:
            info: The session.
            at: The id of a node or of a message, the last one that is shared; None for the last there is.
            new_id: The id of the fork. The same fork again gives the same session.

        Raises:
            LashError: `fork_too_deep`; `fork_point_unknown`; `fork_point_unsafe` between a tool call and its result;
                `session_deleted`; `idempotency_conflict` when `new_id` is another session.
        """
        path = await SessionPaths(self._database).read(info.session_id)
        if path.forks >= FORKS_MAX:
            raise LashError(
                "fork_too_deep",
                f"session {info.session_id!r} is a fork of a fork, {path.forks} times over; there may be {FORKS_MAX}",
                session_id=info.session_id,
            )
        shared = _shared(path.nodes, at, info.session_id)
        _check_safe(shared, info.session_id)
        relation = ForkedSession(
            parent_session_id=info.session_id, node_id=shared[-1].node_id if shared else None
        )
        persistence = self._database.runtime_persistence(new_id)
        known = await self._database.session_catalog.find_session(new_id)
        if known is not None:
            meta = await persistence.load_session_meta()
            if (meta is not None and meta.relation != relation) or (meta is None and known.head_revision):
                raise LashError(
                    "idempotency_conflict",
                    f"there is a session {new_id!r} already, and it is another one",
                    session_id=new_id,
                )
        admitted, _ = await self._database.session_catalog.admit_session(
            new_id, agent=info.agent, labels=(*_inherited(info.labels), f"{_FORK_LABEL}{info.session_id}")
        )
        made_at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        await persistence.save_session_meta(
            SessionMeta(
                session_id=new_id,
                session_name=new_id,
                created_at=made_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                model="",
                relation=relation,
            )
        )
        return admitted

    async def check_unforked(self, session_id: str) -> None:
        """Refuse to go on where others share a session's history.

        Raises:
            LashError: `session_forked`, naming forks.
        """
        forks = await self._database.session_catalog.list_sessions(
            label=f"{_FORK_LABEL}{session_id}", limit=20
        )
        if forks:
            ids = [fork.session_id for fork in forks]
            raise LashError(
                "session_forked",
                f"session {session_id!r} shares its history with {', '.join(map(repr, ids))}; delete these first",
                session_id=session_id,
                forks=ids,
            )

    async def kept_labels(self, session_id: str, labels: Sequence[str]) -> list[str]:
        """Return labels to give a session, with the one that says what it was forked from."""
        known = await self._database.session_catalog.find_session(session_id)
        kept = [] if known is None else [one for one in known.labels if one.startswith(_FORK_LABEL)]
        return [*kept, *(one for one in labels if one not in kept)]


def _inherited(labels: Sequence[str]) -> list[str]:
    return [label for label in labels if not label.startswith(_FORK_LABEL)]


def _shared(
    nodes: Sequence[SessionNodeRecord], at: str | None, session_id: str
) -> tuple[SessionNodeRecord, ...]:
    if at is None:
        return tuple(nodes)
    for number, node in enumerate(nodes):
        if node.node_id == at or _message_id(node) == at:
            return tuple(nodes[: number + 1])
    raise LashError(
        "fork_point_unknown",
        f"session {session_id!r} has no node or message {at!r}; `session.history()` has the ids",
        session_id=session_id,
        node_id=at,
    )


def _message_id(node: SessionNodeRecord) -> str | None:
    if isinstance(node.payload, EventNode) and isinstance(node.payload.event, Message):
        return node.payload.event.id
    return None


def _check_safe(nodes: Sequence[SessionNodeRecord], session_id: str) -> None:
    """Refuse a history in which a call lacks its result: no model would go on from it."""
    open_: list[ToolCallPart] = open_calls(
        node.payload.event for node in nodes if isinstance(node.payload, EventNode)
    )
    if open_:
        raise LashError(
            "fork_point_unsafe",
            f"session {session_id!r} cannot be forked there: the call {open_[0].call_id!r} of "
            f"{open_[0].name!r} would lack its result; fork after it",
            session_id=session_id,
            call_id=open_[0].call_id,
        )
