"""The seed's cases about lash's own classes, whatever the backend."""

from __future__ import annotations

from lash.contracts import RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect_equal, expect_kind, refused
from lash.testing.conformance.reference import ReferenceClasses
from lash.testing.conformance.samples.effects import sleep_envelope
from lash.testing.conformance.trial import Trial
from lash.values import (
    AttachmentStorePersistence,
    DurabilityTier,
    EffectScope,
    RuntimeEffectKind,
    RuntimeScope,
    SleepOutcome,
)


@case(Contract.LASH, seed=True)
async def in_memory_attachment_store_satisfies_conformance(trial: Trial[ReferenceClasses]) -> None:
    """`InMemoryAttachmentStore` keeps the contract of attachment stores and says ephemeral."""
    from lash.testing.conformance.suites import attachment_store

    await attachment_store(trial.subject.attachment_store, AttachmentStorePersistence.EPHEMERAL)


@case(Contract.LASH, seed=True)
async def in_memory_lashlang_artifact_store_satisfies_conformance(trial: Trial[ReferenceClasses]) -> None:
    """`InMemoryLashlangArtifactStore` keeps the contract of artifact stores and says inline."""
    from lash.testing.conformance.suites import lashlang_artifact_store

    await lashlang_artifact_store(trial.subject.artifact_store, DurabilityTier.INLINE)


@case(Contract.LASH, seed=True)
async def in_memory_host_event_store_satisfies_conformance(trial: Trial[ReferenceClasses]) -> None:
    """`InMemoryHostEventStore` keeps the contract of host event stores and says inline."""
    from lash.testing.conformance.suites import host_event_store

    await host_event_store(trial.subject.host_event_store, DurabilityTier.INLINE)


@case(Contract.LASH, seed=True)
async def inline_effect_host_satisfies_conformance(trial: Trial[ReferenceClasses]) -> None:
    """`InlineEffectHost` keeps the contract of effect hosts."""
    from lash.testing.conformance.suites import effect_host

    await effect_host(trial.subject.inline_effect_host)


@case(Contract.LASH, seed=True)
async def recording_effect_host_records_selected_scope_and_envelope(trial: Trial[ReferenceClasses]) -> None:
    """`RecordingEffectHost` notes the scope that was selected and the effect that was asked for."""
    host = trial.subject.recording_effect_host()
    scope = EffectScope.runtime_operation("host-event:button-1")
    envelope = sleep_envelope(0)
    outcome = await host.scoped(scope).controller.execute_effect(
        envelope, RuntimeEffectLocalExecutor.unavailable()
    )
    expect_kind(outcome, SleepOutcome, "a sleep is answered without an executor")
    expect_equal(host.selected_scopes(), [scope], "the selected scope is noted")
    records = host.records()
    expect_equal(len(records), 1, "the effect is noted once")
    expect_equal(records[0].effect_scope, scope, "the effect scope is the operation")
    expect_equal(records[0].runtime_scope, RuntimeScope(session_id="session-1"), "the runtime scope")
    expect_equal(records[0].effect_id, "sleep-effect", "the effect id")
    expect_equal(records[0].effect_kind, RuntimeEffectKind.SLEEP, "the kind")
    expect_equal(records[0].replay_key, "host-event:button-1:sleep-effect", "the replay key")
    expect_equal(records[0].envelope_hash, envelope.stable_hash(), "the hash of the envelope")


@case(Contract.LASH, seed=True, rule="R-7")
async def module_artifact_rejects_corrupted_store_bytes(trial: Trial[ReferenceClasses]) -> None:
    """Bytes that are no artifact are refused by the codec, not by a hash."""
    with refused("artifact_codec", "bytes that hold no artifact"):
        trial.subject.decode_artifact(b"not an artifact")


@case(Contract.LASH, rule="R-9")
async def effect_envelopes_need_a_replay_key(trial: Trial[ReferenceClasses]) -> None:
    """An effect without a replay key, or with a blank one, cannot be built."""
    envelope = sleep_envelope(0)
    for key in (None, "", " \t"):
        with refused("runtime_effect_replay_required", f"an effect under the key {key!r}"):
            invocation = envelope.invocation.replace(replay_key=key)
            trial.subject.effect_envelope(invocation, envelope.command)


@case(Contract.LASH, rule="R-7")
async def errors_keep_code_and_facts_as_data(trial: Trial[ReferenceClasses]) -> None:
    """An error survives being stored: its code, its facts and whether to try again."""
    error = LashError("head_revision_conflict", "reload", retryable=True, expected=1, actual=2)
    again = LashError.from_record(error.record())
    expect_equal((again.code, again.retryable), ("head_revision_conflict", True), "code and retryable")
    expect_equal((again.expected, again.actual), (1, 2), "facts are readable as attributes")
