"""What a program asks of its host, and what the host says: plain data on both sides.

An `Effect` says everything about one request; a host answers with `Ok`, with `Failed`, or with `LATER` when it has no
answer yet (the program is then parked). Payloads are copies: the host may keep or change them.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from lashlang.machine.values import Unset, Value

EffectName = Literal[
    "operation", "await", "start", "cancel", "sleep", "wait_signal", "signal_run", "event", "join"
]


class Ok(msgspec.Struct, frozen=True, tag="ok"):
    """The effect succeeded with a JSON value."""

    value: Value = None


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The effect failed; `error` is the text that the program may see."""

    error: str


Outcome = Ok | Failed
LATER: Final = Unset()
"""The answer of a host that has no answer yet."""


class HostError(Exception):
    """Raised by a host function to fail an effect with a text of its choice; the program gets `{ok: false}`."""


class Effect(msgspec.Struct, frozen=True, gc=False):
    """One request to the host.

    Attributes:
        kind: what is asked. A `join` is several requests at once, in `members`, each with its `index`.
        name: the operation, the process, `for`/`until`, the event (`yield`/`wake`) or the signal ("" for any).
        payload: arguments of an operation or process, the handle, the milliseconds, the event's value, or for
            `signal_run` the record `{run, payload}`.
        ordinal: how many effects the run asked for before this one.
        site: where in the program, as a path in its syntax tree.
        run_id: the run that asks.
        host_operation: the host's name of the operation, when linking could tell it.
        resource_type: authority type of the receiver of an operation.
        alias: which module instance receives the operation.
    """

    kind: EffectName
    name: str
    payload: Value
    ordinal: int
    site: str
    run_id: str
    host_operation: str | None = None
    resource_type: str = ""
    alias: str = ""
    index: int = -1
    members: tuple[Effect, ...] = ()

    @property
    def key(self) -> str:
        """The idempotency key: equal on every attempt and replay of the same run, different within it."""
        return (
            f"{self.run_id}/{self.ordinal}"
            if self.index < 0
            else f"{self.run_id}/{self.ordinal}.{self.index}"
        )
