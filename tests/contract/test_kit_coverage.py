"""Nothing of the contracts is without a case: every rule, and every row of the operation matrix (contract 2.J)."""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lash.testing.conformance import SEED_CASE_COUNT, all_cases, run_case, source_for

from .mutants.mutant import changed

ROOT = Path(__file__).parents[2]
CASES = all_cases()
RULES = [f"R-{number}" for number in range(1, 53)]

# Rules of which a backend shows one half, and a layer above it the other: who shows that.
OTHER_HALVES = {
    "R-3": "tests/unit/postgres_engine/test_clock.py::test_a_test_clock_stands_for_the_servers",
    "R-19": "tests/unit/sql_backend/test_process_corruption.py",
    "R-30": "tests/unit/sql_backend/test_corruption.py",
    "R-50": "tests/runtime/processes/test_supervision.py"
    "::test_external_work_is_untouched_and_ended_from_outside",
    "R-51": "tests/contract/test_host_events.py::test_reservation_that_nobody_started_can_be_found_and_started",
}

PERSISTENCE = "lash.backends.memory.persistence:MemoryRuntimePersistence"
REGISTRY = "lash.backends.memory.process_registry:InMemoryProcessRegistry"
EVENTS = "lash.backends.memory.host_events:InMemoryHostEventStore"
ATTACHMENTS = "lash.backends.memory.attachments:InMemoryAttachmentStore"
ARTIFACTS = "lash.backends.memory.artifacts:InMemoryLashlangArtifactStore"
HOST = "lash.effects.inline:InlineEffectHost"
CONTROLLER = "lash.effects.inline:_InlineController"

# Contract 2.J: the class that has the operations of a row, and the operations.
MATRIX = {
    "scoped / scoped_static": (HOST, "scoped scoped_static"),
    "execute_effect": (CONTROLLER, "execute_effect"),
    "register_process": (REGISTRY, "register_process"),
    "set_external_ref": (REGISTRY, "set_external_ref"),
    "grant / revoke": (REGISTRY, "grant_handle revoke_handle has_handle_grant"),
    "transfer_handle_grants": (REGISTRY, "transfer_handle_grants"),
    "list_* grants": (REGISTRY, "list_handle_grants list_live_handle_grants"),
    "handle_grants_for_process": (REGISTRY, "handle_grants_for_process"),
    "delete_session_process_state": (REGISTRY, "delete_session_process_state"),
    "append_event": (REGISTRY, "append_event"),
    "events_after / wake_events_after": (REGISTRY, "events_after wake_events_after"),
    "ack_wake": (REGISTRY, "ack_wake"),
    "wait_event_after / await_process": (REGISTRY, "wait_event_after await_process"),
    "complete_process": (REGISTRY, "complete_process"),
    "list_non_terminal": (REGISTRY, "list_non_terminal"),
    "claim_process_lease": (REGISTRY, "claim_process_lease"),
    "renew_process_lease": (REGISTRY, "renew_process_lease"),
    "complete_process_lease": (REGISTRY, "complete_process_lease"),
    "load_session / load_node": (PERSISTENCE, "load_session load_node"),
    "commit_runtime_state": (PERSISTENCE, "commit_runtime_state"),
    "enqueue_queued_work": (PERSISTENCE, "enqueue_queued_work"),
    "claim_ready_queued_work": (PERSISTENCE, "claim_ready_queued_work"),
    "claim by ids": (PERSISTENCE, "claim_ready_queued_work_by_batch_ids"),
    "renew claim": (PERSISTENCE, "renew_queued_work_claim"),
    "abandon claim": (PERSISTENCE, "abandon_queued_work_claim"),
    "cancel batch": (PERSISTENCE, "cancel_queued_work_batch"),
    "list_queued / pending": (PERSISTENCE, "list_queued_work list_pending_queued_work"),
    "save / load meta": (PERSISTENCE, "save_session_meta load_session_meta"),
    "tombstone": (PERSISTENCE, "tombstone_nodes"),
    "vacuum / gc": (PERSISTENCE, "vacuum gc_unreachable"),
    "record_intent": (PERSISTENCE, "record_intent"),
    "commit_refs": (PERSISTENCE, "commit_refs"),
    "list_uncommitted / forget": (PERSISTENCE, "list_uncommitted forget"),
    "attachment put / get": (ATTACHMENTS, "put get"),
    "register_subscription": (EVENTS, "register_subscription list_subscriptions"),
    "cancel_subscription": (EVENTS, "cancel_subscription"),
    "record_occurrence": (EVENTS, "record_occurrence"),
    "reserve_matching_deliveries": (EVENTS, "reserve_matching_deliveries"),
    "put / get artifact": (ARTIFACTS, "put_module_artifact get_module_artifact"),
}


def test_the_seed_has_all_its_cases() -> None:
    assert sum(case.is_seed for case in CASES) == SEED_CASE_COUNT == 67


def test_every_rule_has_a_case() -> None:
    shown = {rule for case in CASES for rule in case.rules}
    assert [rule for rule in RULES if rule not in shown] == []


@pytest.mark.parametrize("rule", OTHER_HALVES)
def test_what_a_backend_cannot_show_of_a_rule_is_tested_elsewhere(rule: str) -> None:
    path, _, name = OTHER_HALVES[rule].partition("::")
    tests = {
        node.name
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
    assert name in tests if name else tests


async def test_every_row_of_the_operation_matrix_has_a_case() -> None:
    """Runs every case on memory and notes which operations it calls."""
    callers: dict[str, set[str]] = {row: set() for row in MATRIX}
    called: set[str] = set()

    def noted(operation: str) -> Callable[[Any], Any]:
        def around(original: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                called.add(operation)
                return original(*args, **kwargs)

            return call

        return around

    with ExitStack() as stack:
        for owner, operations in MATRIX.values():
            for operation in operations.split():
                stack.enter_context(changed(f"{owner}.{operation}", noted(f"{owner}.{operation}")))
        source = source_for("memory:")
        for case in CASES:
            called.clear()
            await run_case(case, source)
            for row, (owner, operations) in MATRIX.items():
                if any(f"{owner}.{operation}" in called for operation in operations.split()):
                    callers[row].add(case.name)
    assert {row for row, cases in callers.items() if len(cases) < 2} == set()
