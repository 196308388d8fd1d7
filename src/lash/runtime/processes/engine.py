"""What runs a process of one kind, and what a run is given: the seam between the worker and its engines.

An engine knows how to run one kind of input. It does not know of leases: the worker claims, renews, fences,
and writes the end. What an engine returns is the end of the process; what it raises is not:

- `EffectParked` or `ProcessParked`: nothing can be done before a wait is resolved. The worker lets go of the
  process; the engine is asked again when it may go on.
- `LashError`: the machinery failed (a store, a lost lease, code that does not fit its journal). The process is
  released and tried again later. A failure of the work itself is an `AwaitFailure` that is returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lash.contracts import EffectParked, RuntimeEffectController
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.services import RuntimeServices
from lash.tools import Cancellation
from lash.values import (
    EffectRecord,
    EffectScope,
    Json,
    ProcessAwaitOutput,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessInput,
    ProcessRecord,
)


class ProcessParked(EffectParked):
    """A process waits, and this is all that it needs to go on.

    Attributes:
        wait_keys: Keys of durable waits; `process:{id}` for the end of a process. Any of them resumes it.
        frame: What `ProcessRun.frame` is when it is taken up again; None keeps what is stored.
    """

    def __init__(self, wait_keys: Sequence[str], *, frame: bytes | None = None) -> None:
        super().__init__(wait_keys)
        self.frame = frame


class ProcessRun(Protocol):
    """One process while a worker has it.

    Attributes:
        process: The record as it was when the run began.
        services: What all drivers share.
        agents: The agents of this runtime, by name.
        effects: Runs or replays the effects of the process (`scope`), fenced by its lease.
        scope: The scope of its effects.
        cancellation: Raised when somebody has asked to cancel the process.
        cancel_reason: Why, once it is raised.
        attachments: Where the process keeps bytes: with the session that owns it.
    """

    process: ProcessRecord
    services: RuntimeServices
    agents: Mapping[str, BoundAgent]
    cancellation: Cancellation
    cancel_reason: str | None
    attachments: SessionAttachments

    @property
    def scope(self) -> EffectScope: ...

    @property
    def recorded(self) -> Sequence[EffectRecord]:
        """The journal of the process, as it was when this run began."""
        ...

    @property
    def effects(self) -> RuntimeEffectController: ...

    async def frame(self) -> bytes | None:
        """Return the frame that the process was parked with, or None."""
        ...

    async def save_frame(self, frame: bytes) -> None:
        """Store where the process stands, without letting go of it.

        Raises:
            LashError: `process_lease_lost`.
        """
        ...

    async def drain(self) -> None:
        """Return once every result of an effect so far is durable: before anything that others can see."""
        ...

    async def append_event(self, request: ProcessEventAppendRequest) -> ProcessEvent:
        """Append an event to the process's log, after every result so far.

        A run that is repeated appends what it appended before: give each event a replay key that says which
        event of the run it is.
        """
        ...

    def report(self, payload: Json) -> None:
        """Append a `process.progress` event some time soon; the last ones may be lost with this process."""
        ...

    async def wait_any(self, wait_keys: Sequence[str]) -> None:
        """Return when one of these waits is resolved; park when that takes longer than the grace.

        Raises:
            ProcessParked: without a frame; an engine that keeps one catches it and raises its own.
        """
        ...


class ProcessEngine(Protocol):
    """Runs processes of one kind of input."""

    async def run(self, process: ProcessRecord, context: ProcessRun) -> ProcessAwaitOutput:
        """Run a process from where it stands to its end.

        Args:
            process: What to run.
            context: What the run may use.

        Raises:
            EffectParked: see the module.
            LashError: see the module.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProcessEngines:
    """The engines of a runtime, by the kind of input that each runs."""

    by_input: Mapping[type[ProcessInput], ProcessEngine]

    def find(self, process: ProcessRecord) -> ProcessEngine | None:
        """Return the engine for a process; None for what nobody here runs."""
        return self.by_input.get(type(process.input))


def process_event(process_id: str, ordinal: str, event_type: str, payload: Json) -> ProcessEventAppendRequest:
    """Return the append of an event that a run makes at one place, so that a repeat makes it once.

    Args:
        process_id: Whose event.
        ordinal: Which event of the run it is, such as `"3"` for its third.
        event_type: A declared type.
        payload: What it says.
    """
    return ProcessEventAppendRequest(
        event_type=event_type, payload=payload, replay_key=f"process:{process_id}:event:{ordinal}"
    )
