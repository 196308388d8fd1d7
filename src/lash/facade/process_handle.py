"""A process, as somebody outside of it has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lash.runtime.processes import StartPlan
from lash.values import ProcessEvent, ProcessRecord, WaitResolution

if TYPE_CHECKING:
    from lash.facade.processes import Processes

R = TypeVar("R")


class ProcessHandle(Generic[R]):
    """A process, as somebody outside of it has it. `await` it for its result."""

    def __init__(self, processes: Processes, process_id: str, plan: StartPlan | None = None) -> None:
        self._processes = processes
        self._plan = plan
        self.id = process_id

    def __repr__(self) -> str:
        return f"<ProcessHandle {self.id}>"

    def __await__(self) -> Generator[Any, None, R]:
        return self.result().__await__()

    async def result(self, *, timeout: float | None = None) -> R:
        """Return what the process ended with, once it is over, whoever runs it; see `Processes.wait`."""
        value = await self._processes.wait(self.id, timeout=timeout)
        if self._plan is not None:
            return self._plan.convert(value)  # type: ignore[no-any-return]  # of the definition's return type
        return await self._processes.converted(self.id, value)  # type: ignore[no-any-return]  # the same

    async def status(self) -> ProcessRecord:
        """Return the process as it is now."""
        return await self._processes.get(self.id)

    def result_sync(self, *, timeout: float | None = None) -> R:
        """Return what it ended with; for scripts. See `result`."""
        return self._processes.call_sync(self.result(timeout=timeout))

    async def events(self, after: int = 0) -> list[ProcessEvent]:
        """Return its events after a sequence number."""
        return await self._processes.events(self.id, after=after)

    def watch(self, after: int = 0) -> AsyncIterator[ProcessEvent]:
        """Yield its events after a sequence number, as they come, until it is over."""
        return self._processes.watch(self.id, after=after)

    async def cancel(self, reason: str | None = None) -> ProcessRecord:
        """Ask it to stop."""
        return await self._processes.cancel(self.id, reason)

    async def signal(self, name: str, payload: Any = None, *, signal_id: str | None = None) -> ProcessEvent:
        """Send it a signal, for its `ctx.signal(name)`."""
        return await self._processes.signal(self.id, name, payload, signal_id=signal_id)

    async def send(self, text: str, *, idempotency_key: str | None = None) -> None:
        """Say something to it, when it is an agent: it enters its running turn, or begins another one."""
        await self._processes.send(self.id, text, idempotency_key=idempotency_key)

    async def resolve(self, key: str, value: Any = None) -> WaitResolution:
        """Resolve its `ctx.wait(key)`."""
        return await self._processes.resolve(self.id, key, value)
