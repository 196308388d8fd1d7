"""Programs and processes: what `start`, `await`, `cancel` and `signal` do.

Commands go through the service that all of lash uses (`ProcessCommands`), as effects of the program: a program
that is run again starts, cancels and signals nothing twice. The id of a process follows from where in its program
it was started.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final, assert_never

import msgspec

from lash.agents import WORK_EVENT_TYPES
from lash.contracts import EffectParked
from lash.errors import LashError
from lash.runtime.code import Outcome, ProgramEffects, request_number
from lash.runtime.processes.awaiting import first_output
from lash.runtime.processes.commands import ProcessCommands
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    Json,
    LashlangProcessInput,
    ProcessAwaitOutput,
    ProcessHandleDescriptor,
    ProcessProvenance,
    ProcessRegistration,
    RecoveryDisposition,
    plain,
    process_wait_key,
    stable_hash,
)
from lashlang import Effect, Failed, Ok

# What ends this soon is waited for here: giving work back and taking it up again costs more.
_GRACE_S: Final = 0.2
_KINDS: Final = frozenset({"start", "await", "cancel", "signal_run"})


class ProcessRequests:
    """Starts, awaits, cancels and signals processes for programs; a `ProgramRequests`."""

    def answers(self, request: Effect) -> bool:
        """Whether this is a request about processes."""
        return request.kind in _KINDS

    async def perform(self, request: Effect, program: ProgramEffects) -> Outcome:
        """Do it; see `ProgramRequests.perform`."""
        try:
            match request.kind:
                case "start":
                    return Ok(await self._start(request, program))
                case "await":
                    return await self._await(request, program)
                case "cancel":
                    await _commands(program).cancel(handle_id(request.payload), "a program has cancelled it")
                    return Ok()
                case _:
                    return await self._signal(request, program)
        except LashError as problem:
            if problem.retryable or problem.code not in _TOLD:
                raise
            return Failed(f"{problem.message} ({problem.code})")

    async def _start(self, request: Effect, program: ProgramEffects) -> Json:
        module, world = program.module, program.world
        assert module is not None, "a program that starts a process declares it"
        reference = module.exports.processes[request.name]
        process_id = f"process:{stable_hash([program.replay_key, request_number(request)])[:32]}"
        registration = ProcessRegistration(
            id=process_id,
            input=LashlangProcessInput(
                module_ref=module.module_ref,
                process_ref={"component": reference.component, "pos": reference.pos},
                required_surface_ref=module.required_surface_ref,
                process_name=request.name,
                args=dict(request.payload or {}),
            ),
            provenance=ProcessProvenance(
                owner_scope=world.owner, host_profile_id=world.host_profile, caused_by=world.caused_by
            ),
            recovery=RecoveryDisposition.RERUNNABLE,
            wake_target=world.owner,
        ).with_extra_event_types(WORK_EVENT_TYPES)
        descriptor = ProcessHandleDescriptor(kind="program", label=request.name)
        await _commands(program).start(registration, descriptor)
        return {"__handle__": "process", "id": process_id, "name": request.name}

    async def _await(self, request: Effect, program: ProgramEffects) -> Outcome:
        process_id = handle_id(request.payload)
        database = program.world.services.database

        async def body() -> Json:
            await _commands(program).check_visible(process_id)
            try:
                async with asyncio.timeout(_GRACE_S):
                    return plain(await first_output(database, process_id))
            except TimeoutError:
                raise EffectParked((process_wait_key(process_id),)) from None

        ended = await program.record(f"await:{request_number(request)}", body)
        return _outcome(msgspec.convert(ended, ProcessAwaitOutput))

    async def _signal(self, request: Effect, program: ProgramEffects) -> Outcome:
        process_id = handle_id(request.payload["run"])
        signal_id = stable_hash([program.replay_key, request_number(request)])[:32]
        payload = request.payload["payload"]
        await _commands(program).signal(process_id, request.name, payload, signal_id=signal_id)
        return Ok()


_TOLD: Final = frozenset(
    {
        "process_handle_not_granted", "process_unknown", "process_no_longer_retained", "process_event_undeclared",
        "process_already_terminal", "process_handle_invalid", "process_registration_invalid",
    }
)  # fmt: skip


def handle_id(handle: Json) -> str:
    """Return the id of the process that a handle stands for.

    Raises:
        LashError: `process_handle_invalid` for what is no handle of a process.
    """
    match handle:
        case {"__handle__": _, "id": str(process_id)}:
            return process_id
        case str():
            return handle
        case _:
            raise LashError("process_handle_invalid", f"{json.dumps(handle)[:80]} is no handle of a process")


def _outcome(output: ProcessAwaitOutput) -> Outcome:
    """Return the end of a process as who awaits it gets it."""
    match output:
        case AwaitSuccess(value=value):
            return Ok(value)
        case AwaitFailure(message=message, raw=raw):
            return Failed(message if raw is None else json.dumps(raw, ensure_ascii=False))
        case AwaitCancelled(message=message):
            return Failed(f"the process was cancelled: {message}")
        case _:
            assert_never(output)


def _commands(program: ProgramEffects) -> ProcessCommands:
    world = program.world
    return ProcessCommands(
        world.services.database.process_registry,
        world.execute,
        runtime_scope=world.runtime_scope,
        owner=world.owner,
        replay_key=lambda command_id: f"{program.replay_key}:{command_id}",
        caused_by=world.caused_by,
    )
