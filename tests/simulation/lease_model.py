"""Who holds a session, and who holds a process: written from contracts 2.C.17 to 2.C.19 and 5, B-4 and B-9, alone."""

from __future__ import annotations

from dataclasses import dataclass, field


class Refused(Exception):
    """What the contract refuses, by its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Grant:
    """One claim that was given. `number` is its generation, or its fence."""

    what: str
    owner: str
    number: int
    expires_at_ms: int


@dataclass
class Holding:
    """A thing that one at a time holds: the grant that counts, and the number of the last one."""

    grant: Grant | None = None
    number: int = 0

    def is_live(self, now_ms: int) -> bool:
        return self.grant is not None and self.grant.expires_at_ms > now_ms

    def give(self, what: str, owner: str, expires_at_ms: int) -> Grant:
        self.number += 1
        self.grant = Grant(what, owner, self.number, expires_at_ms)
        return self.grant


@dataclass
class Leases:
    """All sessions and processes."""

    now_ms: int
    sessions: dict[str, Holding] = field(default_factory=dict)
    processes: dict[str, Holding] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)

    def session(self, session_id: str) -> Holding:
        return self.sessions.setdefault(session_id, Holding())

    def process(self, process_id: str) -> Holding:
        return self.processes.setdefault(process_id, Holding())

    def claim_session(self, session_id: str, owner: str, ttl_ms: int) -> Grant:
        """While a lease is live nobody gets another one, its holder included."""
        _check_ttl(ttl_ms)
        if self.session(session_id).is_live(self.now_ms):
            raise Refused("session_lease_held")
        return self.session(session_id).give(session_id, owner, self.now_ms + ttl_ms)

    def renew_session(self, grant: Grant, ttl_ms: int) -> None:
        _check_ttl(ttl_ms)
        holding = self.session(grant.what)
        if holding.grant is not grant or not holding.is_live(self.now_ms):
            raise Refused("session_lease_lost")
        grant.expires_at_ms = self.now_ms + ttl_ms

    def release_session(self, grant: Grant) -> None:
        if self.session(grant.what).grant is grant:
            self.session(grant.what).grant = None

    def write_under_session(self, grant: Grant) -> None:
        """What is written under a lease needs it to be the current one; that it has expired is no matter (R-32)."""
        if self.session(grant.what).grant is not grant:
            raise Refused("session_lease_lost")

    def claim_process(self, process_id: str, owner: str, ttl_ms: int) -> Grant:
        """The same owner may claim again, and its lease from before is void then (R-26)."""
        _check_ttl(ttl_ms)
        holding = self.process(process_id)
        if holding.is_live(self.now_ms) and holding.grant is not None and holding.grant.owner != owner:
            raise Refused("process_lease_held")
        return holding.give(process_id, owner, self.now_ms + ttl_ms)

    def renew_process(self, grant: Grant, ttl_ms: int) -> None:
        _check_ttl(ttl_ms)
        self._check_process(grant)
        grant.expires_at_ms = self.now_ms + ttl_ms

    def release_process(self, grant: Grant) -> None:
        """An expired lease that nobody took over is given back as well."""
        if self.process(grant.what).grant is grant:
            self.process(grant.what).grant = None

    def attempt(self, grant: Grant) -> int:
        self._check_process(grant)
        self.attempts[grant.what] = self.attempts.get(grant.what, 0) + 1
        return self.attempts[grant.what]

    def _check_process(self, grant: Grant) -> None:
        holding = self.process(grant.what)
        if holding.grant is not grant or not holding.is_live(self.now_ms):
            raise Refused("process_lease_lost")


def _check_ttl(ttl_ms: int) -> None:
    if ttl_ms < 0:
        raise Refused("invalid_argument")
