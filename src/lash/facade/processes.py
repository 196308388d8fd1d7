"""Processes as the host has them: `runtime.processes`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from lash.agents import Agent, ProcessDefinition
from lash.errors import LashError
from lash.facade.portal import refuse_on_running_loop
from lash.facade.process_handle import ProcessHandle
from lash.runtime.processes import (
    ProcessEnvironment,
    StartPlan,
    answer_of,
    existing_process,
    first_output,
    load_environment,
    say_to_subagent,
    signal_request,
    value_of,
    wait_key,
)
from lash.tools import to_json
from lash.values import (
    AwaitFailure,
    AwaitSuccess,
    EffectScope,
    ExternalInput,
    FunctionInput,
    Json,
    ProcessAwaitOutput,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessExternalRef,
    ProcessHandleDescriptor,
    ProcessProvenance,
    ProcessRecord,
    ProcessRegistration,
    ProcessScope,
    ProcessStartGrant,
    SessionTurnInput,
    WaitResolution,
)

if TYPE_CHECKING:
    from lash.facade.runtime import Runtime

R = TypeVar("R")
T = TypeVar("T")

_Events: TypeAlias = list[ProcessEvent]  # `list` is a method below

_PAGE = 200
_LOOK_AROUND_MS = 1_000


class Processes:
    """Starts processes and steers them, from outside of any turn. Get it from `Runtime.processes`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._registry = runtime.database.process_registry

    # ---- starting

    async def start(
        self,
        work: ProcessDefinition[R] | Any,
        *args: Any,
        id: str | None = None,
        session: str | None = None,
        label: str | None = None,
        wake: bool = False,
        **kwargs: Any,
    ) -> ProcessHandle[R]:
        """Start a durable function, or a call of a tool, and return at once.

        Args:
            work: A `@lash.process`, or a tool of an agent of this runtime.
            args: Its arguments. Arguments that are called like an option here are given by position.
            id: The id of the process, an idempotency key: started again with the same arguments it is the same
                process, as it is by then. A fresh one by default.
            session: The session that it belongs to: which sees it, and which its `ctx.wake` reaches.
            label: What lists call it.
            wake: Whether that session is also woken when it ends.
            kwargs: More arguments, by name.

        Raises:
            LashError: `invalid_process_args`; `process_registration_conflict` for an id that was used with
                other arguments; `invalid_argument` for `wake` without a session.
        """
        owner = _scope(session, wake=wake)
        plan = self._runtime.process_host.starts.of_work(
            id or self._runtime.ids.new("process"),
            work,
            args,
            kwargs,
            agent=None,
            owner=owner or ProcessScope(session_id="root"),
            caused_by=None,
            wake_target=owner,
            tells_end=wake,
            label=label,
        )
        return await self._begin(plan, owner)

    async def spawn(
        self,
        agent: Agent | str,
        input: str,
        *,
        session: str,
        output: Any = None,
        id: str | None = None,
        label: str | None = None,
        wake: bool = True,
    ) -> ProcessHandle[Any]:
        """Give work to an agent in a session of its own below `session`; see `Session.spawn`.

        Raises:
            LashError: what that raises; `session_unknown`.
        """
        info = await self._database.session_catalog.find_session(session)
        if info is None:
            raise LashError("session_unknown", f"there is no session {session!r}", session_id=session)
        owner = ProcessScope(session_id=session)
        plan = self._runtime.process_host.starts.of_agent(
            id or self._runtime.ids.new("process"),
            agent,
            input,
            output=output,
            owner=owner,
            caused_by=None,
            label=label,
            wake_target=owner if wake else None,
            depth_limit=self._runtime.subagent_depth(info.agent),
        )
        return await self._begin(plan, owner)

    async def start_external(
        self,
        metadata: Any = None,
        *,
        id: str | None = None,
        session: str | None = None,
        label: str | None = None,
        ref: ProcessExternalRef | None = None,
    ) -> ProcessHandle[Json]:
        """Register work that somebody outside does and ends with `complete_external`. Nobody here runs it.

        Args:
            metadata: JSON that says what it is.
            id: As for `start`.
            session: The session that sees it.
            label: What lists call it.
            ref: Where it lives.
        """
        process_id = id or self._runtime.ids.new("process")
        owner = _scope(session, wake=False)
        registration = ProcessRegistration(
            id=process_id,
            input=ExternalInput(metadata=to_json(metadata)),
            provenance=ProcessProvenance(owner_scope=owner or ProcessScope(session_id="root")),
        )
        descriptor = ProcessHandleDescriptor(kind="external", label=label)
        await self._registry.register_process(registration, grants=_grants(owner, descriptor))
        if ref is not None:
            await self._registry.set_external_ref(process_id, ref)
        return ProcessHandle(self, process_id)

    async def _begin(self, plan: StartPlan, owner: ProcessScope | None) -> ProcessHandle[Any]:
        registration = await plan.complete()
        await self._registry.register_process(registration, grants=_grants(owner, plan.descriptor))
        return ProcessHandle(self, registration.id, plan)

    def start_sync(
        self,
        work: ProcessDefinition[R] | Any,
        *args: Any,
        id: str | None = None,
        session: str | None = None,
        label: str | None = None,
        wake: bool = False,
        **kwargs: Any,
    ) -> ProcessHandle[R]:
        """Start a process; for scripts. See `start`."""
        return self.call_sync(
            self.start(work, *args, id=id, session=session, label=label, wake=wake, **kwargs)
        )

    def call_sync(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of these methods from a script, such as `call_sync(processes.cancel(id))`."""
        refuse_on_running_loop("call_sync")
        return self._runtime.call_sync(work)

    # ---- looking

    def handle(self, id: str) -> ProcessHandle[Any]:
        """Return the handle of a process, which need not exist yet."""
        return ProcessHandle(self, id)

    async def get(self, id: str) -> ProcessRecord:
        """Return a process.

        Raises:
            LashError: `process_unknown`; `process_no_longer_retained`.
        """
        return await existing_process(self._database, id)

    async def list(
        self, *, session: str | None = None, include_finished: bool = False, limit: int = 100
    ) -> list[ProcessRecord]:
        """Return processes: those that a session sees, or all, in the order in which they changed last.

        Args:
            session: Only what this session sees.
            include_finished: Also those that are over.
            limit: How many at most.
        """
        if session is not None:
            scope = ProcessScope(session_id=session)
            listing = (
                self._registry.list_handle_grants
                if include_finished
                else self._registry.list_live_handle_grants
            )
            return [record for _, record in await listing(scope)][:limit]
        found: list[ProcessRecord] = []
        cursor = 0
        while len(found) < limit:
            page, cursor = await self._registry.processes_changed_since(cursor, limit=_PAGE)
            found += [record for record in page if include_finished or not record.is_terminal]
            if len(page) < _PAGE:
                break
        return found[:limit]

    async def parked_on(self, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return what those of these processes that wait are waiting for."""
        return await self._registry.parked_processes(ids)

    async def events(self, id: str, *, after: int = 0) -> _Events:
        """Return the events of a process after a sequence number; 0 for all.

        Raises:
            LashError: `process_unknown`; `process_no_longer_retained`.
        """
        return await self._registry.events_after(id, after)

    async def watch(self, id: str, *, after: int = 0) -> AsyncIterator[ProcessEvent]:
        """Yield the events of a process after a sequence number, as they come, until it is over.

        Raises:
            LashError: `process_unknown`; `process_no_longer_retained`.
        """
        subscription = self._database.subscribe([f"process:{id}"])
        try:
            while True:
                is_over = (await self.get(id)).is_terminal
                for event in await self._registry.events_after(id, after):
                    after = event.sequence
                    yield event
                if is_over:
                    return
                await subscription.wait(timeout_ms=_LOOK_AROUND_MS)
        finally:
            subscription.close()

    async def environment(self, id: str) -> ProcessEnvironment | None:
        """Return what a process was started under: agent, model, limits; None for one without an agent."""
        ref = (await self.get(id)).environment_ref
        return None if ref is None else await load_environment(self._database.attachment_store, ref)

    # ---- steering

    async def wait(self, id: str, *, timeout: float | None = None) -> Json:
        """Return what a process ended with, as JSON, once it is over, whoever runs it.

        Args:
            id: Which process.
            timeout: Seconds after which to give up; the process goes on.

        Raises:
            LashError: the code that it failed with; `process_cancelled`; `process_abandoned`;
                `process_replay_mismatch` and the like when it cannot go on here; `process_unknown`;
                `process_wait_timeout`.
        """
        output = asyncio.ensure_future(first_output(self._database, id))
        stalled = self._runtime.process_host.worker.expect_stall(id)
        try:
            both: list[asyncio.Future[Any]] = [output, stalled]
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if output.done():
                return value_of(id, output.result())
            if stalled.done():
                raise stalled.result()
            raise LashError(
                "process_wait_timeout",
                f"process {id!r} is not over after {timeout:g} s; it goes on",
                retryable=True,
                process_id=id,
            )
        finally:
            output.cancel()
            stalled.cancel()
            await asyncio.gather(output, return_exceptions=True)

    async def converted(self, id: str, value: Json) -> Any:
        """Return the value of a process as its definition says, where this runtime has it."""
        work = (await self.get(id)).input
        if isinstance(work, FunctionInput):
            definition = self._runtime.process_host.definitions.get(work.name)
            return value if definition is None else definition.result_from_json(value)
        return answer_of(value) if isinstance(work, SessionTurnInput) else value

    async def cancel(self, id: str, reason: str | None = None) -> ProcessRecord:
        """Ask a process to stop, from any operating-system process; one that is over stays as it is.

        Raises:
            LashError: `process_unknown`; `process_no_longer_retained`.
        """
        record = await self.get(id)
        if record.is_terminal:
            return record
        # Whoever does the work, here or outside, sees the request in its events.
        await self._registry.append_event(id, ProcessEventAppendRequest.cancel_requested(id, reason))
        return await self.get(id)

    async def signal(
        self, id: str, name: str, payload: Any = None, *, signal_id: str | None = None
    ) -> ProcessEvent:
        """Send a process a signal; it is kept until the process takes it.

        Args:
            id: Which process.
            name: Which signal.
            payload: JSON.
            signal_id: An idempotency key; a fresh one by default.
        """
        request = signal_request(
            id, name, to_json(payload), signal_id=signal_id or self._runtime.ids.new("signal")
        )
        return (await self._registry.append_event(id, request)).event

    async def send(self, id: str, text: str, *, idempotency_key: str | None = None) -> None:
        """Say something to an agent that works as a process.

        Raises:
            LashError: `process_not_a_subagent`; `idempotency_conflict`.
        """
        turn_id = idempotency_key or self._runtime.ids.new("said")
        await say_to_subagent(self._database, id, text, turn_id=turn_id)

    async def resolve(self, id: str, key: str, value: Any = None) -> WaitResolution:
        """Resolve `ctx.wait(key)` of a process, before or after it waits. The first one wins.

        Raises:
            LashError: `process_already_terminal`; `process_unknown`.
        """
        record = await self.get(id)
        if record.is_terminal:
            raise LashError(
                "process_already_terminal",
                f"process {id!r} is over ({record.terminal_state}); nothing waits for {key!r} any more",
                process_id=id,
            )
        return await self._database.durable_waits.resolve_wait(
            wait_key(id, key), to_json(value), scope_key=EffectScope.process(id).key
        )

    async def resolve_token(self, token: str, value: Any = None) -> WaitResolution:
        """Resolve the wait that `ctx.token(key)` was made for.

        Raises:
            LashError: `wait_unknown` for a token that is none, or whose process is over.
        """
        return await self._database.durable_waits.resolve_by_token(token, to_json(value))

    async def transfer(self, ids: Sequence[str], *, from_session: str, to_session: str) -> None:
        """Let another session see processes instead of this one: all or none.

        Raises:
            LashError: `process_handle_not_granted`.
        """
        await self._registry.transfer_handle_grants(
            ProcessScope(session_id=from_session), ProcessScope(session_id=to_session), ids
        )

    async def observe(self, id: str, session: str, *, label: str | None = None) -> None:
        """Note that a session watches a process. That keeps neither of them, and gives no right on it."""
        await self._registry.observe_process(
            ProcessScope(session_id=session), id, ProcessHandleDescriptor(label=label)
        )

    async def complete_external(
        self, id: str, value: Any = None, *, error: LashError | None = None
    ) -> ProcessRecord:
        """End work that somebody outside did.

        Args:
            id: The process.
            value: What it came to.
            error: Why it failed, instead.

        Raises:
            LashError: `process_not_external` for a process that is run here; `process_already_terminal`.
        """
        record = await self.get(id)
        if not isinstance(record.input, ExternalInput):
            raise LashError(
                "process_not_external",
                f"process {id!r} is run by lash, which ends it; cancel it, or ask for its abandonment",
                process_id=id,
            )
        output: ProcessAwaitOutput = AwaitSuccess(value=to_json(value))
        if error is not None:
            output = AwaitFailure(failure_class="external", code=error.code, message=error.message)
        return await self._registry.complete_process(id, output)

    async def abandon(self, id: str, *, requested_by: str, reason: str) -> ProcessRecord:
        """Ask that a process be given up once nobody runs it: a written fact, with who and why.

        Raises:
            LashError: `process_already_terminal`.
        """
        return await self._registry.request_abandon(id, requested_by=requested_by, reason=reason)

    async def prune(self, *, finished_before_ms: int, watermark: int | None = None, limit: int = 1000) -> int:
        """Delete processes that ended before a time; their ids stay taken. Return how many.

        Args:
            finished_before_ms: Only those that ended earlier.
            watermark: How far whoever follows the changes of processes has read; None for nobody.
            limit: How many at most; call again while it answers as many.
        """
        return await self._registry.prune_processes(
            finished_before_ms=finished_before_ms, watermark=watermark, limit=limit
        )


def _scope(session: str | None, *, wake: bool) -> ProcessScope | None:
    if session is None and wake:
        raise LashError("invalid_argument", "wake=True needs the session that is to be woken")
    return None if session is None else ProcessScope(session_id=session)


def _grants(owner: ProcessScope | None, descriptor: ProcessHandleDescriptor) -> list[ProcessStartGrant]:
    return [] if owner is None else [ProcessStartGrant(owner_scope=owner, descriptor=descriptor)]
