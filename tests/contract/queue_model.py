"""A queue in a page, written from contract 2.D.4 to 2.D.11 alone: what backends are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ModelRow:
    """A batch. `claim` is (claim id, token) while one is stored, whether or not it has expired."""

    batch_id: str
    session_id: str
    delivery: str
    slot: str
    merge: str
    available_at_ms: int
    source_key: str | None
    claim: tuple[str, str] | None = None
    expires_at_ms: int = 0
    fence: int = 0
    state: str = "open"

    def is_free(self, now_ms: int) -> bool:
        return self.claim is None or self.expires_at_ms <= now_ms


@dataclass
class ModelQueue:
    """All rows in enqueue order."""

    rows: list[ModelRow] = field(default_factory=list)
    now_ms: int = 0

    def find_key(self, session_id: str, source_key: str | None) -> ModelRow | None:
        if source_key is None:
            return None
        for row in self.rows:
            if (row.session_id, row.source_key) == (session_id, source_key) and row.state != "cancelled":
                return row
        return None

    def open_rows(self, session_id: str) -> list[ModelRow]:
        return [row for row in self.rows if row.session_id == session_id and row.state == "open"]

    def pending_rows(self, session_id: str) -> list[ModelRow]:
        return [row for row in self.open_rows(session_id) if row.is_free(self.now_ms)]

    def next_group(self, session_id: str, boundary: str, limit: int) -> list[ModelRow]:
        """The group that a claim takes. `boundary` is idle, checkpoint, or running (ruling 3)."""
        ready = [row for row in self.pending_rows(session_id) if row.available_at_ms <= self.now_ms]
        if boundary == "running":
            ready = [row for row in ready if row.delivery == "early"]
        if not ready or limit == 0:
            return []
        head = ready[0]
        if boundary == "checkpoint" and head.delivery != "early":
            return []
        if head.slot == "exclusive" or head.merge == "never":
            return [head]
        taken = []
        for row in ready:
            joins = row.slot == "join" and (row.delivery, row.merge) == (head.delivery, head.merge)
            if not joins or len(taken) == limit:
                break
            taken.append(row)
        return taken

    def claim(self, group: list[ModelRow], claim: tuple[str, str], ttl_ms: int) -> int:
        """Put rows under a claim and return its fence."""
        fence = 1 + max(row.fence for row in group)
        for row in group:
            row.claim, row.expires_at_ms, row.fence = claim, self.now_ms + ttl_ms, fence
        return fence

    def held(self, claim: tuple[str, str]) -> list[ModelRow]:
        return [row for row in self.rows if row.state == "open" and row.claim == claim]
