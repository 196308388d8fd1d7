"""Processes as a tool call of a turn has them: `ctx.processes`.

Ids and keys follow from the call and count from its start, so that an attempt that is made again, in this process
or the next one, finds what the one before has started. What a call waits for is not held: a tool that may be run
again is let go of, and the turn with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lash.contracts import EffectParked
from lash.runtime.processes.awaiting import find_resolved, first_output
from lash.runtime.processes.commands import ExecuteEffect, ProcessCommands, value_of
from lash.runtime.processes.starting import ProcessStarts, StartPlan
from lash.runtime.processes.subagents import say_to_subagent
from lash.runtime.services import RuntimeServices
from lash.tools import ToolProcessHandle
from lash.values import (
    CausedByToolCall,
    Json,
    ProcessEventAppendRequest,
    ProcessHandleDescriptor,
    ProcessRecord,
    ProcessScope,
    RuntimeInvocation,
    child_effect_key,
    process_wait_key,
    stable_hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOrigin:
    """The call that asks.

    Attributes:
        invocation: Its effect.
        execute: Runs or replays effects of its turn.
        agent: The name of its agent.
        call_id: Its id.
        idempotency_key: What tells it from every other call.
        may_park: Whether it may be run again, and so be let go of while it waits.
        depth_limit: How deep agents may ask others.
    """

    invocation: RuntimeInvocation
    execute: ExecuteEffect
    agent: str
    call_id: str
    idempotency_key: str
    may_park: bool
    depth_limit: int

    @property
    def session_id(self) -> str:
        return self.invocation.scope.session_id

    def process_id(self, kind: Literal["started", "asked"], ordinal: int) -> str:
        """Return the id of the process that the call starts, or asks and waits for, as its `ordinal`-th."""
        return f"process:{kind}:{stable_hash([self.idempotency_key, ordinal])[:32]}"


class CallProcesses:
    """See `lash.tools.ToolProcesses`. One is made for each attempt.

    Args:
        services: What all drivers share.
        starts: Plans what is started.
        origin: The call that asks.
        grace_s: How long a wait may take before the call is let go of.
    """

    def __init__(
        self, services: RuntimeServices, starts: ProcessStarts, origin: CallOrigin, *, grace_s: float
    ) -> None:
        self._services = services
        self._database = services.database
        self._starts = starts
        self._origin = origin
        self._grace_s = grace_s
        self._counts = {"started": 0, "asked": 0}
        self._commanded = 0
        self._owner = ProcessScope(session_id=origin.session_id)

    async def start(
        self, work: Any, *args: Any, label: str | None = None, wake: bool = True, **kwargs: Any
    ) -> ToolProcessHandle:
        plan = self._starts.of_work(
            self._next_id("started"),
            work,
            args,
            kwargs,
            agent=self._origin.agent,
            owner=self._owner,
            caused_by=self._cause,
            wake_target=self._owner,
            tells_end=wake,
            label=label,
        )
        return await self._begin(plan)

    async def spawn(
        self, agent: Any, input: str, *, output: Any = None, label: str | None = None, wake: bool = True
    ) -> ToolProcessHandle:
        target = self._owner if wake else None
        return await self._begin(self._plan(self._next_id("started"), agent, input, output, label, target))

    async def ask(self, agent: Any, input: str, *, output: Any = None) -> Any:
        plan = self._plan(self._next_id("asked"), agent, input, output, None, None)
        handle = await self._begin(plan)
        return plan.convert(await self.wait(handle.id))

    async def wait(self, process_id: str) -> Json:
        await self._commands().check_visible(process_id)
        over = asyncio.ensure_future(first_output(self._database, process_id))
        try:
            if self._origin.may_park:
                await asyncio.wait({over}, timeout=self._grace_s)
                if not over.done():
                    key = process_wait_key(process_id)
                    if await find_resolved(self._database, [key]) is None:
                        raise EffectParked([key])
            return value_of(process_id, await over)
        finally:
            over.cancel()
            await asyncio.gather(over, return_exceptions=True)

    async def cancel(self, process_id: str, reason: str | None = None) -> None:
        await self._commands().cancel(process_id, reason)

    async def signal(self, process_id: str, name: str, payload: Json = None) -> None:
        commands = self._commands()
        signal_id = f"{stable_hash(self._origin.idempotency_key)[:32]}.{self._commanded}"
        await commands.signal(process_id, name, payload, signal_id=signal_id)

    async def send(self, process_id: str, text: str) -> None:
        await self._commands().check_visible(process_id)
        turn_id = f"said:{stable_hash([self._origin.idempotency_key, self._commanded])[:32]}"
        await say_to_subagent(self._database, process_id, text, turn_id=turn_id)

    async def transfer(self, process_ids: Sequence[str], to_session_id: str) -> None:
        await self._commands().transfer(process_ids, ProcessScope(session_id=to_session_id))

    async def list(
        self, *, include_finished: bool = False
    ) -> list[tuple[ProcessHandleDescriptor, ProcessRecord]]:
        entries = await self._commands().list(include_finished=include_finished)
        return [(grant.descriptor, record) for grant, record in entries]

    async def withdraw(self, reason: str) -> None:
        """Cancel what the call has asked of agents and would have waited for: its turn is cancelled."""
        registry = self._database.process_registry
        ordinal = 1
        while (record := await registry.get_process(self._origin.process_id("asked", ordinal))) is not None:
            if not record.is_terminal:
                request = ProcessEventAppendRequest.cancel_requested(record.id, reason)
                await registry.append_event(record.id, request)
            ordinal += 1

    def _plan(
        self,
        process_id: str,
        agent: Any,
        input_: str,
        output: Any,
        label: str | None,
        wake_target: ProcessScope | None,
    ) -> StartPlan:
        return self._starts.of_agent(
            process_id,
            agent,
            input_,
            output=output,
            owner=self._owner,
            caused_by=self._cause,
            label=label,
            wake_target=wake_target,
            depth_limit=self._origin.depth_limit,
        )

    async def _begin(self, plan: StartPlan) -> ToolProcessHandle:
        record = await self._commands().start(await plan.complete(), plan.descriptor)
        return ToolProcessHandle(record.id, self)

    @property
    def _cause(self) -> CausedByToolCall:
        return CausedByToolCall(session_id=self._origin.session_id, call_id=self._origin.call_id)

    def _next_id(self, kind: Literal["started", "asked"]) -> str:
        self._counts[kind] += 1
        return self._origin.process_id(kind, self._counts[kind])

    def _commands(self) -> ProcessCommands:
        """Return the commands of the next operation; its number is part of the key of its effect."""
        self._commanded += 1
        number = str(self._commanded)
        return ProcessCommands(
            self._database.process_registry,
            self._origin.execute,
            runtime_scope=self._origin.invocation.scope,
            owner=self._owner,
            replay_key=lambda command_id: child_effect_key(self._origin.invocation, number, command_id),
            caused_by=self._cause,
        )
