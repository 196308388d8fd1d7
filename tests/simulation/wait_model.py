"""What waits and parking promise (contract 5, B-9, B-23), written as a small model; imports nothing of `lash.rules`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Wait:
    """One key: what was said of it first."""

    opened: bool = False
    deadline_ms: int | None = None
    on_timeout: object = None
    token: str | None = None
    scope: str = ""
    resolved: bool = False
    value: object = None
    timed_out: bool = False


@dataclass
class Parked:
    """A turn or a process that waits for one of its keys."""

    keys: tuple[str, ...]


@dataclass
class Waits:
    """All waits, and what is parked on them."""

    now_ms: int
    waits: dict[str, Wait] = field(default_factory=dict)
    parked: dict[str, Parked] = field(default_factory=dict)  # by what it is
    wanted_back: set[str] = field(default_factory=set)  # a cancel of it was requested

    def open(
        self, key: str, deadline_ms: int | None, on_timeout: object, token: str | None, scope: str
    ) -> str | None:
        """Open a wait; return the code of a refusal."""
        if token is not None and any(
            other != key and wait.token == token for other, wait in self.waits.items()
        ):
            return "wait_token_taken"
        wait = self.waits.setdefault(key, Wait())
        wait.opened = True
        wait.scope = wait.scope or scope
        wait.token = wait.token if wait.token is not None else token
        if wait.deadline_ms is None:
            wait.deadline_ms, wait.on_timeout = deadline_ms, on_timeout
        return None

    def resolve(
        self, key: str, value: object, scope: str = "", *, timed_out: bool = False
    ) -> tuple[object, bool]:
        """Resolve a key; return the value that stands and whether this was the first."""
        wait = self.waits.setdefault(key, Wait(scope=scope))
        if wait.resolved:
            return wait.value, False
        wait.resolved, wait.value, wait.timed_out = True, value, timed_out
        for name in [name for name, parked in self.parked.items() if key in parked.keys]:
            del self.parked[name]
        return value, True

    def of_token(self, token: str) -> str | None:
        """Return the key of a token."""
        return next((key for key, wait in self.waits.items() if wait.token == token), None)

    def due(self) -> list[str]:
        """Time out what is due; return the keys."""
        due = [
            (wait.deadline_ms, key)
            for key, wait in self.waits.items()
            if wait.opened
            and not wait.resolved
            and wait.deadline_ms is not None
            and wait.deadline_ms <= self.now_ms
        ]
        for _, key in due:
            self.resolve(key, self.waits[key].on_timeout, timed_out=True)
        return [key for _, key in due]

    def next_deadline(self) -> int | None:
        """Return the earliest deadline of what is open."""
        open_ = [w.deadline_ms for w in self.waits.values() if w.opened and not w.resolved]
        return min((at for at in open_ if at is not None), default=None)

    def drop(self, scope: str) -> int:
        """Forget the waits of a scope; what is parked on them stays parked."""
        gone = [key for key, wait in self.waits.items() if scope and wait.scope == scope]
        for key in gone:
            del self.waits[key]
        return len(gone)

    def park(self, name: str, keys: tuple[str, ...]) -> bool:
        """Park something, unless there is nothing to wait for."""
        if name in self.wanted_back or any(key in self.waits and self.waits[key].resolved for key in keys):
            return False
        self.parked[name] = Parked(keys)
        return True

    def want_back(self, name: str) -> None:
        """Somebody asks it to end."""
        self.wanted_back.add(name)
        self.parked.pop(name, None)
