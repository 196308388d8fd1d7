"""Wakes: what they carry, how they replay, how they are acknowledged (contracts 1.9, 2.C.8, 2.C.12)."""

from __future__ import annotations

from lash.contracts import ProcessRegistry
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect_equal, expect_present, refused
from lash.testing.conformance.samples.processes import (
    appends,
    registration,
    sequences,
    wake_type,
    woken,
)
from lash.testing.conformance.trial import Trial
from lash.values import (
    CausedByProcess,
    CausedBySessionNode,
    ProcessEventSubject,
    ProcessProvenance,
    ProcessScope,
    RuntimeScope,
)

NODE = CausedBySessionNode(session_id="target-session", node_id="host-event:button")


async def _with_provenance(registry: ProcessRegistry, process_id: str) -> None:
    provenance = ProcessProvenance(
        owner_scope=ProcessScope("owner-session"), host_profile_id="host-profile", caused_by=NODE
    )
    made = registration(process_id, wake_type("producer.custom_wake")).replace(provenance=provenance)
    await registry.register_process(made)


@case(Contract.PROCESS_REGISTRY, seed=True)
async def custom_wake_events_preserve_typed_provenance_and_replay(trial: Trial[ProcessRegistry]) -> None:
    """An event knows its owner, subject, cause and key; its wake knows target, process and identity."""
    registry, target = trial.subject, ProcessScope("target-session", "target-frame")
    await _with_provenance(registry, "proc-provenance")
    payload = {"line": "build failed", "wake_input": "custom wake: build failed"}
    request = appends("producer.custom_wake", payload, key="custom-wake:build-failed", wakes=target)
    first = await registry.append_event("proc-provenance", request)
    replay = await registry.append_event("proc-provenance", request)
    expect_equal((first.event.sequence, replay.event.sequence), (1, 1), "the sequences")
    expect_equal(await sequences(registry, "proc-provenance"), [1], "a replay appends nothing")
    invocation = first.event.invocation
    expect_equal(invocation.scope, RuntimeScope(session_id="owner-session"), "the invocation's scope")
    subject = ProcessEventSubject("proc-provenance", 1, "producer.custom_wake")
    expect_equal(invocation.subject, subject, "the invocation's subject")
    expect_equal(invocation.caused_by, CausedByProcess("proc-provenance"), "the invocation's cause")
    expect_equal(invocation.replay_key, "custom-wake:build-failed", "the invocation's key")
    wake = expect_present(first.wake_delivery, "the delivery")
    expect_equal(wake.event_type, "producer.custom_wake", "the delivery's event type")
    expect_equal(wake.event_invocation, invocation, "the delivery's invocation")
    expect_equal(wake.process_caused_by, NODE, "the cause of the process")
    expect_equal(wake.target_session_id, "target-session", "the target session")
    expect_equal(wake.target_scope_id, target.id, "the target scope")
    expect_equal((wake.process_id, wake.sequence), ("proc-provenance", 1), "the event")
    expect_equal(wake.dedupe_key, "proc-provenance:1", "the dedupe key")
    expect_equal(wake.input, "custom wake: build failed", "the input")
    again = expect_present(replay.wake_delivery, "the replayed delivery")
    expect_equal(again.wake_id, wake.wake_id, "the wake's identity")


@case(Contract.PROCESS_REGISTRY, rule="R-2")
async def wake_ids_are_what_they_are_everywhere(trial: Trial[ProcessRegistry]) -> None:
    """The id of a wake is the golden one of its target and dedupe text."""
    await _with_provenance(trial.subject, "proc-provenance")
    wake = await woken(
        trial.subject,
        "proc-provenance",
        appends(
            "producer.custom_wake", {"wake_input": "x"}, wakes=ProcessScope("target-session", "target-frame")
        ),
    )
    golden = "wake:46cb109adef9ba0513a94be3a54c1a0adf5e05fcbbe38b46ba57e14f546b1e00"
    expect_equal(wake.wake_id, golden, "the id of the wake")


@case(Contract.PROCESS_REGISTRY, seed=True)
async def keyed_events_materialize_idempotent_wakes(trial: Trial[ProcessRegistry]) -> None:
    """A replay has an equal delivery; another payload under the key is refused."""
    registry, target = trial.subject, ProcessScope("session")
    await registry.register_process(registration("proc-wake", wake_type("process.wake")))
    payload = {"message": "deploy failed", "wake_input": "Process wake: deploy failed"}
    request = appends("process.wake", payload, key="wake:deploy failed", wakes=target)
    first = await registry.append_event("proc-wake", request)
    await trial.pass_time(3)
    second = await registry.append_event("proc-wake", request)
    expect_equal(second.event.sequence, first.event.sequence, "the replay's sequence")
    expect_equal(second.wake_delivery, first.wake_delivery, "the replay's delivery")
    wake = expect_present(first.wake_delivery, "the delivery")
    expect_equal(wake.input, "Process wake: deploy failed", "the input")
    expect_equal(wake.target_scope_id, target.id, "the target")
    expect_equal((wake.process_id, wake.sequence), ("proc-wake", first.event.sequence), "the event")
    other = {"message": "other", "wake_input": "Process wake: other"}
    with refused(None, "another payload under the key"):
        await registry.append_event("proc-wake", appends("process.wake", other, key="wake:deploy failed"))


@case(Contract.PROCESS_REGISTRY, seed=True)
async def wake_semantic_events_without_target_fail_without_persisting(
    trial: Trial[ProcessRegistry],
) -> None:
    """A wake without a target is refused, says so, and leaves no event."""
    registry = trial.subject
    await registry.register_process(registration("proc-missing-wake-target", wake_type("process.wake")))
    payload = {"message": "target missing", "wake_input": "Process wake: target missing"}
    with refused(None, "a wake without a target", says="without a wake target scope"):
        await registry.append_event(
            "proc-missing-wake-target", appends("process.wake", payload, key="wake:missing-target")
        )
    expect_equal(await sequences(registry, "proc-missing-wake-target"), [], "the events")


@case(Contract.PROCESS_REGISTRY, rule="R-22")
async def a_replay_keeps_the_target_of_the_first_append(trial: Trial[ProcessRegistry]) -> None:
    """The delivery is pinned: a replay with another target, or with none, returns the first one's."""
    registry = trial.subject
    await registry.register_process(registration("p1", wake_type("wake")))
    first = await woken(
        registry, "p1", appends("wake", {"wake_input": "x"}, key="k", wakes=ProcessScope("one"))
    )
    for target in (ProcessScope("two"), None):
        again = await woken(registry, "p1", appends("wake", {"wake_input": "x"}, key="k", wakes=target))
        expect_equal(again, first, "the pinned delivery")


@case(Contract.PROCESS_REGISTRY, rule="R-23")
async def acknowledging_what_is_no_wake_has_no_effect(trial: Trial[ProcessRegistry]) -> None:
    """An acknowledgement of a sequence that is not there yet does not hide the wake that comes."""
    registry = trial.subject
    await registry.register_process(registration("p1", wake_type("wake")))
    for sequence in (0, 1, 99):
        await registry.ack_wake("p1", sequence)
    await woken(registry, "p1", appends("wake", {"wake_input": "x"}, wakes=ProcessScope("root")))
    wakes = await registry.wake_events_after("p1", 0)
    expect_equal([event.sequence for event in wakes], [1], "the wake that came later")


@case(Contract.PROCESS_REGISTRY)
async def acknowledging_hides_one_wake_and_no_event(trial: Trial[ProcessRegistry]) -> None:
    """An acknowledged wake is still an event, and the other wakes stay; again is fine."""
    registry = trial.subject
    await registry.register_process(registration("p1", wake_type("wake")))
    for text in ("one", "two"):
        await woken(registry, "p1", appends("wake", {"wake_input": text}, wakes=ProcessScope("root")))
    for _ in range(2):
        await registry.ack_wake("p1", 1)
    wakes = await registry.wake_events_after("p1", 0)
    expect_equal([event.sequence for event in wakes], [2], "the wakes that are left")
    expect_equal(await sequences(registry, "p1"), [1, 2], "the events")


@case(Contract.PROCESS_REGISTRY, rule="R-3", needs=Feature.CLOCK)
async def a_delivery_carries_the_time_of_its_event(trial: Trial[ProcessRegistry]) -> None:
    """Created when the event occurred, however late it is replayed."""
    registry = trial.subject
    await registry.register_process(registration("p1", wake_type("wake")))
    request = appends("wake", {"wake_input": "x"}, key="k", wakes=ProcessScope("root"))
    at_ms = trial.clock.now_ms()
    await woken(registry, "p1", request)
    trial.clock.advance(1_000)
    expect_equal((await woken(registry, "p1", request)).created_at_ms, at_ms, "when the wake was created")
