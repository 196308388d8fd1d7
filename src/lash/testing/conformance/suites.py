"""The entry points: one function a contract. Each runs every case of it and names every one that fails.

All return the report; a case that the factory gave no means for (no clock, no second handle) is in it as
not offered and fails nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from lash.contracts import EffectHost, RuntimeEffectController
from lash.testing.conformance.case import Contract, Feature, cases_of, find_cases
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.factories import FactorySource, Make, call_factory
from lash.testing.conformance.report import Report
from lash.testing.conformance.runner import Source, run_cases
from lash.testing.conformance.subjects import ReplayingController
from lash.testing.conformance.trial import Declared
from lash.values import AttachmentStorePersistence, DurabilityTier, Record


class RuntimePersistenceConformance(Record, frozen=True, kw_only=True):
    """What a persistence declares: how it keeps the attachment manifest, and how durable it is."""

    attachment_manifest: Literal["persistent", "noop"] = "persistent"
    durability_tier: DurabilityTier = DurabilityTier.DURABLE


async def effect_host(make: Make) -> Report:
    """Run the cases of effect hosts; a durable host also has to keep those of recorded effects.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    host: EffectHost = await call_factory(make, KitClock())
    is_durable = host.durability_tier is DurabilityTier.DURABLE
    return await _run(
        FactorySource(make, offers=frozenset() if is_durable else frozenset({Feature.INLINE})),
        Contract.EFFECT_HOST,
        *((Contract.RECORDED_EFFECTS,) if is_durable else ()),
    )


async def effect_controller_concurrent_replay_deterministic(
    controller: RuntimeEffectController, start_replay: Callable[[], Any]
) -> Report:
    """Run the seed's replay case on one controller.

    Args:
        controller: A controller that records.
        start_replay: Called between the first pass and the replay; may do nothing where replay is implied.

    Raises:
        ConformanceFailed: when the case fails.
    """
    replaying = ReplayingController(controller, start_replay)
    (case,) = find_cases(["effect_controller_concurrent_replay_deterministic"])
    report = await run_cases([case], FactorySource(lambda: replaying))
    report.check()
    return report


async def process_registry(make: Make) -> Report:
    """Run the cases of process registries, expecting an inline one.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    return await process_registry_with_expected_durability(make, DurabilityTier.INLINE)


async def process_registry_with_expected_durability(make: Make, tier: DurabilityTier) -> Report:
    """Run the cases of process registries, expecting one of this tier.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    return await _run(FactorySource(make, declared=Declared(tier=tier)), Contract.PROCESS_REGISTRY)


async def process_registry_reopenable(make: Make) -> Report:
    """Run the cases of process registries on `Reopenable` pairs, expecting durable ones.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    declared = Declared(tier=DurabilityTier.DURABLE)
    return await _run(FactorySource(make, declared=declared, reopenable=True), Contract.PROCESS_REGISTRY)


async def runtime_persistence(make: Make) -> Report:
    """Run the cases of runtime persistence, expecting an inline one that keeps an attachment manifest.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    return await runtime_persistence_with_options(
        make, RuntimePersistenceConformance(durability_tier=DurabilityTier.INLINE)
    )


async def runtime_persistence_with_options(
    make: Make, options: RuntimePersistenceConformance | None = None
) -> Report:
    """Run the cases of runtime persistence, expecting what `options` declare.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    return await _run_persistence(make, options or RuntimePersistenceConformance(), reopenable=False)


async def runtime_persistence_reopenable(make: Make) -> Report:
    """Run the cases of runtime persistence on `Reopenable` pairs, expecting durable ones.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    return await _run_persistence(make, RuntimePersistenceConformance(), reopenable=True)


async def host_event_store(make: Make, tier: DurabilityTier) -> Report:
    """Run the cases of host event stores, expecting one of this tier.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    return await _run(FactorySource(make, declared=Declared(tier=tier)), Contract.HOST_EVENT_STORE)


async def host_event_store_reopenable(make: Make, tier: DurabilityTier) -> Report:
    """Run the cases of host event stores on `Reopenable` pairs.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    source = FactorySource(make, declared=Declared(tier=tier), reopenable=True)
    return await _run(source, Contract.HOST_EVENT_STORE)


async def attachment_store(make: Make, persistence: AttachmentStorePersistence) -> Report:
    """Run the cases of attachment stores, expecting one of this persistence.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    source = FactorySource(make, declared=Declared(persistence=persistence))
    return await _run(source, Contract.ATTACHMENT_STORE)


async def attachment_store_reopenable(make: Make, persistence: AttachmentStorePersistence) -> Report:
    """Run the cases of attachment stores on `Reopenable` pairs.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    source = FactorySource(make, declared=Declared(persistence=persistence), reopenable=True)
    return await _run(source, Contract.ATTACHMENT_STORE)


async def lashlang_artifact_store(make: Make, tier: DurabilityTier) -> Report:
    """Run the cases of artifact stores, expecting one of this tier.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    return await _run(FactorySource(make, declared=Declared(tier=tier)), Contract.ARTIFACT_STORE)


async def lashlang_artifact_store_reopenable(make: Make, tier: DurabilityTier) -> Report:
    """Run the cases of artifact stores on `Reopenable` pairs.

    Raises:
        ConformanceFailed: naming every failing case.
    """
    source = FactorySource(make, declared=Declared(tier=tier), reopenable=True)
    return await _run(source, Contract.ARTIFACT_STORE)


async def _run_persistence(make: Make, options: RuntimePersistenceConformance, *, reopenable: bool) -> Report:
    keeps_manifest = options.attachment_manifest == "persistent"
    flavour = Feature.PERSISTENT_MANIFEST if keeps_manifest else Feature.NOOP_MANIFEST
    source = FactorySource(
        make,
        declared=Declared(tier=options.durability_tier),
        offers=frozenset({flavour}),
        reopenable=reopenable,
    )
    return await _run(source, Contract.RUNTIME_PERSISTENCE)


async def _run(source: Source, *contracts: Contract) -> Report:
    report = await run_cases(cases_of(*contracts), source)
    report.check()
    return report
