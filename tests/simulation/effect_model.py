"""A journal in a page, written from contract 2.B and the port's own words alone."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Line:
    """One effect. `claim` numbers the claim that is stored, whether or not it has expired."""

    envelope_hash: str
    at_most_once: bool
    started_at_ms: int
    due_at_ms: int | None = None
    state: str = "started"
    outcome: bytes | None = None
    ended_at_ms: int | None = None
    settled_by: str | None = None
    runs: int = 1
    claim: int | None = None
    expires_at_ms: int = 0

    def is_claimed(self, now_ms: int) -> bool:
        return self.claim is not None and self.expires_at_ms > now_ms

    def end(self, state: str, outcome: bytes | None, now_ms: int) -> None:
        self.state, self.outcome, self.ended_at_ms, self.claim = state, outcome, now_ms, None


@dataclass
class Journal:
    """Lines by (scope, key), in the order in which they were started."""

    now_ms: int
    lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    claims: int = 0

    def claim(
        self,
        at: tuple[str, str],
        envelope_hash: str,
        *,
        at_most_once: bool,
        ttl_ms: int,
        sleep_ms: int | None,
    ) -> str | int:
        """Return `record`, `busy`, or the number of the claim."""
        line = self.lines.get(at)
        if line is not None:
            if line.state != "started" or line.envelope_hash != envelope_hash:
                return "record"
            if line.is_claimed(self.now_ms):
                return "busy"
            if line.at_most_once or at_most_once:
                line.end("unknown", None, self.now_ms)
                return "record"
            line.runs += 1
        else:
            due_at_ms = None if sleep_ms is None else self.now_ms + sleep_ms
            line = self.lines[at] = Line(envelope_hash, at_most_once, self.now_ms, due_at_ms)
        self.claims += 1
        line.claim, line.expires_at_ms = self.claims, self.now_ms + ttl_ms
        return self.claims

    def holds(self, at: tuple[str, str], claim: int) -> bool:
        """A claim counts until it is superseded, given back or used up; expiry alone does not end it."""
        return self.lines[at].claim == claim

    def start(self, at: tuple[str, str], envelope_hash: str, *, at_most_once: bool) -> None:
        if at in self.lines:
            self.lines[at].runs += 1
        else:
            self.lines[at] = Line(envelope_hash, at_most_once, self.now_ms)

    def record(self, at: tuple[str, str], envelope_hash: str, state: str, outcome: bytes | None) -> None:
        """A line that has a result keeps it."""
        line = self.lines.setdefault(at, Line(envelope_hash, at_most_once=False, started_at_ms=self.now_ms))
        if line.state == "started":
            line.end(state, outcome, self.now_ms)

    def settle(self, at: tuple[str, str], outcome: bytes, by: str) -> str | None:
        """Return the code of the refusal, or None."""
        line = self.lines.get(at)
        if line is None:
            return "effect_unknown_key"
        if line.state in ("done", "failed") or (line.state == "started" and line.is_claimed(self.now_ms)):
            return "effect_not_unknown"
        line.end("done", outcome, self.now_ms)
        line.settled_by = by
        return None
