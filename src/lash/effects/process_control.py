"""Process commands, run against a registry (contract 2.B, "process commands")."""

from __future__ import annotations

from lash.contracts import ProcessRegistry, RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.values import (
    AwaitProcess,
    CancelProcess,
    DeleteSessionProcesses,
    ListProcesses,
    ProcessAwaitedOutcome,
    ProcessCommand,
    ProcessEffectOutcome,
    ProcessEntriesOutcome,
    ProcessEventAppendRequest,
    ProcessEventOutcome,
    ProcessOp,
    ProcessOutcome,
    ProcessRecord,
    ProcessRecordOutcome,
    ProcessSessionDeletedOutcome,
    ProcessTransferredOutcome,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
    SignalProcess,
    StartProcess,
    TransferProcesses,
)


async def run_locally(
    envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
) -> RuntimeEffectOutcome:
    """Run an effect with what the caller gave: process commands against its registry, the rest in its body.

    Raises:
        LashError: `runtime_effect_local_executor_unavailable` when the executor has nothing to run it
            with; `runtime_effect_local_executor_mismatch` when it is for process commands only.
    """
    command = envelope.command
    if not isinstance(command, ProcessOp):
        if local_executor.registry is not None and not local_executor.is_available:
            raise LashError(
                "runtime_effect_local_executor_mismatch",
                f"effect {envelope.effect_id!r} is a {envelope.kind.value}; the executor runs process commands",
                effect_id=envelope.effect_id,
            )
        return await local_executor.execute(envelope)
    registry = local_executor.registry
    if registry is None:
        raise LashError(
            "runtime_effect_local_executor_unavailable",
            f"effect {envelope.effect_id!r} is a process command and needs a process-control executor",
            effect_id=envelope.effect_id,
        )
    return ProcessOutcome(result=await _perform(registry, command.command))


async def _perform(registry: ProcessRegistry, command: ProcessCommand) -> ProcessEffectOutcome:
    match command:
        case StartProcess(registration=registration, grant=grant):
            grants = () if grant is None else (grant,)
            return ProcessRecordOutcome(record=await registry.register_process(registration, grants=grants))
        case ListProcesses(owner_scope=scope, mode=mode):
            listing = registry.list_live_handle_grants if mode == "live" else registry.list_handle_grants
            return ProcessEntriesOutcome(entries=tuple(await listing(scope)))
        case TransferProcesses(from_scope=source, to_scope=target, process_ids=ids):
            await registry.transfer_handle_grants(source, target, ids)
            return ProcessTransferredOutcome()
        case DeleteSessionProcesses(session_id=session_id):
            report = await registry.delete_session_process_state(session_id)
            for process_id in report.cancel_process_ids:
                request = ProcessEventAppendRequest.cancel_requested(process_id, "session deleted")
                await registry.append_event(process_id, request)
            return ProcessSessionDeletedOutcome(report=report)
        case AwaitProcess(process_id=process_id):
            return ProcessAwaitedOutcome(output=await registry.await_process(process_id))
        case CancelProcess(process_id=process_id, reason=reason):
            request = ProcessEventAppendRequest.cancel_requested(process_id, reason)
            await registry.append_event(process_id, request)
            return ProcessRecordOutcome(record=await _existing(registry, process_id))
        case SignalProcess(process_id=process_id, request=request):
            return ProcessEventOutcome(event=(await registry.append_event(process_id, request)).event)


async def _existing(registry: ProcessRegistry, process_id: str) -> ProcessRecord:
    record = await registry.get_process(process_id)
    if record is None:
        raise LashError("process_unknown", f"there is no process {process_id!r}", process_id=process_id)
    return record
