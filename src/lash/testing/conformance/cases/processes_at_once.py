"""Several operating-system processes on one database: for each thing that one can have, one has it."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect_equal, expect_present
from lash.testing.conformance.samples.processes import plain_type, registration, sequences
from lash.testing.conformance.samples.queue import draft, ids
from lash.testing.conformance.samples.sessions import load
from lash.testing.conformance.samples.triggers import button_pressed, subscription
from lash.testing.conformance.trial import Trial
from lash.values import Json

WORKERS = 3
MANY = 12
NOTIFIED_MS = 30_000  # a process may have to be started first


async def _said(trial: Trial[Database], job: str, **arguments: Json) -> list[list[Json]]:
    """Let workers do the same job at the same time; return what each said."""
    starts = (trial.child(job, worker=index, **arguments) for index in range(WORKERS))
    children = await asyncio.gather(*starts)
    said = await asyncio.gather(*(child.all() for child in children), return_exceptions=True)
    for words in said:  # once nobody listens any more
        if isinstance(words, BaseException):
            raise words
    return [words for words in said if not isinstance(words, BaseException)]


def _names(count: int = MANY) -> list[str]:
    return [f"n{index:02}" for index in range(count)]


def _expect_one_winner(said: list[list[Json]], wanted: list[str], claim: str) -> None:
    won = Counter(msgspec.convert([word for words in said for word in words], list[str]))
    expect_equal(won, Counter(wanted), claim)


@case(Contract.DATABASE, rule="R-6", needs=Feature.PROCESSES, uses=Contract.PROCESS_REGISTRY)
async def processes_append_to_one_log_without_a_gap(trial: Trial[Database]) -> None:
    """Every sequence is given once and none is left out; a key that all use makes one event."""
    await trial.subject.process_registry.register_process(registration("p", plain_type("plain")))
    said = [word for words in await _said(trial, "append_events", count=MANY) for word in words]
    shared = {word["shared"] for word in said if isinstance(word, dict)}
    expect_equal(len(shared), 1, "the events of the one key")
    own = [word for word in said if not isinstance(word, dict)]
    wanted = list(range(1, WORKERS * MANY + 2))
    expect_equal(sorted([*own, *shared], key=str), sorted(wanted, key=str), "the sequences that were given")
    expect_equal(await sequences(trial.subject.process_registry, "p"), wanted, "the log")


@case(Contract.DATABASE, rule="R-20", needs=Feature.PROCESSES, uses=Contract.RUNTIME_PERSISTENCE)
async def of_processes_that_commit_upon_one_revision_one_wins(trial: Trial[Database]) -> None:
    """Every revision is somebody's, the others are told of the conflict, and nothing is lost."""
    said = [word for words in await _said(trial, "commit_turns", count=5) for word in words]
    wanted = list(range(1, WORKERS * 5 + 1))
    expect_equal(sorted(msgspec.convert(said, list[int])), wanted, "the revisions that were given")
    read = await load(trial.subject.runtime_persistence("root"))
    expect_equal((read.head_revision, len(read.graph.nodes)), (len(wanted), len(wanted)), "what is stored")
    (ledger,) = read.token_ledger
    expect_equal(ledger.usage.input_tokens, len(wanted), "the tokens that were counted")


@case(Contract.DATABASE, rule="R-37", needs=Feature.PROCESSES, uses=Contract.RUNTIME_PERSISTENCE)
async def processes_claim_each_batch_once(trial: Trial[Database]) -> None:
    """While one process has work, no other one gets it."""
    wanted = []
    for session_id in _names():
        store = trial.subject.runtime_persistence(session_id)
        wanted.append((await store.enqueue_queued_work(draft("look", session_id))).batch_id)
    said = await _said(trial, "claim_work", sessions=list[Json](_names()))
    _expect_one_winner(said, wanted, "the batches that were claimed")


@case(Contract.DATABASE, rule="R-26", needs=Feature.PROCESSES, uses=Contract.PROCESS_REGISTRY)
async def processes_share_leases_among_them(trial: Trial[Database]) -> None:
    """Every lease is granted to one process, the others are refused."""
    for process_id in _names():
        await trial.subject.process_registry.register_process(registration(process_id))
    said = await _said(trial, "claim_leases", processes=list[Json](_names()))
    _expect_one_winner(said, _names(), "the leases that were granted")


@case(Contract.DATABASE, rule="R-7", needs=Feature.PROCESSES, uses=Contract.PROCESS_REGISTRY)
async def processes_that_want_one_id_get_it_once(trial: Trial[Database]) -> None:
    """One registers it, the others hear of the conflict."""
    said = await _said(trial, "register_processes", processes=list[Json](_names()))
    _expect_one_winner(said, _names(), "the ids that were given")
    kept = [process.id for process in await trial.subject.process_registry.list_non_terminal()]
    expect_equal(kept, _names(), "the processes")


@case(Contract.DATABASE, rule="R-48", needs=Feature.PROCESSES, uses=Contract.HOST_EVENT_STORE)
async def processes_reserve_each_delivery_once(trial: Trial[Database]) -> None:
    """All deliveries are reserved, and each by one process."""
    store = trial.subject.host_event_store
    made = [await store.register_subscription(subscription("root", "k", f"p{at}")) for at in range(3)]
    occurrences = [
        (await store.record_occurrence(button_pressed("k", name))).occurrence_id for name in _names(6)
    ]
    said = await _said(trial, "reserve_deliveries", occurrences=list[Json](occurrences))
    won = Counter(msgspec.convert([word for words in said for word in words], list[tuple[str, str]]))
    wanted = {(occurrence, record.subscription_id) for occurrence in occurrences for record in made}
    expect_equal(won, Counter(wanted), "the deliveries that were reserved")


@case(Contract.DATABASE, rule="B-23", needs=Feature.PROCESSES, uses=Contract.DURABLE_WAITS)
async def of_processes_that_resolve_a_wait_one_is_first(trial: Trial[Database]) -> None:
    """Every wait has one first writer."""
    said = await _said(trial, "resolve_waits", keys=list[Json](_names()))
    _expect_one_winner(said, _names(), "the waits that somebody was first at")


@case(Contract.DATABASE, rule="R-24", needs=Feature.PROCESSES, uses=Contract.RUNTIME_PERSISTENCE)
async def work_of_another_process_is_heard_of(trial: Trial[Database]) -> None:
    """Who listens is woken by what another process enqueues, and finds it."""
    child = await trial.child("enqueue_work", session="root")
    subscription = trial.subject.subscribe(["queue"])
    try:
        await child.go()
        expect_equal(await subscription.wait(timeout_ms=NOTIFIED_MS), True, "the notification")
        queued = await trial.subject.runtime_persistence("root").list_queued_work("root")
        expect_equal(ids(queued), [expect_present(await child.said(), "the batch")], "the work")
    finally:
        subscription.close()
