"""Durable waits: one-shot promises by key, and how they end (contract 5, B-23).

A wait may be resolved before anybody opened it: the resolution is kept and the opener finds it. The first
resolution stands, whoever it came from: a caller, the holder of its token, or its deadline.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from lash.values.record import Json, JsonRecord

WaitKind = Literal["sleep", "signal", "approval", "webhook", "process", "cancel", "custom"]


class WaitDraft(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A wait to open.

    `deadline_ms` is a time, not a duration: who waits again after a restart keeps it. When it passes, the
    wait is resolved with `on_timeout`. `token` lets its holder resolve the wait without knowing the key; only
    its hash is stored. `detail` is for those who list waits.
    """

    key: str
    scope_key: str = ""
    kind: WaitKind = "custom"
    deadline_ms: int | None = None
    on_timeout: Json = None
    token: str | None = None
    detail: Json = None


class WaitRecord(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A wait as stored; `resolution` means something once `resolved_at_ms` is set.

    One that was resolved before it was opened has `opened_at_ms` None until then.
    """

    key: str
    created_at_ms: int
    scope_key: str = ""
    kind: WaitKind = "custom"
    deadline_ms: int | None = None
    on_timeout: Json = None
    token_hash: str | None = None
    detail: Json = None
    opened_at_ms: int | None = None
    resolution: Json = None
    resolved_at_ms: int | None = None
    timed_out: bool = False

    @property
    def is_resolved(self) -> bool:
        return self.resolved_at_ms is not None

    def as_resolution(self, *, first: bool = False) -> WaitResolution | None:
        """Return how the wait was resolved, or None."""
        if self.resolved_at_ms is None:
            return None
        return WaitResolution(
            key=self.key,
            value=self.resolution,
            resolved_at_ms=self.resolved_at_ms,
            first=first,
            timed_out=self.timed_out,
        )


class WaitResolution(JsonRecord, frozen=True, kw_only=True, eq=False):
    """How a durable wait was resolved. `first` tells whether this call did it: the first writer wins."""

    key: str
    value: Json
    resolved_at_ms: int
    first: bool
    timed_out: bool = False


def wait_token_hash(token: str) -> str:
    """Return what is stored of a token: who reads the database cannot resolve a wait with it."""
    return hashlib.sha256(token.encode()).hexdigest()


def process_wait_key(process_id: str) -> str:
    """Return the key of the wait for the end of a process; its value is the await output."""
    return f"process:{process_id}"


def process_of_wait_key(key: str) -> str | None:
    """Return the process whose end a key stands for, or None for any other key."""
    return key.removeprefix("process:") if key.startswith("process:") else None


def turn_wait_key(session_id: str, turn_id: str) -> str:
    """Return the key of the wait for the end of a child session's turn: its commit resolves it, if it is open."""
    return f"turn:{session_id}:{turn_id}"


def signal_wait_key(process_id: str, sequence: int) -> str:
    """Return the key of the wait for the first signal after another one (0 for none); its append resolves it."""
    return f"signal:{process_id}:{sequence}"
