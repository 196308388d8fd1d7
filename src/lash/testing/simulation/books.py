"""What really happened, written down outside of lash: the checks compare it with what lash has stored."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from lash.values import TokenUsage

OnBusy = Literal["queue", "inject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A side effect in the world: a tool or a step that ran.

    Attributes:
        name: Of the tool or step.
        effect: What it is declared to be.
        key: Names the call: the same for each run of it.
        token: What the world was told: must be the same for each run of an idempotent call.
    """

    name: str
    effect: str
    key: str
    token: str


@dataclass(slots=True, kw_only=True)
class SentInput:
    """An input that was sent to a session, and what its sender was told."""

    session_id: str
    turn_id: str
    text: str
    on_busy: OnBusy
    accepted: bool = False
    cancel_asked: bool = False
    answer: str | None = None


@dataclass(slots=True)
class Books:
    """The books of one simulation."""

    deeds: list[Deed] = field(default_factory=list)
    inputs: dict[str, SentInput] = field(default_factory=dict)  # by turn id
    paid: dict[str, dict[str, TokenUsage]] = field(default_factory=lambda: defaultdict(dict))
    wakes: dict[str, tuple[str, str]] = field(default_factory=dict)  # text -> process and session
    processes: dict[str, str] = field(default_factory=dict)  # id -> session
    plans: dict[str, list[str]] = field(default_factory=dict)  # of processes
    results: dict[str, str] = field(default_factory=dict)  # of processes: what was waited for
    process_cancels: set[str] = field(default_factory=set)
    emitted: dict[str, str] = field(default_factory=dict)  # idempotency key -> event type
    forks: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)  # fork -> origin, texts
    surprises: list[str] = field(default_factory=list)  # what no check expects

    def did(self, name: str, effect: str, key: str, token: str) -> None:
        """Write down that a tool or a step has had its effect."""
        self.deeds.append(Deed(name=name, effect=effect, key=key, token=token))
