"""Who may start what: attempts at processes (R-50), and deliveries whose start failed or never came (R-51)."""

from __future__ import annotations

from typing import Any

from lash.contracts import HostEventStore, ProcessRegistry
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect_equal, refused
from lash.testing.conformance.samples.processes import MINUTE_MS, registration, success
from lash.testing.conformance.samples.triggers import button_pressed, subscription
from lash.testing.conformance.trial import Trial
from lash.values import LashlangProcessInput, ProcessRegistration, TriggerDeliveryState

RESERVED, STARTED = TriggerDeliveryState.RESERVED, TriggerDeliveryState.STARTED
FAILED, DISCARDED = TriggerDeliveryState.FAILED, TriggerDeliveryState.DISCARDED


def _runnable(process_id: str, **options: Any) -> ProcessRegistration:
    """Return the registration of a process that a worker may run again and again."""
    program = LashlangProcessInput(
        module_ref="lashlang:v1:sha256:module",
        process_ref={"component": "process", "pos": 1},
        required_surface_ref="lashlang-surface:v1:sha256:surface",
        process_name="main",
        args={},
    )
    return ProcessRegistration(id=process_id, input=program, **options)


@case(Contract.PROCESS_REGISTRY, rule="R-50")
async def external_processes_are_run_by_nobody_here(trial: Trial[ProcessRegistry]) -> None:
    """A worker that took the lease of one is refused the attempt; whoever owns it completes it."""
    registry = trial.subject
    await registry.register_process(registration("p"))
    lease = await registry.claim_process_lease("p", "worker", MINUTE_MS)
    with refused("process_externally_owned", "an attempt at an external process"):
        await registry.start_process_attempt(lease)
    expect_equal((await registry.list_non_terminal())[0].attempts, 0, "the attempts that were made")
    record = await registry.complete_process("p", success("done elsewhere"))
    expect_equal(record.is_terminal, True, "an external process that its owner completes")


@case(Contract.PROCESS_REGISTRY, rule="B-9")
async def attempts_are_counted_and_end_at_their_limit(trial: Trial[ProcessRegistry]) -> None:
    """Each start is the next attempt; one more than was agreed is refused and not counted."""
    registry = trial.subject
    await registry.register_process(_runnable("p", max_attempts=2))
    for wanted in (1, 2):
        lease = await registry.claim_process_lease("p", "worker", MINUTE_MS)
        expect_equal((await registry.start_process_attempt(lease)).attempts, wanted, "the attempts")
    with refused("process_attempts_exhausted", "a third attempt of two"):
        await registry.start_process_attempt(lease)
    expect_equal((await registry.list_non_terminal())[0].attempts, 2, "the attempts after the refusal")


@case(Contract.HOST_EVENT_STORE, rule="R-51")
async def deliveries_that_nobody_started_can_be_found_and_started(trial: Trial[HostEventStore]) -> None:
    """A reservation whose process was never started is listed with all that its start needs, even after its
    subscription is cancelled; what became of one says nothing of the others.
    """
    store = trial.subject
    records = [await store.register_subscription(subscription("a", "k", f"p{index}")) for index in range(3)]
    ingest = await store.record_and_reserve(button_pressed("k", "i"))
    occurrence_id = ingest.occurrence.occurrence_id
    await store.cancel_subscription("a", records[0].handle)
    await store.mark_delivery(occurrence_id, records[1].subscription_id, STARTED)
    await store.mark_delivery(occurrence_id, records[2].subscription_id, FAILED, reason="bad payload")
    left = [one.subscription_id for one in await store.list_deliveries(state=RESERVED)]
    expect_equal(left, [records[0].subscription_id], "the deliveries that nobody started")
    found = await store.find_reservation(occurrence_id, records[0].subscription_id)
    expect_equal(found, ingest.reservations[0], "what its start needs")
    failed = await store.list_deliveries(state=FAILED)
    expect_equal([one.reason for one in failed], ["bad payload"], "the deliveries that failed, and why")
    again = await store.mark_delivery(occurrence_id, records[2].subscription_id, STARTED)
    expect_equal((again.state, again.reason), (STARTED, None), "a failed delivery that is started again")


@case(Contract.HOST_EVENT_STORE, rule="R-51")
async def a_delivery_is_settled_once(trial: Trial[HostEventStore]) -> None:
    """Started and discarded ones stay what they are; unknown ones are told from settled ones."""
    store = trial.subject
    records = [await store.register_subscription(subscription("a", "k", f"p{index}")) for index in range(2)]
    occurrence_id = (await store.record_and_reserve(button_pressed("k", "i"))).occurrence.occurrence_id
    for record, state in zip(records, (STARTED, DISCARDED), strict=True):
        await store.mark_delivery(occurrence_id, record.subscription_id, state)
        for other in {STARTED, FAILED, DISCARDED} - {state}:
            with refused("host_event_delivery_settled", f"{state} becoming {other}"):
                await store.mark_delivery(occurrence_id, record.subscription_id, other)
    with refused("host_event_unknown_delivery", "a delivery of an unknown subscription"):
        await store.mark_delivery(occurrence_id, "no such subscription", STARTED)
    states = [one.state for one in await store.list_deliveries(occurrence_id=occurrence_id)]
    expect_equal(states, [STARTED, DISCARDED], "the deliveries")
