"""A process that a durable function has started, as the function has it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lash.runtime.processes.commands import value_of
from lash.runtime.processes.operations import Operation
from lash.runtime.processes.starting import StartPlan
from lash.values import Json, stable_hash

if TYPE_CHECKING:
    from lash.runtime.processes.function_context import FunctionContext


@dataclass(frozen=True, slots=True)
class FunctionChild:
    """A process that a function has started; see `lash.agents.ChildProcess`."""

    context: FunctionContext
    plan: StartPlan
    begun: asyncio.Task[Any]

    @property
    def id(self) -> str:
        return self.plan.registration.id

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result().__await__()

    def result(self) -> Coroutine[Any, Any, Any]:
        """Return its result, once it is over. Its place is taken here, where it is asked for."""
        return self._result(self.context.take("await", self.id))

    async def _result(self, operation: Operation) -> Any:
        await asyncio.shield(self.begun)
        output = await self.context.child_output(operation, self.id)
        return self.plan.convert(value_of(self.id, output))

    async def cancel(self, reason: str | None = None) -> None:
        operation = self.context.take("cancel", self.id)
        await asyncio.shield(self.begun)
        await self.context.commands(operation).cancel(self.id, reason)

    async def signal(self, name: str, payload: Json = None) -> None:
        operation = self.context.take("send_signal", self.id)
        await asyncio.shield(self.begun)
        commands = self.context.commands(operation)
        await commands.signal(self.id, name, payload, signal_id=stable_hash([operation.replay_key])[:32])

    async def send(self, text: str) -> None:
        await asyncio.shield(self.begun)
        await self.context.say(self.id, text)
