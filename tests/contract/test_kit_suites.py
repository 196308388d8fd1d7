"""The entry points: what factories may look like, and how failures are reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lash.backends.memory import (
    InMemoryAttachmentStore,
    InMemoryHostEventStore,
    InMemoryLashlangArtifactStore,
    InMemoryProcessRegistry,
    InMemorySessionStore,
    MemoryDatabase,
)
from lash.backends.sql import SqliteDatabase
from lash.effects import InlineEffectHost, JournaledEffectHost
from lash.testing import conformance as kit
from lash.values import AttachmentStorePersistence, DeliveryPolicy, DurabilityTier, SlotPolicy

from .mutants import MUTANTS

INLINE, DURABLE = DurabilityTier.INLINE, DurabilityTier.DURABLE


class Sqlite:
    """Databases below a folder, closed at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: list[SqliteDatabase] = []

    def pair(self, view: Callable[[SqliteDatabase], Any]) -> Callable[[kit.KitClock], Any]:
        """A reopenable factory of one contract."""

        async def make(clock: kit.KitClock) -> Any:
            path = self._path / f"{len(self._opened)}.db"
            both = [SqliteDatabase(path, clock=clock) for _ in range(2)]
            for database in both:
                await database.connect()
            self._opened += both
            return kit.Reopenable(view(both[0]), view(both[1]))

        return make

    async def close(self) -> None:
        for database in self._opened:
            await database.close()


async def test_the_memory_classes_pass_their_suites() -> None:
    await kit.effect_host(InlineEffectHost)
    await kit.process_registry(InMemoryProcessRegistry)
    await kit.process_registry_with_expected_durability(lambda: InMemoryProcessRegistry(), INLINE)
    await kit.runtime_persistence(InMemorySessionStore)
    await kit.host_event_store(InMemoryHostEventStore, INLINE)
    await kit.attachment_store(InMemoryAttachmentStore, AttachmentStorePersistence.EPHEMERAL)
    await kit.lashlang_artifact_store(InMemoryLashlangArtifactStore, INLINE)


async def test_the_noop_manifest_is_an_option() -> None:
    options = kit.RuntimePersistenceConformance(attachment_manifest="noop", durability_tier=INLINE)
    report = await kit.runtime_persistence_with_options(lambda: InMemorySessionStore("noop"), options)
    ran = {result.case.name for result in report.passed}
    assert "noop_attachment_manifest_is_explicit_and_empty" in ran
    assert "attachment_manifest_records_intent_and_commit_stamps" not in ran


async def test_sqlite_passes_the_reopenable_suites(tmp_path: Path) -> None:
    files = Sqlite(tmp_path)
    try:
        await kit.process_registry_reopenable(files.pair(lambda db: db.process_registry))
        await kit.runtime_persistence_reopenable(files.pair(lambda db: db.runtime_persistence()))
        await kit.host_event_store_reopenable(files.pair(lambda db: db.host_event_store), DURABLE)
        await kit.attachment_store_reopenable(
            files.pair(lambda db: db.attachment_store), AttachmentStorePersistence.DURABLE
        )
        await kit.lashlang_artifact_store_reopenable(files.pair(lambda db: db.artifact_store), DURABLE)
    finally:
        await files.close()


async def test_a_journaling_controller_passes_the_replay_case() -> None:
    database = MemoryDatabase()
    host = JournaledEffectHost(
        database.effect_journal,
        clock=database.clock,
        owner_id=database.owner_id,
        subscribe=database.subscribe,
    )
    from lash.values import EffectScope

    controller = host.scoped(EffectScope.turn("s", "t")).controller
    await kit.effect_controller_concurrent_replay_deterministic(controller, host.start_replay)


async def test_a_controller_that_forgets_fails_the_replay_case() -> None:
    from lash.values import EffectScope

    controller = InlineEffectHost().scoped(EffectScope.turn("s", "t")).controller
    with pytest.raises(kit.ConformanceFailed, match="effect_controller_concurrent_replay_deterministic"):
        await kit.effect_controller_concurrent_replay_deterministic(controller, lambda: None)


async def test_every_failing_case_is_named() -> None:
    with (
        MUTANTS["any registration is the one that is there"].applied(),
        pytest.raises(kit.ConformanceFailed) as caught,
    ):
        await kit.process_registry(InMemoryProcessRegistry)
    failing = {
        "registration_is_idempotent_and_hash_conflicts_fail",
        "registration_conflicts_are_coded_and_change_nothing",
        "registrations_of_different_numbers_differ",
    }
    assert all(name in str(caught.value) for name in failing)
    notes = [note for error in caught.value.exceptions for note in error.__notes__]
    assert len(notes) == len(failing)
    assert isinstance(caught.value, AssertionError)


async def test_the_wrong_tier_fails_one_case() -> None:
    with pytest.raises(kit.ConformanceFailed, match="1 of") as caught:
        await kit.process_registry_with_expected_durability(InMemoryProcessRegistry, DURABLE)
    assert "process_registry_reports_declared_durability" in str(caught.value)


async def test_a_factory_without_a_clock_leaves_out_what_needs_one_and_says_so() -> None:
    report = await kit.process_registry(lambda: InMemoryProcessRegistry())
    left_out = {result.case.name: result.reason for result in report.not_offered}
    assert left_out["a_lease_is_over_in_the_millisecond_of_its_expiry"] == "the factory comes without: clock"
    assert "process_registry_survives_reopen" in left_out
    assert not any(result.case.is_seed for result in report.not_offered if "clock" in result.reason)


@pytest.mark.parametrize(
    "make",
    [
        lambda clock: InMemoryProcessRegistry(clock=clock),
        lambda given: InMemoryProcessRegistry(clock=given),
        lambda *, clock: InMemoryProcessRegistry(clock=clock),
        InMemoryProcessRegistry,
    ],
    ids=["clock", "one parameter", "keyword", "class with an optional clock"],
)
async def test_factories_that_take_the_clock_run_every_clock_case(make: Callable[..., Any]) -> None:
    report = await kit.process_registry(make)
    assert {result.case.name for result in report.not_offered} == {
        case.name
        for case in kit.cases_of(kit.Contract.PROCESS_REGISTRY)
        if case.needs & {kit.Feature.SECOND_HANDLE, kit.Feature.DAMAGE}
    }


async def test_parameters_with_a_default_are_the_factorys_own() -> None:
    async def make(name: str = "store") -> InMemoryProcessRegistry:
        assert name == "store"
        return InMemoryProcessRegistry()

    report = await kit.process_registry(make)
    assert report.passed


async def test_each_case_gets_a_fresh_subject() -> None:
    made: list[InMemoryAttachmentStore] = []

    def make() -> InMemoryAttachmentStore:
        made.append(InMemoryAttachmentStore())
        return made[-1]

    report = await kit.attachment_store(make, AttachmentStorePersistence.EPHEMERAL)
    assert len(made) == len(report.passed)


async def test_a_crashing_subject_is_told_from_one_that_breaks_its_word() -> None:
    def make() -> InMemoryAttachmentStore:
        raise ZeroDivisionError("no store today")

    with pytest.raises(kit.ConformanceFailed, match="raised ZeroDivisionError"):
        await kit.attachment_store(make, AttachmentStorePersistence.EPHEMERAL)


def test_the_drafts_of_the_seed_are_public() -> None:
    draft = kit.queued_turn_input_draft(
        "s", "hello", DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT, SlotPolicy.JOIN
    )
    assert (draft.session_id, draft.source_key, draft.available_at_ms) == ("s", None, 0)


class Partial:
    """A database that has persistence alone."""

    durability_tier = INLINE

    def __init__(self, clock: kit.KitClock) -> None:
        self.runtime_persistence = MemoryDatabase(clock=clock).runtime_persistence

    async def connect(self) -> None: ...

    async def close(self) -> None: ...


class Declining(Partial):
    """The same, and it says so."""

    not_offered = frozenset(kit.Contract) - {kit.Contract.RUNTIME_PERSISTENCE, kit.Contract.LASH}


class Overstating(MemoryDatabase):
    """A database that declines what it has."""

    not_offered = (kit.Contract.DURABLE_WAITS,)


def test_what_a_database_lacks_is_a_failure_unless_it_declines() -> None:
    lacking, declining, overstating = (
        asyncio.run(kit.run_cases(kit.all_cases(), kit.DatabaseSource(lambda clock, c=c: c(clock=clock))))
        for c in (Partial, Declining, Overstating)
    )
    without_means = [
        r for r in lacking.not_offered if r.case.needs & {kit.Feature.PROCESSES, kit.Feature.DAMAGE}
    ]
    assert len(lacking.failures) >= len(lacking.not_offered) - len(without_means) > 100
    assert any("the database has no durable_waits" in line for line in lacking.lines())
    assert declining.is_ok
    assert {result.case.contract for result in declining.passed} == {
        kit.Contract.RUNTIME_PERSISTENCE,
        kit.Contract.LASH,
    }
    assert not overstating.is_ok
    assert {result.case.contract for result in overstating.failures} == {
        kit.Contract.DURABLE_WAITS,
        kit.Contract.TURN_INGRESS,  # turns that are parked on waits
        kit.Contract.DATABASE,  # cases that lead a database through its waits
    }


def test_durable_databases_need_a_second_handle_for_the_reopen_cases(tmp_path: Path) -> None:
    def make(clock: kit.KitClock) -> SqliteDatabase:
        return SqliteDatabase(tmp_path / f"{len(list(tmp_path.iterdir()))}.db", clock=clock)

    cases = kit.find_cases(["attachment_store_survives_reopen", "attachment_is_content_addressed"])
    report = asyncio.run(kit.run_cases(cases, kit.DatabaseSource(make)))
    assert [result.outcome.name for result in report.results] == ["PASSED", "NOT_OFFERED"]
    assert not report.is_ok
