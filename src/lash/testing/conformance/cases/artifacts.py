"""Artifact stores for compiled modules (contract 2.H)."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.contracts.artifacts import LashlangArtifactStore
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect_equal, expect_present, refused
from lash.testing.conformance.trial import Trial


def _sample(source: str = "process echo(value: str) { finish value }") -> Any:
    """Return the seed's artifact: one process that returns its argument."""
    from lashlang import ModuleArtifact, parse  # only these cases load the language

    return ModuleArtifact.from_program(parse(source))


async def _expect_stored(store: LashlangArtifactStore, artifact: Any) -> None:
    found = await store.get_module_artifact(artifact.module_ref)
    loaded = expect_present(found, "the artifact after a put")
    for name in ("module_ref", "required_surface_ref", "exports"):
        expect_equal(getattr(loaded, name), getattr(artifact, name), f"the {name}")
    expect_equal(loaded.to_store_bytes(), artifact.to_store_bytes(), "the encoded artifact")


@case(Contract.ARTIFACT_STORE, seed=True)
async def artifact_put_get_round_trips(trial: Trial[LashlangArtifactStore]) -> None:
    """An artifact comes back with its refs and exports, and encodes to the same bytes."""
    artifact = _sample()
    await trial.subject.put_module_artifact(artifact)
    await _expect_stored(trial.subject, artifact)


@case(Contract.ARTIFACT_STORE, seed=True)
async def artifact_get_unknown_is_none(trial: Trial[LashlangArtifactStore]) -> None:
    """A valid ref that is not stored here is None: no store shares what another one holds."""
    expect_equal(await trial.subject.get_module_artifact(_sample().module_ref), None, "an unknown ref")


@case(Contract.ARTIFACT_STORE, seed=True)
async def artifact_reports_declared_tier(trial: Trial[LashlangArtifactStore]) -> None:
    """The store reports the tier that its backend declares."""
    expect_equal(trial.subject.durability_tier, trial.declared.tier, "the durability tier")


@case(Contract.ARTIFACT_STORE, seed=True, rule="R-6", needs=Feature.SECOND_HANDLE)
async def lashlang_artifact_store_survives_reopen(trial: Trial[LashlangArtifactStore]) -> None:
    """The artifact is there for the second handle."""
    artifact = _sample()
    await trial.subject.put_module_artifact(artifact)
    await _expect_stored(trial.second, artifact)


@case(Contract.ARTIFACT_STORE)
async def artifacts_are_stored_once_each(trial: Trial[LashlangArtifactStore]) -> None:
    """Putting again is no change, and two modules do not get in each other's way."""
    one, two = _sample(), _sample("process twice(value: str) { finish value }")
    for artifact in (one, one, two):
        await trial.subject.put_module_artifact(artifact)
    for artifact in (one, two):
        await _expect_stored(trial.subject, artifact)


@case(Contract.ARTIFACT_STORE, rule="R-49")
async def artifacts_are_verified_before_they_are_stored(trial: Trial[LashlangArtifactStore]) -> None:
    """An artifact whose ref is not that of its content is refused and not stored under either."""
    honest = _sample()
    other = _sample("process other(value: str) { finish value }").module_ref
    forged = msgspec.structs.replace(honest, module_ref=other)
    with refused("artifact_hash_mismatch", "an artifact under another module's ref"):
        await trial.subject.put_module_artifact(forged)
    for ref in (honest.module_ref, other):
        expect_equal(await trial.subject.get_module_artifact(ref), None, "what is stored after the refusal")
