"""The conformance kit: what a backend must keep, as cases that anybody can run against theirs.

One function a contract (`runtime_persistence(make)`, …), a command (`lash conformance --backend URL`) and a
pytest front end (`--lash-backend`) run the same cases, each on a fresh subject. No case needs pytest.
"""

from lash.testing.conformance.case import Case, Contract, Feature, all_cases, cases_of, find_cases
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.databases import DatabaseSource
from lash.testing.conformance.guarantees import guarantees_page
from lash.testing.conformance.opening import Address
from lash.testing.conformance.reference import ReferenceClasses
from lash.testing.conformance.report import (
    SEED_CASE_COUNT,
    CaseResult,
    ConformanceFailed,
    Outcome,
    Report,
)
from lash.testing.conformance.runner import run_case, run_cases
from lash.testing.conformance.samples.queue import queued_turn_input_draft
from lash.testing.conformance.sibling_files import SiblingFiles, Template
from lash.testing.conformance.suites import (
    RuntimePersistenceConformance,
    attachment_store,
    attachment_store_reopenable,
    effect_controller_concurrent_replay_deterministic,
    effect_host,
    host_event_store,
    host_event_store_reopenable,
    lashlang_artifact_store,
    lashlang_artifact_store_reopenable,
    process_registry,
    process_registry_reopenable,
    process_registry_with_expected_durability,
    runtime_persistence,
    runtime_persistence_reopenable,
    runtime_persistence_with_options,
)
from lash.testing.conformance.throwaway import source_for
from lash.testing.conformance.trial import Reopenable

__all__ = [
    "SEED_CASE_COUNT",
    "Address",
    "Case",
    "CaseResult",
    "ConformanceFailed",
    "Contract",
    "DatabaseSource",
    "Feature",
    "KitClock",
    "Outcome",
    "ReferenceClasses",
    "Reopenable",
    "Report",
    "RuntimePersistenceConformance",
    "SiblingFiles",
    "Template",
    "all_cases",
    "attachment_store",
    "attachment_store_reopenable",
    "cases_of",
    "effect_controller_concurrent_replay_deterministic",
    "effect_host",
    "find_cases",
    "guarantees_page",
    "host_event_store",
    "host_event_store_reopenable",
    "lashlang_artifact_store",
    "lashlang_artifact_store_reopenable",
    "process_registry",
    "process_registry_reopenable",
    "process_registry_with_expected_durability",
    "queued_turn_input_draft",
    "run_case",
    "run_cases",
    "runtime_persistence",
    "runtime_persistence_reopenable",
    "runtime_persistence_with_options",
    "source_for",
]
