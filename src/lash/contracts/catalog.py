"""The session catalog: which sessions there are, and whose (contract 5, B-5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lash.values import SessionDeletion, SessionHead, SessionInfo


class SessionCatalog(Protocol):
    """Admission, listing, labels and deletion. A session id is used once for all time."""

    async def admit_session(
        self, session_id: str, *, agent: str, labels: Sequence[str] | None = None, title: str | None = None
    ) -> tuple[SessionInfo, bool]:
        """Create a session, or reopen it; the flag tells whether it was created.

        Args:
            session_id: Any non-blank text. Kept as it is: no trimming, no normalisation.
            agent: The agent that serves the session. None of its work is given to another one.
            labels: Replaces the stored labels unless None.
            title: Replaces the stored title unless None.

        Raises:
            LashError: `invalid_argument` for a blank id or one that is no valid text;
                `session_deleted` for the id of a deleted session; `agent_mismatch` when the session
                belongs to another agent.
        """
        ...

    async def find_session(self, session_id: str) -> SessionInfo | None:
        """Return a session's line, or None."""
        ...

    async def list_sessions(
        self,
        *,
        label: str | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[SessionInfo]:
        """Return sessions by id, after the id `after`; `search` matches id and title, ignoring case."""
        ...

    async def find_head(self, session_id: str) -> SessionHead:
        """Return where a session stands."""
        ...

    async def delete_session(self, session_id: str) -> SessionDeletion:
        """Remove what a session owns and keep its id as a tombstone (ruling 30).

        Raises:
            LashError: `session_unknown`; `session_busy` while a live driver has it.
        """
        ...
