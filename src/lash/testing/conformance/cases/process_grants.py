"""Handle grants: who may see a process (contracts 2.C.3 to 2.C.7)."""

from __future__ import annotations

from lash.contracts import ProcessRegistry
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect_equal, expect_only, refused
from lash.testing.conformance.samples.processes import (
    DESCRIPTOR,
    appends,
    grants,
    process,
    registration,
    sequences,
    success,
    wake_type,
)
from lash.testing.conformance.trial import Trial
from lash.values import ProcessHandleDescriptor, ProcessScope

S1, S2, S3 = ProcessScope("s1"), ProcessScope("s2"), ProcessScope("s3")
WORKER = ProcessHandleDescriptor(kind="worker", label="demo")


async def _granted(registry: ProcessRegistry, scope: ProcessScope, *process_ids: str) -> None:
    for process_id in process_ids:
        await registry.register_process(registration(process_id))
        await registry.grant_handle(scope, process_id, DESCRIPTOR)


async def _sessions(registry: ProcessRegistry, process_id: str) -> list[str]:
    return [grant.session_id for grant in await registry.handle_grants_for_process(process_id)]


@case(Contract.PROCESS_REGISTRY, seed=True)
async def transfer_handle_grants_moves_addressability(trial: Trial[ProcessRegistry]) -> None:
    """A transferred grant leaves its source and is at its target; no event tells of it."""
    registry = trial.subject
    await _granted(registry, S1, "proc-3")
    await registry.transfer_handle_grants(S1, S2, ["proc-3"])
    expect_equal(await grants(registry, S1), [], "the source's grants")
    expect_equal(await grants(registry, S2), ["proc-3"], "the target's grants")
    expect_equal(await sequences(registry, "proc-3"), [], "the events")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def multiple_sessions_can_hold_grants(trial: Trial[ProcessRegistry]) -> None:
    """Grants of one process are listed by session, whenever they were given."""
    registry = trial.subject
    await _granted(registry, S1, "proc-5")
    await registry.grant_handle(S2, "proc-5", WORKER)
    expect_equal(await _sessions(registry, "proc-5"), ["s1", "s2"], "the sessions")
    await registry.transfer_handle_grants(S1, S3, ["proc-5"])
    expect_equal(await _sessions(registry, "proc-5"), ["s2", "s3"], "the sessions after a transfer")
    expect_equal(await sequences(registry, "proc-5"), [], "the events")


@case(Contract.PROCESS_REGISTRY)
async def grants_are_ordered_by_session(trial: Trial[ProcessRegistry]) -> None:
    """Not by when they were given: by session id, then by scope."""
    registry = trial.subject
    await registry.register_process(registration("p1"))
    scopes = [S3, ProcessScope("s1", "b"), S1, ProcessScope("s1", "a"), S2]
    for scope in scopes:
        await registry.grant_handle(scope, "p1", DESCRIPTOR)
    listed = [grant.scope_id for grant in await registry.handle_grants_for_process("p1")]
    wanted = ["session:s1", "session:s1/frame:a", "session:s1/frame:b", "session:s2", "session:s3"]
    expect_equal(listed, wanted, "the scopes in order")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def processes_can_exist_with_zero_grants(trial: Trial[ProcessRegistry]) -> None:
    """Registering grants nothing to anybody."""
    await trial.subject.register_process(registration("proc-4"))
    expect_equal(await grants(trial.subject, S1), [], "the grants")
    expect_equal(await grants(trial.subject, ProcessScope("root")), [], "the owner's grants")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def delete_session_revokes_handles_by_session(trial: Trial[ProcessRegistry]) -> None:
    """The session's grants go; the report tells what that leaves alone, and nothing is cancelled."""
    registry, deleted, remaining = trial.subject, ProcessScope("deleted"), ProcessScope("remaining")
    for process_id in ("sole", "shared", "terminal"):
        await registry.register_process(registration(process_id, wake_type("producer.wake")))
        await registry.grant_handle(deleted, process_id, DESCRIPTOR)
    await registry.grant_handle(remaining, "shared", DESCRIPTOR)
    await registry.complete_process("terminal", success())
    await registry.append_event(
        "sole", appends("producer.wake", {"wake_input": "wake deleted"}, wakes=deleted)
    )
    report = await registry.delete_session_process_state("deleted")
    expect_equal(report.revoked_handle_count, 3, "the grants revoked")
    expect_equal(report.deleted_wake_count, 0, "the wakes deleted")
    expect_equal(tuple(report.cancel_process_ids), ("sole",), "what nobody sees any more")
    expect_equal(tuple(report.preserved_process_ids), ("shared",), "what another session still sees")
    expect_equal(await grants(registry, deleted), [], "the deleted session's grants")
    expect_equal(await grants(registry, remaining), ["shared"], "the other session's grants")


@case(Contract.PROCESS_REGISTRY)
async def deleting_a_session_cancels_nothing_and_covers_its_frames(trial: Trial[ProcessRegistry]) -> None:
    """Grants of every frame go, events and processes stay, and a second call finds nothing."""
    registry = trial.subject
    await _granted(registry, ProcessScope("s1", "f1"), "p1")
    await _granted(registry, ProcessScope("s1/frame:f1"), "p2")
    report = await registry.delete_session_process_state("s1")
    shown = (report.revoked_handle_count, tuple(report.cancel_process_ids))
    expect_equal(shown, (1, ("p1",)), "the report")
    expect_equal((await process(registry, "p1")).is_terminal, False, "the process goes on")
    expect_equal(await grants(registry, ProcessScope("s1/frame:f1")), ["p2"], "the other session's grants")
    again = await registry.delete_session_process_state("s1")
    shown = (again.revoked_handle_count, tuple(again.cancel_process_ids))
    expect_equal(shown, (0, ()), "the second report")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def list_live_handle_grants_excludes_terminal_history(trial: Trial[ProcessRegistry]) -> None:
    """The live list has what is not over; the full list has all, by process id."""
    registry, scope = trial.subject, ProcessScope("history-owner")
    await _granted(registry, scope, "proc-live-grant", "proc-done-grant")
    await registry.complete_process("proc-done-grant", success())
    live = [grant.process_id for grant, _ in await registry.list_live_handle_grants(scope)]
    expect_equal(live, ["proc-live-grant"], "the live grants")
    expect_equal(await grants(registry, scope), ["proc-done-grant", "proc-live-grant"], "all grants")


@case(Contract.PROCESS_REGISTRY, rule="R-10")
async def frames_are_scopes_of_their_own(trial: Trial[ProcessRegistry]) -> None:
    """A session, its frame, and a session that is called like both share no grants."""
    registry = trial.subject
    scopes = [ProcessScope("s"), ProcessScope("s", "f"), ProcessScope("s/frame:f")]
    for index, scope in enumerate(scopes):
        await _granted(registry, scope, f"p{index}")
    for index, scope in enumerate(scopes):
        expect_equal(await grants(registry, scope), [f"p{index}"], f"the grants of {scope}")
    await registry.revoke_handle(scopes[1], "p2")
    expect_equal(await registry.has_handle_grant(scopes[2], "p2"), True, "a grant of the lookalike")


@case(Contract.PROCESS_REGISTRY)
async def a_grant_again_replaces_its_descriptor(trial: Trial[ProcessRegistry]) -> None:
    """The last descriptor wins, and a grant comes with its record."""
    registry = trial.subject
    await _granted(registry, S1, "p1")
    await registry.grant_handle(S1, "p1", WORKER)
    grant, record = expect_only(await registry.list_handle_grants(S1), "the grants")
    expect_equal(grant.descriptor, WORKER, "the descriptor")
    expect_equal((grant.session_id, record.id), ("s1", "p1"), "the grant and its record")


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def transfers_are_all_or_nothing(trial: Trial[ProcessRegistry]) -> None:
    """One missing grant refuses the whole transfer."""
    registry = trial.subject
    await _granted(registry, S1, "p1", "p2")
    await _granted(registry, S3, "p3")
    with refused("process_handle_not_granted", "a transfer of a grant that is not there"):
        await registry.transfer_handle_grants(S1, S2, ["p1", "p3", "p2"])
    expect_equal(await grants(registry, S1), ["p1", "p2"], "the source's grants")
    expect_equal(await grants(registry, S2), [], "the target's grants")
    await registry.transfer_handle_grants(S1, S2, ["p1"])
    with refused("process_handle_not_granted", "a second transfer"):
        await registry.transfer_handle_grants(S1, S2, ["p1"])


@case(Contract.PROCESS_REGISTRY, rule="R-21")
async def transfers_collapse_duplicates_and_keep_descriptors(trial: Trial[ProcessRegistry]) -> None:
    """An id twice moves once; the source's descriptor wins; to oneself, and of nothing, is no change."""
    registry = trial.subject
    await _granted(registry, S1, "p1")
    await registry.grant_handle(S2, "p1", WORKER)
    await registry.transfer_handle_grants(S1, S1, ["p1"])
    await registry.transfer_handle_grants(S1, S2, [])
    expect_equal(await grants(registry, S1), ["p1"], "the source's grants before the transfer")
    await registry.transfer_handle_grants(S1, S2, ["p1", "p1"])
    grant, _ = expect_only(await registry.list_handle_grants(S2), "the grants at the target")
    expect_equal(grant.descriptor, DESCRIPTOR, "the descriptor at the target")
