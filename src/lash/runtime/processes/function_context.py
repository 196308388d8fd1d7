"""The context of a durable function: `lash.ProcessContext`, over one run of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from lash.agents import (
    PROCESS_PROGRESS,
    PROCESS_SIGNAL,
    PROCESS_WAKE,
    Agent,
    ProcessDefinition,
    converted,
)
from lash.errors import LashError
from lash.runtime.processes.commands import ProcessCommands
from lash.runtime.processes.engine import process_event
from lash.runtime.processes.function_child import FunctionChild
from lash.runtime.processes.function_run import FunctionRun
from lash.runtime.processes.keys import signal_wait_key, sleep_wait_key, wait_key
from lash.runtime.processes.operations import Operation
from lash.runtime.processes.starting import ProcessStarts, StartPlan
from lash.runtime.processes.steps import Step, StepTools, run_step
from lash.runtime.processes.subagents import say_to_subagent
from lash.tools import Effect, Retry, Tool, ToolInvocation
from lash.values import (
    CausedByProcess,
    EffectScope,
    Json,
    PreparedToolCall,
    ProcessAwaitOutput,
    ProcessEvent,
    WaitDraft,
    WaitKind,
    process_wait_key,
    stable_hash,
)

_output: msgspec.json.Decoder[ProcessAwaitOutput] = msgspec.json.Decoder(ProcessAwaitOutput)


class FunctionContext:
    """See `lash.ProcessContext` for what each operation promises."""

    def __init__(self, run: FunctionRun, starts: ProcessStarts, tools: StepTools) -> None:
        self._run = run
        self._starts = starts
        self._tools = tools
        self._services = run.context.services
        self._process = run.context.process
        self._children: set[asyncio.Task[Any]] = set()
        self._taken: set[int] = set()  # sequences of the signals that this run has given out

    @property
    def process_id(self) -> str:
        return self._process.id

    @property
    def cancelled(self) -> bool:
        return self._run.context.cancellation.cancelled

    # Operations are plain functions that return coroutines: their place is taken where they are called, so
    # that `gather(ctx.step(a), ctx.step(b))` gives both of them places in the calling task, in that order.

    def step(
        self,
        fn: Callable[..., Any] | Tool[..., Any],
        *args: Any,
        name: str | None = None,
        effect: Effect | None = None,
        retry: Retry | int | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        step = Step.of(fn, args, kwargs, name=name, effect=effect, retry=retry, timeout=timeout)
        operation = self._run.places.take("step", step.name)
        return self._step(step, operation)

    async def _step(self, step: Step, operation: Operation) -> Any:
        prepared = step.prepared(operation.place)

        async def body() -> Any:
            with self._run.places.closed():
                return await run_step(step, prepared, self._tools, self._invocation(operation, prepared))

        result = await self._run.step(operation, prepared, body)
        if result.error is not None:
            raise LashError.from_record(result.error)
        return converted(
            result.content, step.output, code="step_result_invalid", what=f"the result of step {step.name}"
        )

    def sleep(self, seconds: float = 0, *, ms: int | None = None) -> Any:
        duration_ms = round(seconds * 1000) if ms is None else ms
        operation = self._run.places.take("sleep", f"{duration_ms}ms")
        return self._sleep(operation, lambda: self._services.clock.now_ms() + duration_ms)

    def sleep_until(self, at_ms: int) -> Any:
        operation = self._run.places.take("sleep_until", f"{at_ms}")
        return self._sleep(operation, lambda: at_ms)

    async def _sleep(self, operation: Operation, deadline: Callable[[], int]) -> None:
        key = sleep_wait_key(operation)
        await self._open(operation, key, "sleep", deadline)
        await self._run.wait(operation, [key])

    def wait(self, key: str, *, timeout: float | None = None, output: Any = None) -> Any:
        operation = self._run.places.take("wait", key)
        return self._wait(operation, key, timeout, output)

    async def _wait(self, operation: Operation, name: str, timeout: float | None, output: Any) -> Any:
        key = wait_key(self.process_id, name)
        await self._open(operation, key, "custom", None, detail={"process_id": self.process_id, "key": name})
        value = await self._within(operation, key, timeout)
        return converted(
            value, output, code="process_wait_value_invalid", what=f"what {name!r} was resolved with"
        )

    async def _within(self, operation: Operation, key: str, timeout: float | None) -> Json:
        """Return the value of a wait. Its time-out is a wait of its own: the wait itself stays open."""
        keys = [key]
        if timeout is not None:
            timer = sleep_wait_key(operation)
            await self._open(
                operation, timer, "sleep", lambda: self._services.clock.now_ms() + round(timeout * 1000)
            )
            keys.append(timer)
        found = await self._run.wait(operation, keys)
        if found.key != key:
            raise LashError(
                "process_wait_timeout",
                f"process {self.process_id!r} has waited {timeout:g} s for {operation.name!r}",
                process_id=self.process_id,
                key=operation.name,
            )
        return found.value

    def token(self, key: str) -> Any:
        return self._token(self._run.places.take("token", key), key)

    async def _token(self, operation: Operation, name: str) -> str:
        async def body() -> Json:
            return self._services.ids.new("wait")

        token = str(await self._run.value(operation, body))
        draft = self._draft(
            wait_key(self.process_id, name), "custom", detail={"process_id": self.process_id, "key": name}
        ).replace(token=token)
        # The token must be on disk before anybody has it; opening the wait again is no harm.
        await self._guarded(self._run.context.drain())
        await self._guarded(self._services.database.durable_waits.open_wait(draft))
        return token

    def signal(self, name: str, *, timeout: float | None = None) -> Any:
        return self._signal(name, timeout)

    async def _signal(self, name: str, timeout: float | None) -> Json:
        while True:
            operation = self._run.places.take("signal", name)

            async def look() -> Json:
                return await self._find_signal(name)

            found = await self._run.value(operation, look)
            assert isinstance(found, dict), "made below"
            if "payload" in found:
                self._taken.add(found["sequence"])
                return found["payload"]
            waiting = self._run.places.take("signal_wait", name)
            await self._within(waiting, signal_wait_key(self.process_id, found["after"]), timeout)

    async def _find_signal(self, name: str) -> Json:
        """Return the first signal of that name that was not given out, or after which event to look again."""
        events = await self._services.database.process_registry.events_after(self.process_id, 0)
        signals = [event for event in events if event.event_type == PROCESS_SIGNAL]
        for event in signals:
            if event.sequence not in self._taken and _named(event) == name:
                return {"sequence": event.sequence, "payload": event.payload["payload"]}
        return {"after": signals[-1].sequence if signals else 0}

    def now_ms(self) -> Any:
        async def body() -> Json:
            return self._services.clock.now_ms()

        return self._run.value(self._run.places.take("now", "ms"), body)

    def random(self) -> Any:
        async def body() -> Json:
            return int(stable_hash(self._services.ids.new("random"))[:13], 16) / 16**13

        return self._run.value(self._run.places.take("random", "float"), body)

    def uuid(self) -> Any:
        async def body() -> Json:
            digits = stable_hash(self._services.ids.new("uuid"))[:32]
            # Version 4, variant 1 (RFC 9562): the bits that say so are fixed, the others are random.
            fixed = f"{digits[:12]}4{digits[13:16]}{'89ab'[int(digits[16], 16) % 4]}{digits[17:]}"
            return "-".join((fixed[:8], fixed[8:12], fixed[12:16], fixed[16:20], fixed[20:]))

        return self._run.value(self._run.places.take("random", "uuid"), body)

    def emit_event(self, event_type: str, payload: Json = None) -> Any:
        return self._emit(self._run.places.take("event", event_type), event_type, payload)

    def progress(self, payload: Json) -> Any:
        return self.emit_event(PROCESS_PROGRESS, payload)

    def wake(self, text: str) -> Any:
        return self.emit_event(PROCESS_WAKE, {"text": text})

    async def _emit(self, operation: Operation, event_type: str, payload: Json) -> None:
        request = process_event(self.process_id, operation.place, event_type, payload)

        async def body() -> Json:
            try:
                event = await self._run.context.append_event(request)
            except LashError as problem:
                if problem.code in _EVENT_REFUSALS:
                    return {"error": msgspec.to_builtins(problem.record())}
                raise
            return {"sequence": event.sequence}

        answer = await self._run.value(operation, body, key=stable_hash([event_type, payload]))
        if isinstance(answer, dict) and "error" in answer:
            error = answer["error"]
            raise LashError(error["code"], error["message"], **error.get("facts", {}))

    def run(self, agent: Agent | str, input: str, *, output: Any = None, name: str | None = None) -> Any:
        child = self.spawn(agent, input, output=output, name=name)
        return child.result()

    def spawn(
        self, agent: Agent | str, input: str, *, output: Any = None, name: str | None = None
    ) -> FunctionChild:
        label = name or (agent if isinstance(agent, str) else agent.name)
        operation = self._run.places.take("spawn", label)
        process_id = self._child_id(operation)
        plan = self._starts.of_agent(
            process_id,
            agent,
            input,
            output=output,
            owner=self._process.provenance.owner_scope,
            caused_by=CausedByProcess(self.process_id),
            label=label,
        )
        return self._begin(operation, plan)

    def start(
        self, process: ProcessDefinition[Any] | Tool[..., Any], *args: Any, **kwargs: Any
    ) -> FunctionChild:
        operation = self._run.places.take("start", process.name)
        plan = self._starts.of_work(
            self._child_id(operation),
            process,
            args,
            kwargs,
            agent=None,
            owner=self._process.provenance.owner_scope,
            caused_by=CausedByProcess(self.process_id),
            wake_target=self._process.wake_target,
        )
        return self._begin(operation, plan)

    def _begin(self, operation: Operation, plan: StartPlan) -> FunctionChild:
        begun = asyncio.create_task(self._start(operation, plan))
        self._children.add(begun)
        begun.add_done_callback(_note_error)
        return FunctionChild(self, plan, begun)

    async def _start(self, operation: Operation, plan: StartPlan) -> None:
        registration = plan.registration
        if plan.environment is not None:
            registration = registration.replace(environment_ref=await self._guarded(plan.environment()))
        await self.commands(operation).start(registration, plan.descriptor)

    async def settle_starts(self) -> None:
        """Return once everything that was to be started is."""
        while self._children:
            begun = self._children.pop()
            await begun

    async def child_output(self, operation: Operation, process_id: str) -> ProcessAwaitOutput:
        """Return how a child ended, parking meanwhile if it takes long."""
        found = await self._run.wait(operation, [process_wait_key(process_id)])
        return _output.decode(msgspec.json.encode(found.value))

    async def say(self, process_id: str, text: str) -> None:
        """Say something to a child that is an agent, once."""
        operation = self._run.places.take("send", process_id)

        async def body() -> Json:
            await self._run.context.drain()
            await say_to_subagent(
                self._services.database, process_id, text, turn_id=stable_hash([operation.replay_key])[:32]
            )
            return None

        await self._run.value(operation, body, key=stable_hash([process_id, text]))

    def commands(self, operation: Operation) -> ProcessCommands:
        """Return the commands of one operation: the keys of its effects begin with its own."""

        async def execute(envelope: Any, executor: Any) -> Any:
            return await self._run.command(operation, envelope, executor)

        return ProcessCommands(
            self._services.database.process_registry,
            execute,
            runtime_scope=self._run.runtime_scope,
            owner=self._process.provenance.owner_scope,
            replay_key=lambda _: operation.replay_key,
            caused_by=CausedByProcess(self.process_id),
        )

    def take(self, kind: str, name: str) -> Operation:
        """Take a place for an operation of a child handle."""
        return self._run.places.take(kind, name)

    def _child_id(self, operation: Operation) -> str:
        return f"process:child:{stable_hash([self.process_id, operation.place])[:32]}"

    async def _open(
        self,
        operation: Operation,
        key: str,
        kind: WaitKind,
        deadline: Callable[[], int] | None,
        *,
        detail: Json = None,
    ) -> None:
        """Open a wait of the process, unless the operation is over; who opens it again finds it as it was."""
        if self._run.is_over(operation):
            return
        draft = self._draft(key, kind, detail=detail)
        if deadline is not None:
            draft = draft.replace(deadline_ms=deadline())
        await self._guarded(self._services.database.durable_waits.open_wait(draft))

    def _draft(self, key: str, kind: WaitKind, *, detail: Json = None) -> WaitDraft:
        return WaitDraft(
            key=key, scope_key=EffectScope.process(self.process_id).key, kind=kind, detail=detail
        )

    async def _guarded(self, work: Any) -> Any:
        return await self._run.guarded(work)

    def _invocation(self, operation: Operation, prepared: PreparedToolCall) -> ToolInvocation:
        return ToolInvocation(
            session_id=self._run.runtime_scope.session_id,
            turn_id=self.process_id,
            idempotency_key=f"lash-step:{stable_hash([operation.replay_key])}",
            cancellation=self._run.context.cancellation,
            clock=self._services.clock,
            attachments=self._services.database.attachment_store,
            process_id=self.process_id,
        )


_EVENT_REFUSALS = frozenset(
    {
        "process_event_undeclared",
        "process_event_payload_invalid",
        "process_event_selector_unmatched",
        "process_wake_target_missing",
        "json_not_representable",
    }
)


def _named(event: ProcessEvent) -> Json:
    return event.payload.get("name") if isinstance(event.payload, dict) else None


def _note_error(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # raised where the child is awaited, and when the function ends
