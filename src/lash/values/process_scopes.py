"""The scope that sees or is woken by a process: a session, or one of its frames (contract 1.8)."""

from __future__ import annotations

from lash.values.record import Record


class ProcessScope(Record, frozen=True):
    """A session, or an agent frame of it. The text form is for display and wake ids (rule R-10)."""

    session_id: str
    agent_frame_id: str | None = None

    @property
    def id(self) -> str:
        if not self.agent_frame_id:
            return f"session:{self.session_id}"
        return f"session:{self.session_id}/frame:{self.agent_frame_id}"
