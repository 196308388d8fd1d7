"""Runs the programs of one turn.

Theory of operation. A program is deterministic: its text, the variables before it, the bindings and the answers
to its requests decide everything. So a turn that is driven again simply runs its programs again, and their
requests are answered from the journal; nothing is recorded for a program as such. Two things bend the rule:

- A program that ended for a reason that another run would not repeat (its time was up) has its end recorded, so
  that the next run ends it alike.
- A program that waits is suspended as data (`saved_programs`), and what the turn's programs gave before it is
  kept with it. The next driver starts there, however much was done before.

Computing happens on a thread where a program may compute for long; the event loop stays free, and a cancelled
turn stops its program within a slice of fuel.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from lash.contracts import EffectParked
from lash.errors import LashError
from lash.runtime.code.bound_values import BoundValues
from lash.runtime.code.computing import StopsWith, advance_apart, not_yet
from lash.runtime.code.effects_of_programs import (
    EndedByTool,
    ProgramEffects,
    ProgramRequests,
    ProgramStopped,
)
from lash.runtime.code.execution_state import decode_variables, encode_variables
from lash.runtime.code.outputs import outputs_of
from lash.runtime.code.program_world import turn_world
from lash.runtime.code.saved_programs import (
    FinishedProgram,
    SavedProgram,
    frame_effect_id,
    frame_key,
    is_frame_due,
    latest_saved,
)
from lash.runtime.code.session_history import SessionHistory
from lash.runtime.code.surface import CodeSurface
from lash.runtime.code.turn_journal import last_recorded, own_journal
from lash.runtime.code.variables import variable_lines
from lash.runtime.code_turns import CodeTurn
from lash.turn import CodeProtocol, CodeRules, RunCode, Submitted
from lash.turn import EndedByTool as EndedByToolRecord
from lash.values import (
    ConversationRecord,
    EffectScope,
    ExecFailure,
    ExecResponse,
    Json,
    ProgramEnded,
    RuntimeScope,
    ToolCallRecord,
    plain,
)
from lashlang import (
    Code,
    Execution,
    Failed,
    Frame,
    LangError,
    Limits,
    ModuleArtifact,
    Ok,
    check,
    compile_program,
    parse,
)

_UNREPEATABLE = frozenset({"time_exhausted", "internal_error"})
_STOPPED = "The program was stopped: the turn was cancelled."
_LONG_SOURCE = 10_000  # characters beyond which a program is compiled on a thread


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRules:
    """The bounds of one program."""

    limits: Limits
    rules: CodeRules


class TurnPrograms:
    """The programs of one turn; a `CodeRunner`.

    Args:
        turn: The turn.
        surface: What programs may name.
        rules: Their bounds.
        bound: The turn's read-only bindings.
        history: The session so far.
        requests: Who does what is neither a tool call nor a sleep.
        secret: What stored frames are authenticated with.

    Raises:
        LashError: `frame_key`, `frame_version` for a stored program that is not to be trusted;
            `execution_state_unreadable`.
    """

    def __init__(
        self,
        turn: CodeTurn,
        surface: CodeSurface,
        rules: ProgramRules,
        bound: BoundValues,
        history: SessionHistory,
        *,
        requests: Sequence[ProgramRequests] = (),
        secret: bytes = b"",
    ) -> None:
        self._turn = turn
        self._surface = surface
        self._rules = rules
        self._bound = bound
        self._history = history
        self._requests = requests
        scope = EffectScope.turn(turn.claimed.lease.session_id, turn.claimed.turn_id)
        self._key = frame_key(secret, scope)
        self._stored = turn.resident.execution_state
        self._variables = decode_variables(self._stored) | turn.resident.seed_variables
        self._opening = variable_lines(self._variables)
        journal = own_journal(turn)
        saved = latest_saved(journal, self._key)
        self._saved: SavedProgram | None = None if saved is None else saved[0]
        self._frame_bytes: int | None = None if saved is None else saved[1]
        self._finished: dict[int, ExecResponse] = {}
        if self._saved is not None:
            self._finished = {one.effect_id: one.response for one in self._saved.finished}
            turn.tools.calls.stored.update(self._saved.attachments)
        self._arrived: dict[int, Ok | Failed] = {}
        self._running: ProgramEffects | None = None
        self._last_recorded = last_recorded(turn, journal)

    def protocol(self) -> CodeProtocol:
        """Return the protocol that the turn runs by."""
        return CodeProtocol(
            self._rules.rules,
            variables=(*self._bound.lines(), *self._opening),
            history_length=self._history.committed_length,
        )

    def note(self, records: Iterable[ConversationRecord]) -> None:
        """Take notice of what the turn has added to the conversation."""
        self._history.note(records)

    def execution_state(self) -> bytes | None:
        """Return the variables for the turn's commit; None when they are as they were."""
        body = encode_variables(self._variables)
        return None if body == (self._stored or encode_variables({})) else body

    def interrupt(self) -> None:
        """End what the running program waits for."""
        if self._running is not None:
            self._running.interrupt()

    async def run(self, effect: RunCode, scope: RuntimeScope, replay_key: str) -> ExecResponse | ExecFailure:
        """Run a program, or go on with it; see `CodeRunner.run`."""
        if effect.effect_id in self._finished:
            return self._finished[effect.effect_id]
        program = ProgramEffects(
            turn_world(self._turn, scope, effect),
            self._surface,
            effect_id=effect.effect_id,
            iteration=effect.iteration,
            replay_key=replay_key,
            requests=self._requests,
        )
        self._running = program
        try:
            if program.is_recorded("end"):
                response = await self._recorded_end(program)
            else:
                response = await self._run(effect, program)
        finally:
            self._running = None
        self._finished[effect.effect_id] = response
        ended = ProgramEnded(output=tuple(map(str, response.observations)), error=response.error)
        self._turn.activities.emit(ended, f"code:{effect.iteration}")
        return response

    # --- one program

    async def _run(self, effect: RunCode, program: ProgramEffects) -> ExecResponse:
        try:
            code = await self._compiled(effect.code)
        except LangError as problem:
            if self._saved is not None and self._saved.effect_id == effect.effect_id:
                raise _changed(effect, problem) from problem
            return ExecResponse(error=str(problem))
        try:
            run, printed = await self._begun(effect, code, program)
        except LangError as problem:
            return ExecResponse(error=str(problem))
        except LashError as problem:
            if problem.code != "binding_unavailable":
                raise
            return ExecResponse(error=str(problem))
        try:
            await self._drive(run, program)
        except EffectParked:
            await self._suspend(effect, run, printed, program)
            raise
        except ProgramStopped:
            # What it did stays in the history: whoever goes on must know of the calls that it made.
            response = await self._response(program, run, printed, end=None)
            return response.replace(error=_STOPPED)
        except EndedByTool as ending:
            return await self._response(program, run, printed, end=EndedByToolRecord(ending.result))
        return await self._ended(run, printed, program)

    async def _compiled(self, source: str) -> Code:
        names = self._bound.names
        if len(source) > _LONG_SOURCE:
            return await asyncio.to_thread(compile_program, source, self._surface.host, projected=names)
        return compile_program(source, self._surface.host, projected=names)

    async def _begun(
        self, effect: RunCode, code: Code, program: ProgramEffects
    ) -> tuple[Execution, tuple[Json, ...]]:
        """Return the run of a program where it stands, and what it printed before it was suspended."""
        if code.processes:
            # Background runs outlive this turn: they are started from the stored module.
            program.module = ModuleArtifact.from_program(check(parse(effect.code), self._surface.host))
            await self._turn.services.database.artifact_store.put_module_artifact(program.module)
        named = set(code.entry("main").body.variables)
        projected, values_of = await self._bound.resolved(named & self._bound.names, program)
        saved = self._saved
        if saved is None or saved.effect_id != effect.effect_id:
            values = {name: value for name, value in self._variables.items() if name not in self._bound.names}
            run = Execution(
                code,
                values=values,
                projected=projected,
                resolver=values_of.resolve,
                limits=self._rules.limits,
                clock=self._clock(effect),
                run_id=program.replay_key,
            )
            return run, ()
        if saved.code_ref != code.code_ref:
            raise _changed(effect, None)
        try:
            frame = Frame.from_bytes(saved.frame, self._key)
            run = frame.resume(
                code,
                limits=self._rules.limits,
                clock=self._clock(effect),
                projected=projected,
                resolver=values_of.resolve,
            )
        except LangError as problem:
            raise LashError(
                problem.code, f"turn {self._turn.claimed.turn_id!r}: {problem.message}"
            ) from problem
        program.calls = list(msgspec.convert(saved.calls, tuple[ToolCallRecord, ...]))
        self._arrived = dict(frame.outcomes)
        return run, saved.printed

    async def _drive(self, run: Execution, program: ProgramEffects) -> None:
        """Drive a run to its end.

        Raises:
            EffectParked: It waits. EndedByTool: A call ended the turn. ProgramStopped: The turn is to end.
        """
        body = run.compiled.body
        # Reading a binding may wait for the event loop, so it must not happen on it.
        apart = bool(body.loops or body.calls_fn or self._bound.names & set(body.variables))
        arrived, self._arrived = self._arrived, {}
        with StopsWith(self._turn, run, heed=program.effect_id >= self._last_recorded):
            while not run.ended:
                if run.effect is not None:
                    run.answer(await program.answer(run.effect, arrived))
                    arrived = {}
                elif apart:
                    await advance_apart(run)
                else:
                    run.advance(not_yet)
        if run.error is not None and run.error.code == "cancelled":
            raise ProgramStopped

    async def _ended(
        self, run: Execution, printed: tuple[Json, ...], program: ProgramEffects
    ) -> ExecResponse:
        end = Submitted(run.value) if run.state == "finished" else None
        before = self._variables
        response = await self._response(program, run, printed, end=end)
        try:
            body = encode_variables(self._variables)
        except LangError as problem:
            self._variables = before
            return response.replace(error=str(problem), terminal_finish=None, variables=None)
        if run.error is None or run.error.code not in _UNREPEATABLE:
            return response

        async def end_of_this_run() -> Json:
            return {"response": plain(response), "variables": base64.b64encode(body).decode("ascii")}

        await program.record("end", end_of_this_run)
        return response

    async def _recorded_end(self, program: ProgramEffects) -> ExecResponse:
        async def missing() -> Json:
            raise AssertionError("the end is recorded")

        end = await program.record("end", missing)
        self._variables = decode_variables(base64.b64decode(end["variables"]))
        return msgspec.convert(end["response"], ExecResponse)

    async def _response(
        self,
        program: ProgramEffects,
        run: Execution,
        printed: tuple[Json, ...],
        *,
        end: Submitted | EndedByToolRecord | None,
    ) -> ExecResponse:
        """Return what a run has given, and keep the variables that it leaves."""
        self._variables, lost = run.variables()
        left_out = [f"[too large to be kept: {', '.join(lost)}]"] if lost else []
        outputs = await outputs_of([*printed, *run.printed, *left_out], self._turn.attachments)
        self._turn.tools.calls.stored.update(ref.id for ref in outputs.kept)
        error = run.error if run.state == "error" else None
        failed = f"the program failed with: {run.value}" if run.state == "failed" else None
        return ExecResponse(
            observations=outputs.shown,
            observation_truncation=outputs.cut,
            printed_images=outputs.images,
            tool_calls=tuple(plain(call) for call in program.calls),
            error=str(error) if error is not None else failed,
            terminal_finish=None if end is None else plain(end),
            variables=(*self._bound.lines(), *variable_lines(self._variables)),
        )

    # --- suspension

    async def _suspend(
        self, effect: RunCode, run: Execution, printed: tuple[Json, ...], program: ProgramEffects
    ) -> None:
        """Write the waiting program down, when the journal behind the last frame has outgrown it."""
        if not is_frame_due(
            frame_bytes=self._frame_bytes,
            tail_bytes=program.answered_bytes,
            tail_effects=program.answered,
        ):
            return
        saved = SavedProgram(
            effect_id=effect.effect_id,
            code_ref=run.code.code_ref,
            frame=Frame.of(run, program.arrived).to_bytes(self._key),
            printed=(*printed, *run.printed),
            calls=tuple(plain(call) for call in program.calls),
            attachments=tuple(sorted(self._turn.tools.calls.stored)),
            finished=tuple(
                FinishedProgram(effect_id=number, response=response)
                for number, response in self._finished.items()
            ),
        )

        async def text() -> Json:
            return saved.to_text(self._key)

        name = f"frame:{run.ordinal}"
        await program.record(name, text, effect_id=frame_effect_id(effect.effect_id, run.ordinal))

    def _clock(self, effect: RunCode) -> Callable[[], int] | None:
        """Return what measures computing time; None for a program that is known to have ended in time."""
        if effect.effect_id < self._last_recorded:
            return None
        return self._turn.services.clock.now_ms


def _changed(effect: RunCode, problem: LangError | None) -> LashError:
    why = f": {problem.message}" if problem is not None else ""
    return LashError(
        "frame_code_mismatch",
        f"the program of effect {effect.effect_id} is not the one that was suspended{why}. Its tools have "
        "changed: give the agent back those that it had, or cancel the turn",
        effect_id=effect.effect_id,
    )
