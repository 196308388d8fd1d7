"""A page that says what a backend guarantees, made from a report: for people who have to choose one.

It says what was shown and nothing else: a question whose cases did not all pass is not answered with yes. Nothing
on it depends on when or where the kit ran.
"""

from __future__ import annotations

from collections.abc import Iterable

from lash.testing.conformance.case import Contract
from lash.testing.conformance.report import SEED_CASE_COUNT, CaseResult, Outcome, Report

_HEADINGS = {
    Contract.EFFECT_HOST: "Running effects",
    Contract.RECORDED_EFFECTS: "Effects that are recorded and replayed",
    Contract.PROCESS_REGISTRY: "Processes, their logs, leases and handles",
    Contract.RUNTIME_PERSISTENCE: "Sessions: commits, history, queue, manifest",
    Contract.HOST_EVENT_STORE: "Host events: subscriptions, occurrences, deliveries",
    Contract.ATTACHMENT_STORE: "Attachments",
    Contract.ARTIFACT_STORE: "Module artifacts",
    Contract.TURN_INGRESS: "Turns: accepting, claiming, cancelling",
    Contract.EFFECT_JOURNAL: "The effect journal",
    Contract.SESSION_LEASES: "Session leases",
    Contract.SESSION_CATALOG: "The session catalog",
    Contract.DURABLE_WAITS: "Durable waits",
    Contract.DATABASE: "What all of them do together",
}

# What people ask before they choose, and the cases that answer it.
_QUESTIONS = (
    (
        "Is what was acknowledged there after the process is killed?",
        ("what_was_acknowledged_survives_a_kill",),
    ),
    (
        "Is all that was being written there whole or not at all after a kill?",
        ("a_kill_leaves_nothing_half_written",),
    ),
    (
        "Are locks of a killed process free again when their time is over?",
        ("what_a_killed_process_held_is_free_after_its_time",),
    ),
    (
        "May several processes work on it at once, each thing going to one of them?",
        (
            "processes_append_to_one_log_without_a_gap",
            "of_processes_that_commit_upon_one_revision_one_wins",
            "processes_claim_each_batch_once",
            "processes_share_leases_among_them",
            "processes_that_want_one_id_get_it_once",
            "processes_reserve_each_delivery_once",
            "of_processes_that_resolve_a_wait_one_is_first",
        ),
    ),
    (
        "Is a process told at once of work that another one enqueues?",
        ("work_of_another_process_is_heard_of",),
    ),
    (
        "Does a second handle see at once what the first one stores?",
        (
            "process_registry_survives_reopen",
            "host_event_store_survives_reopen",
            "attachment_store_survives_reopen",
            "lashlang_artifact_store_survives_reopen",
        ),
    ),
    (
        "Does an event commit together with the work that it wakes?",
        ("an_event_commits_with_the_work_it_wakes", "a_wake_is_a_turn_of_its_session"),
    ),
    (
        "Is a recorded effect run once, and its outcome given again?",
        ("recorded_effect_runs_once", "an_interrupted_at_most_once_effect_is_unknown"),
    ),
    (
        "Is damaged data reported, and never taken for missing or empty?",
        (
            "a_process_that_cannot_be_read_is_not_unknown",
            "a_node_that_cannot_be_read_is_not_left_out",
            "a_checkpoint_that_cannot_be_read_is_not_empty",
            "meta_that_cannot_be_read_is_not_missing",
            "work_that_cannot_be_read_is_not_passed_over",
        ),
    ),
    (
        "Are 8 MiB kept whole, and 100,000 levels of nesting refused?",
        (
            "nodes_and_work_of_8_mib_are_kept_whole",
            "processes_and_events_of_8_mib_are_kept_whole",
            "nodes_and_work_nested_too_deep_are_refused",
            "processes_and_events_nested_too_deep_are_refused",
        ),
    ),
    (
        "Do hostile attachment ids read nothing?",
        ("attachment_ids_are_never_paths", "hostile_attachment_ids_read_nothing"),
    ),
)


def guarantees_page(report: Report, backend: str) -> str:
    """Return the page in Markdown.

    Args:
        report: A run of all cases.
        backend: What the backend is called.
    """
    results = {result.case.name: result for result in report.results}
    own = [result for result in report.results if result.case.contract is not Contract.LASH]
    parts = [
        _opening(report, backend),
        "## What you may want to know\n",
        _answers(results),
        _shortcomings(own),
        *(_section(contract, own) for contract in _HEADINGS),
        _rules(own),
    ]
    return "\n".join(part for part in parts if part)


def _opening(report: Report, backend: str) -> str:
    seeds = sum(result.case.is_seed for result in report.passed)
    offered = len(report.results) - len(report.not_offered)
    return (
        f"# What the backend `{backend}` guarantees\n\n"
        f"The conformance kit has run its {len(report.results)} cases on it: {len(report.passed)} of the {offered} "
        f"that it offers passed, {seeds} of {SEED_CASE_COUNT} of the seed's among them. Each line below is the claim "
        "of a case, with the rules that the case shows and its name (`lash conformance --case NAME`).\n\n"
        "This page is made by `lash conformance --backend URL --guarantees FILE`; see "
        "[the conformance kit](../conformance.md).\n"
    )


def _answers(results: dict[str, CaseResult]) -> str:
    rows = ["| question | answer | shown by |", "|---|---|---|"]
    for question, names in _QUESTIONS:
        found = [results[name] for name in names if name in results]
        shown = ", ".join(f"`{result.case.name}`" for result in found)
        rows.append(f"| {question} | {_answer(found)} | {shown} |")
    return "\n".join(rows) + "\n"


def _answer(results: list[CaseResult]) -> str:
    lacking = [result for result in results if result.outcome is Outcome.NOT_OFFERED]
    if lacking:
        return f"not offered: {lacking[0].reason}"
    if not results or any(result.outcome is not Outcome.PASSED for result in results):
        return "**not kept**"
    return "yes"


def _shortcomings(results: Iterable[CaseResult]) -> str:
    lines: dict[str, list[str]] = {}
    for result in results:
        if result.outcome is not Outcome.PASSED:
            reason = f"{result.outcome}: {result.reason.partition(chr(10))[0]}."
            lines.setdefault(reason, []).append(f"- {result.case.claim} (`{result.case.name}`)")
    if not lines:
        return "## What is not offered\n\nNothing: it offers all that the kit asks for.\n"
    parts = [part for reason, claims in lines.items() for part in (reason, "", *claims, "")]
    return "\n".join(["## What is not offered\n", *parts])


def _section(contract: Contract, results: Iterable[CaseResult]) -> str:
    lines = [
        f"- {result.case.claim} ({''.join(f'{rule}, ' for rule in result.case.rules)}`{result.case.name}`)"
        for result in results
        if result.case.contract is contract and result.outcome is Outcome.PASSED
    ]
    return "\n".join([f"## {_HEADINGS[contract]}\n", *lines]) + "\n" if lines else ""


def _rules(results: Iterable[CaseResult]) -> str:
    names: dict[str, list[str]] = {}
    for result in results:
        if result.outcome is Outcome.PASSED:
            for rule in result.case.rules:
                names.setdefault(rule, []).append(f"`{result.case.name}`")
    rows = [f"| {rule} | {', '.join(names[rule])} |" for rule in sorted(names, key=_by_number)]
    return "\n".join(["## Rule by rule\n", "| rule | shown by |", "|---|---|", *rows]) + "\n"


def _by_number(rule: str) -> tuple[str, int]:
    letter, _, number = rule.partition("-")
    return ("", int(number)) if letter == "R" else (letter, int(number))
