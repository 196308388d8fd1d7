"""Processes as a tool sees them: `ctx.processes`.

Every command is an effect of the turn, under a key that follows from the call: a tool that is run again after a
crash finds the processes that it had started. Ids of processes follow from the call too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lash.values import Json, ProcessHandleDescriptor, ProcessRecord


class ToolProcesses(Protocol):
    """Starts processes and steers those that the session may see."""

    async def start(
        self, work: Any, *args: Any, label: str | None = None, wake: bool = True, **kwargs: Any
    ) -> ToolProcessHandle:
        """Start background work and return at once; it outlives the turn and this operating-system process.

        Args:
            work: A `@lash.process`, or a `@lash.tool`, whose call then runs in the background.
            args: Its arguments.
            label: What lists call it.
            wake: Whether the session is woken when it ends.
            kwargs: More of its arguments, by name.

        Raises:
            LashError: `invalid_process_args`, `invalid_tool_args`, `process_not_startable`.
        """
        ...

    async def spawn(
        self, agent: Any, input: str, *, output: Any = None, label: str | None = None, wake: bool = True
    ) -> ToolProcessHandle:
        """Give work to another agent in a session of its own, and return at once.

        Args:
            agent: A `lash.Agent`, or its name.
            input: What it is asked.
            output: The type of its answer; None for the agent's own.
            label: What lists call it.
            wake: Whether the session is woken when it ends.

        Raises:
            LashError: `agent_unknown`; `subagent_depth_exceeded`.
        """
        ...

    async def ask(self, agent: Any, input: str, *, output: Any = None) -> Any:
        """Give work to another agent and return its answer: typed if it has a type, else its text.

        As `spawn` and `wait` together. Cancelling the turn cancels the work.

        Raises:
            LashError: as those two; `subagent_stopped` when the agent's turn ended before its natural end.
        """
        ...

    async def wait(self, process_id: str) -> Json:
        """Return what a process ended with.

        A read-only or idempotent tool is let go of meanwhile, and the turn with it: it is called again when the
        process is over, and gets here anew. An at-most-once tool waits where it is.

        Raises:
            LashError: the code that the process failed with; `process_cancelled`;
                `process_handle_not_granted` for one that the session may not see.
        """
        ...

    async def cancel(self, process_id: str, reason: str | None = None) -> None:
        """Ask a process to stop; one that is over stays as it is."""
        ...

    async def signal(self, process_id: str, name: str, payload: Json = None) -> None:
        """Send a process a signal, for its `ctx.signal(name)`."""
        ...

    async def send(self, process_id: str, text: str) -> None:
        """Say something to a subagent: it enters its running turn, or begins another one."""
        ...

    async def transfer(self, process_ids: Sequence[str], to_session_id: str) -> None:
        """Give what the session may see to another session: all of it, or nothing."""
        ...

    async def list(
        self, *, include_finished: bool = False
    ) -> list[tuple[ProcessHandleDescriptor, ProcessRecord]]:
        """Return the processes that the session may see."""
        ...


@dataclass(frozen=True, slots=True)
class ToolProcessHandle:
    """A process that a tool has started or found. Its `id` is what to give to the model, or to keep."""

    id: str
    processes: ToolProcesses

    async def wait(self) -> Json:
        """Return what it ended with; see `ToolProcesses.wait`."""
        return await self.processes.wait(self.id)

    async def cancel(self, reason: str | None = None) -> None:
        """Ask it to stop."""
        await self.processes.cancel(self.id, reason)

    async def signal(self, name: str, payload: Json = None) -> None:
        """Send it a signal."""
        await self.processes.signal(self.id, name, payload)

    async def send(self, text: str) -> None:
        """Say something to it, when it is a subagent."""
        await self.processes.send(self.id, text)
