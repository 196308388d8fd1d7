"""The engine of processes that programs declare.

A process is loaded from the module that its starter stored, checked against what its runtime offers now, and run
until it ends or has to wait. While it waits it is data: the frame that the language writes down, with what the
process has taken of its signals and how many events it has appended. It holds no memory, no thread and no lease
then, and goes on from the frame, however much was done before. A run that was cut off goes on from its last frame
too, and what it has done since is answered from the journal.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec

from lash.agents import PROCESS_SIGNAL, PROCESS_WAKE, PROCESS_YIELD
from lash.contracts import EffectParked
from lash.errors import LashError
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.code import (
    AgentPrograms,
    Outcome,
    ProgramEffects,
    ProgramWorld,
    advance_apart,
    frame_key,
    is_frame_due,
    request_number,
)
from lash.runtime.processes.engine import ProcessParked, ProcessRun, process_event
from lash.runtime.processes.keys import signal_wait_key
from lash.runtime.processes.program_modules import ProgramLoadError, agent_of, checked_code, module_of
from lash.runtime.processes.program_requests import ProcessRequests
from lash.runtime.tool_batches import ToolBatches
from lash.runtime.tool_calls import ToolCalls
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    CausedByProcess,
    FailureClass,
    Json,
    LashlangProcessInput,
    ProcessAwaitOutput,
    ProcessRecord,
    Record,
    RuntimeScope,
)
from lashlang import (
    Code,
    Effect,
    Execution,
    Failed,
    Frame,
    LangError,
    ModuleArtifact,
    Ok,
)

_VERSION: Final = 1


class _SavedProcess(Record, frozen=True, kw_only=True):
    """A process that waits.

    Attributes:
        frame: Where it stands, as the language writes it down, authenticated.
        taken: The sequences of the signals that it has taken.
    """

    version: int = _VERSION
    frame: bytes
    taken: tuple[int, ...] = ()


class LashlangEngine:
    """Runs processes that programs declare; a `ProcessEngine`.

    Args:
        secret: What stored frames are authenticated with; empty for a mere check against damage.
    """

    def __init__(self, *, secret: bytes = b"") -> None:
        self._secret = secret

    async def run(self, process: ProcessRecord, context: ProcessRun) -> ProcessAwaitOutput:
        """Run a process from where it stands; see `ProcessEngine.run`.

        Returns:
            What it ended with. It has failed with `process_module_artifact_missing`,
            `process_module_artifact_load_failed`, `process_required_surface_mismatch`, `process_ref_mismatch`,
            `process_surface_incompatible`, `process_compile_failed` or `process_args_invalid` when it cannot be
            run at all, with `process_failed` by its own `fail`, with `process_runtime_error` by an error.

        Raises:
            ProcessParked: It waits; with its frame.
            LashError: `frame_key`, `frame_code_mismatch` and the like for a frame that does not fit.
        """
        agent = agent_of(process, context)
        programs = agent.code or AgentPrograms(agent.agent, agent.tools, requests=(ProcessRequests(),))
        assert isinstance(programs, AgentPrograms), "the one kind of code mode there is"
        try:
            module = await module_of(process, context)
            code = checked_code(process, module, programs)
            return await _ProcessProgram(
                process, context, agent, programs, module, code, self._secret
            ).finish()
        except ProgramLoadError as problem:
            return problem.end


class _ProcessProgram:
    """One run of one process."""

    def __init__(
        self,
        process: ProcessRecord,
        context: ProcessRun,
        agent: BoundAgent,
        programs: AgentPrograms,
        module: ModuleArtifact,
        code: Code,
        secret: bytes,
    ) -> None:
        self._process = process
        self._context = context
        self._programs = programs
        self._code = code
        self._key = frame_key(secret, context.scope)
        self._frame_bytes: int | None = None
        self._events = _EventRequests(process, context)
        self._program = ProgramEffects(
            _world(process, context, agent),
            programs.surface,
            effect_id=0,
            iteration=0,
            replay_key=f"process:{process.id}",
            requests=(*programs.requests, self._events),
        )
        self._program.module = module

    async def finish(self) -> ProcessAwaitOutput:
        run, arrived = await self._begun()
        unsubscribe = self._context.cancellation.subscribe(run.cancel)
        try:
            if self._context.cancellation.cancelled:
                run.cancel()
            while not run.ended:
                if run.effect is None:
                    await advance_apart(run)
                    continue
                await self._save_if_due(run)
                run.answer(await self._answer(run, arrived))
                arrived = {}
        finally:
            unsubscribe()
        return self._end_of(run)

    async def _begun(self) -> tuple[Execution, dict[int, Outcome]]:
        """Return the run where it stands, and what has arrived of what it waits for."""
        assert isinstance(self._process.input, LashlangProcessInput), "chosen by its input"
        limits, clock = self._programs.limits, self._context.services.clock.now_ms
        stored = await self._context.frame()
        if stored is not None:
            saved = msgspec.msgpack.decode(stored, type=_SavedProcess)
            self._frame_bytes = len(stored)
            self._events.taken = list(saved.taken)
            try:
                frame = Frame.from_bytes(saved.frame, self._key)
                return frame.resume(self._code, limits=limits, clock=clock), dict(frame.outcomes)
            except LangError as problem:
                raise LashError(
                    problem.code,
                    f"process {self._process.id!r}: {problem.message}",
                    process_id=self._process.id,
                ) from problem
        try:
            run = Execution(
                self._code,
                f"process:{self._process.input.process_name}",
                values=self._process.input.args,
                limits=limits,
                clock=clock,
                run_id=self._program.replay_key,
            )
        except LangError as problem:
            raise ProgramLoadError(
                "process_args_invalid", f"its arguments do not fit: {problem.message}"
            ) from problem
        return run, {}

    async def _answer(self, run: Execution, arrived: dict[int, Outcome]) -> Outcome | list[Outcome]:
        """Return the outcome of what the run asks for, waiting for it for a moment, or parking it."""
        assert run.effect is not None, "asked only when there is a request"
        while True:
            try:
                return await self._program.answer(run.effect, arrived)
            except EffectParked as parked:
                arrived = dict(self._program.arrived)
                try:
                    await self._context.wait_any(parked.wait_keys)
                except ProcessParked as waits:
                    frame = self._saved(run, arrived)
                    raise ProcessParked(waits.wait_keys, frame=frame) from None

    async def _save_if_due(self, run: Execution) -> None:
        """Write down where the run stands, when the journal behind the last frame has outgrown it."""
        program = self._program
        if program.answered and is_frame_due(
            frame_bytes=self._frame_bytes if self._frame_bytes is not None else 4096,
            tail_bytes=program.answered_bytes,
            tail_effects=program.answered,
        ):
            frame = self._saved(run, {})
            await self._context.save_frame(frame)
            self._frame_bytes, program.answered_bytes, program.answered = len(frame), 0, 0

    def _saved(self, run: Execution, arrived: dict[int, Outcome]) -> bytes:
        frame = Frame.of(run, arrived).to_bytes(self._key)
        return msgspec.msgpack.encode(_SavedProcess(frame=frame, taken=tuple(self._events.taken)))

    def _end_of(self, run: Execution) -> ProcessAwaitOutput:
        match run.state:
            case "failed":
                text = run.value if isinstance(run.value, str) else json.dumps(run.value, ensure_ascii=False)
                return AwaitFailure(
                    failure_class="execution", code="process_failed", message=text, raw=run.value
                )
            case "error":
                assert run.error is not None, "an error has its error"
                if run.error.code == "cancelled":
                    return AwaitCancelled(message=self._context.cancel_reason or "cancelled")
                return AwaitFailure(
                    failure_class=_class_of(run.error.code),
                    code="process_runtime_error",
                    message=str(run.error),
                )
            case _:
                return AwaitSuccess(value=run.value)


class _EventRequests:
    """What only a process may ask for: to say something, and to wait for a signal; a `ProgramRequests`."""

    def __init__(self, process: ProcessRecord, context: ProcessRun) -> None:
        self._process = process
        self._context = context
        self.taken: list[int] = []

    def answers(self, request: Effect) -> bool:
        """Whether this is such a request."""
        return request.kind in ("event", "wait_signal")

    async def perform(self, request: Effect, program: ProgramEffects) -> Outcome:
        """Do it; see `ProgramRequests.perform`."""
        if request.kind == "event":
            return await self._append(request)
        found = await program.record(f"signal:{request_number(request)}", lambda: self._signal(request.name))
        self.taken.append(found["sequence"])
        return Ok(found["payload"])

    async def _append(self, request: Effect) -> Outcome:
        """Append an event; the nth of the run has the same key in every run, so it is appended once."""
        event_type = PROCESS_WAKE if request.name == "wake" else PROCESS_YIELD
        payload = {"value": request.payload, "text": _text_of(request.payload)}
        try:
            await self._context.append_event(
                process_event(self._process.id, request_number(request), event_type, payload)
            )
        except LashError as problem:
            if problem.retryable or problem.code == "process_lease_lost":
                raise
            return Failed(problem.message)
        return Ok()

    async def _signal(self, name: str) -> Json:
        """Return the first signal of a name ("" for any) that was not taken yet."""
        events = await self._context.services.database.process_registry.events_after(self._process.id, 0)
        signals = [event for event in events if event.event_type == PROCESS_SIGNAL]
        for event in signals:
            sent = event.payload if isinstance(event.payload, dict) else {}
            if event.sequence not in self.taken and name in ("", sent.get("name", "")):
                return {"sequence": event.sequence, "payload": sent.get("payload")}
        after = signals[-1].sequence if signals else 0
        raise EffectParked((signal_wait_key(self._process.id, after),))


def _world(process: ProcessRecord, context: ProcessRun, agent: BoundAgent) -> ProgramWorld:
    services, session_id = context.services, process.provenance.owner_scope.session_id
    attachments = SessionAttachments(
        session_id,
        manifest=services.database.runtime_persistence(session_id),
        store=services.database.attachment_store,
        clock=services.clock,
    )
    # Calls of a process are those of a turn in the name of the process: same pipeline, same approvals.
    calls = ToolCalls(
        services,
        agent,
        TurnActivities(services.bus, session_id, process.id),
        attachments,
        session_id=session_id,
        turn_id=process.id,
        context=None,
    )
    context.cancellation.subscribe(calls.cancellation.cancel)
    return ProgramWorld(
        services=services,
        effect_scope=context.scope,
        runtime_scope=RuntimeScope(session_id=session_id),
        owner=process.provenance.owner_scope,
        host_profile=process.provenance.host_profile_id,
        caused_by=CausedByProcess(process.id),
        tools=ToolBatches(calls),
        attachments=attachments,
        execute=context.effects.execute_effect,
        recorded=frozenset(),
        replayed=frozenset(),
        drain=context.drain,
        stop_requested=lambda: False,
    )


def _text_of(value: Json) -> str:
    match value:
        case str():
            return value
        case {"text": str(text)}:
            return text
        case _:
            return json.dumps(value, ensure_ascii=False)


def _class_of(code: str) -> FailureClass:
    exhausted = (
        "fuel_exhausted",
        "memory_exhausted",
        "time_exhausted",
        "value_too_large",
        "call_depth_exceeded",
    )
    return "resource_limit" if code in exhausted else "execution"
