"""Commands to processes as effects: start, list, await, cancel, signal, transfer (contract 1.7).

One service for turns, programs and durable functions: each hands in how its effects are run and under which keys.
A command that was recorded is not done again, and a start that was cut off before it was recorded is the same
start: ids of processes are given by the caller and follow from where it stands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from lash.contracts import ProcessRegistry, RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.values import (
    PROCESS_SIGNAL,
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    CancelProcess,
    CausalRef,
    Json,
    ListProcesses,
    ProcessAwaitOutput,
    ProcessCommand,
    ProcessEffectOutcome,
    ProcessEntriesOutcome,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventOutcome,
    ProcessExecutionContext,
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessOp,
    ProcessOutcome,
    ProcessRecord,
    ProcessRecordOutcome,
    ProcessRegistration,
    ProcessScope,
    ProcessStartGrant,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    SignalProcess,
    StartProcess,
    TransferProcesses,
    process_command_id,
)

ExecuteEffect = Callable[[RuntimeEffectEnvelope, RuntimeEffectLocalExecutor], Awaitable[RuntimeEffectOutcome]]


class ProcessCommands:
    """Commands in the name of one scope.

    Args:
        registry: Where processes are.
        execute: Runs or replays one effect.
        runtime_scope: The coordinates of whoever commands.
        owner: Who sees what is started, and whose visibility is asked.
        replay_key: Makes the key of a command from its id (`process_command_id`).
        caused_by: What the commands come from.
    """

    def __init__(
        self,
        registry: ProcessRegistry,
        execute: ExecuteEffect,
        *,
        runtime_scope: RuntimeScope,
        owner: ProcessScope,
        replay_key: Callable[[str], str],
        caused_by: CausalRef | None = None,
    ) -> None:
        self._registry = registry
        self._execute = execute
        self._runtime_scope = runtime_scope
        self._replay_key = replay_key
        self._caused_by = caused_by
        self.owner = owner

    async def start(
        self, registration: ProcessRegistration, descriptor: ProcessHandleDescriptor | None = None
    ) -> ProcessRecord:
        """Register a process and let the owner see it; a worker does the rest.

        Raises:
            LashError: see `ProcessRegistry.register_process`.
        """
        grant = ProcessStartGrant(owner_scope=self.owner, descriptor=descriptor or ProcessHandleDescriptor())
        result = await self._perform(
            StartProcess(
                registration=registration,
                grant=grant,
                execution_context=ProcessExecutionContext(wake_target_scope=registration.wake_target),
            )
        )
        assert isinstance(result, ProcessRecordOutcome), "a start answers with the record"
        return result.record

    async def list(
        self, *, include_finished: bool = False
    ) -> tuple[tuple[ProcessHandleGrant, ProcessRecord], ...]:
        """Return what the owner may see."""
        result = await self._perform(
            ListProcesses(owner_scope=self.owner, mode="all" if include_finished else "live")
        )
        assert isinstance(result, ProcessEntriesOutcome), "a list answers with entries"
        return result.entries

    async def cancel(self, process_id: str, reason: str | None = None) -> ProcessRecord:
        """Ask a process to stop. One that is over stays as it is.

        Raises:
            LashError: `process_handle_not_granted`; `process_unknown`.
        """
        await self.check_visible(process_id)
        result = await self._perform(CancelProcess(process_id=process_id, reason=reason))
        assert isinstance(result, ProcessRecordOutcome), "a cancel answers with the record"
        return result.record

    async def signal(
        self, process_id: str, name: str, payload: Json = None, *, signal_id: str
    ) -> ProcessEvent:
        """Send a process a signal; the same id again is the same signal.

        Raises:
            LashError: `process_handle_not_granted`; `process_unknown`; `process_event_undeclared` for a
                process that takes no signals.
        """
        await self.check_visible(process_id)
        request = signal_request(process_id, name, payload, signal_id=signal_id)
        result = await self._perform(
            SignalProcess(process_id=process_id, signal_id=signal_id, request=request)
        )
        assert isinstance(result, ProcessEventOutcome), "a signal answers with its event"
        return result.event

    async def transfer(self, process_ids: Sequence[str], to_scope: ProcessScope) -> None:
        """Move what the owner sees to another scope, all or nothing.

        Raises:
            LashError: `process_handle_not_granted`.
        """
        await self._perform(
            TransferProcesses(from_scope=self.owner, to_scope=to_scope, process_ids=tuple(process_ids))
        )

    async def check_visible(self, process_id: str) -> None:
        """Refuse what the owner may not see.

        Raises:
            LashError: `process_handle_not_granted`.
        """
        if not await self._registry.has_handle_grant(self.owner, process_id):
            raise LashError(
                "process_handle_not_granted",
                f"process {process_id!r} is not visible to {self.owner.id}; use a process that it has started or "
                "was given",
                process_id=process_id,
                scope_id=self.owner.id,
            )

    async def _perform(self, command: ProcessCommand) -> ProcessEffectOutcome:
        command_id = process_command_id(command)
        envelope = RuntimeEffectEnvelope(
            RuntimeInvocation.effect(
                self._runtime_scope,
                command_id,
                RuntimeEffectKind.PROCESS,
                self._replay_key(command_id),
                self._caused_by,
            ),
            ProcessOp(command),
        )
        executor = RuntimeEffectLocalExecutor.process_control(self._registry)
        outcome = await self._execute(envelope, executor)
        assert isinstance(outcome, ProcessOutcome), "a process command answers with its outcome"
        return outcome.result


def signal_request(process_id: str, name: str, payload: Json, *, signal_id: str) -> ProcessEventAppendRequest:
    """Return the append that sends a signal (contract 4)."""
    return ProcessEventAppendRequest(
        event_type=PROCESS_SIGNAL,
        payload={"name": name, "payload": payload},
        replay_key=f"process:{process_id}:signal:{signal_id}",
    )


def value_of(process_id: str, output: ProcessAwaitOutput) -> Json:
    """Return the value of an output, or raise what it says.

    Raises:
        LashError: the code of the failure; `process_cancelled`.
    """
    match output:
        case AwaitSuccess(value=value):
            return value
        case AwaitFailure(code=code, message=message, failure_class=failure_class, raw=raw):
            raise LashError(code, message, process_id=process_id, failure_class=failure_class, raw=raw)
        case AwaitCancelled(message=message):
            raise LashError("process_cancelled", message, process_id=process_id)
