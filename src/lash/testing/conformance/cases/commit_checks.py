"""What a commit is refused for, and that a refused one leaves no trace (contract 2.D.3)."""

from __future__ import annotations

import asyncio
from typing import Any

from lash.contracts import RuntimePersistence
from lash.errors import LashError
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_present, refused
from lash.testing.conformance.samples.queue import claim, draft, ids
from lash.testing.conformance.samples.sessions import (
    FULL,
    append,
    commit_of,
    committed,
    load,
    next_commit,
    node,
    node_ids,
    stamp,
    used,
)
from lash.testing.conformance.trial import Trial
from lash.values import RuntimeCommitResult

NOBODYS = "a token that nobody was given"


@case(Contract.RUNTIME_PERSISTENCE, rule="R-7")
async def stale_revisions_are_refused(trial: Trial[RuntimePersistence]) -> None:
    """A commit upon another head is refused, with both revisions as facts, and changes nothing."""
    await committed(trial.subject, append(node("n1")))
    for expected in (0, 2, 7):
        with refused("head_revision_conflict", f"a commit upon revision {expected} of a head at 1"):
            await trial.subject.commit_runtime_state(next_commit(expected, append(node("n2", "n1"))))
    try:
        await trial.subject.commit_runtime_state(next_commit(7))
    except LashError as error:
        expect_equal((error.facts.get("expected"), error.facts.get("actual")), (7, 1), "the facts")
    read = await load(trial.subject)
    expect_equal((read.head_revision, node_ids(read)), (1, ["n1"]), "the session after refusals")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-20")
async def no_expectation_means_no_head(trial: Trial[RuntimePersistence]) -> None:
    """None expects revision 0: right for the first commit, refused for any later one."""
    first = await trial.subject.commit_runtime_state(commit_of())
    expect_equal(first.head_revision, 1, "the first commit may expect nothing")
    with refused("head_revision_conflict", "a second commit that expects nothing"):
        await trial.subject.commit_runtime_state(commit_of(turn_index=1))


@case(Contract.RUNTIME_PERSISTENCE)
async def of_concurrent_commits_one_wins(trial: Trial[RuntimePersistence]) -> None:
    """Of commits with one expectation exactly one is applied; the others get the coded conflict."""
    commits = [next_commit(0, append(node(f"n{index}"))) for index in range(8)]
    answers: list[Any] = await asyncio.gather(
        *(trial.subject.commit_runtime_state(commit) for commit in commits), return_exceptions=True
    )
    won = [answer for answer in answers if isinstance(answer, RuntimeCommitResult)]
    codes = {getattr(answer, "code", repr(answer)) for answer in answers if answer not in won}
    expect_equal(len(won), 1, "the number of winners")
    expect_equal(codes, {"head_revision_conflict"}, "what the others are told")
    read = await load(trial.subject)
    expect_equal((read.head_revision, len(node_ids(read))), (1, 1), "what was applied")


@case(Contract.RUNTIME_PERSISTENCE)
async def recorded_stamps_answer_before_everything_else(trial: Trial[RuntimePersistence]) -> None:
    """The repeat of a stamped commit adds no usage, no nodes and no revision."""
    stamped = next_commit(0, append(node("n1")), usage_deltas=(used(5),)).with_turn_commit(stamp("t1"))
    first = await trial.subject.commit_runtime_state(stamped)
    await trial.subject.commit_runtime_state(next_commit(1, append(node("n2", "n1"))))
    again = await trial.subject.commit_runtime_state(stamped)
    expect_equal(again.head_revision, first.head_revision, "the repeat has the first answer")
    read = await load(trial.subject)
    expect_equal((read.head_revision, node_ids(read)), (2, ["n1", "n2"]), "the session after the repeat")
    expect_equal([entry.usage.input_tokens for entry in read.token_ledger], [5], "usage counts once")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-7")
async def stamps_of_another_session_conflict(trial: Trial[RuntimePersistence]) -> None:
    """A stamp names the session of its commit."""
    foreign = next_commit(0).with_turn_commit(stamp("t1", session_id="other"))
    with refused("runtime_turn_commit_conflict", "a stamp of another session"):
        await trial.subject.commit_runtime_state(foreign)
    expect_equal(await trial.subject.load_session(FULL), None, "the session after the refusal")


@case(Contract.RUNTIME_PERSISTENCE)
async def refused_commits_leave_no_stamp(trial: Trial[RuntimePersistence]) -> None:
    """A turn whose commit was refused may commit later, with other content."""
    refused_one = next_commit(3).with_turn_commit(stamp("t1", "h1"))
    with refused("head_revision_conflict", "a commit upon a head that is not there"):
        await trial.subject.commit_runtime_state(refused_one)
    result = await trial.subject.commit_runtime_state(next_commit(0).with_turn_commit(stamp("t1", "h2")))
    expect_equal(result.head_revision, 1, "the turn commits after all")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-14")
async def the_stamp_hash_ignores_clocks_and_topology(trial: Trial[RuntimePersistence]) -> None:
    """Revision, claims, attachments, node times and callers' node ids stay out of a commit's hash."""
    store = trial.subject
    await store.enqueue_queued_work(draft("work"))
    completion = (await claim(store)).completion()
    base = next_commit(0, append(node("n1")))
    moved = node("other-id").replace(timestamp="2026-06-02T00:00:00Z", payload=node("n1").payload)
    for name, same in {
        "revision": base.replace(expected_head_revision=9),
        "claims": base.completing_queue_claim(completion),
        "attachments": base.with_committed_attachments(["a1"]),
        "node ids and times": base.replace(graph=append(moved)),
    }.items():
        expect_equal(same.turn_commit_hash(), base.turn_commit_hash(), f"{name} stay out of the hash")
    for name, other in {
        "usage": base.replace(usage_deltas=(used(1),)),
        "nodes": base.replace(graph=append(node("n1"), node("n2", "n1"))),
        "the frame": base.replace(current_agent_frame_id="f9"),
    }.items():
        expect(other.turn_commit_hash() != base.turn_commit_hash(), f"{name} are part of the hash")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-1")
async def what_is_not_json_is_refused_whole(trial: Trial[RuntimePersistence]) -> None:
    """NaN, infinities, lone surrogates and integers beyond 64 bits are refused, and nothing is kept."""
    for value in (float("nan"), float("inf"), "\ud800", 2**64, -(2**63) - 1):
        commit = commit_of(protocol_turn_options={"value": [value]})
        with refused("json_not_representable", f"a commit that holds {value!r}"):
            await trial.subject.commit_runtime_state(commit)
    expect_equal(await trial.subject.load_session(FULL), None, "the session after the refusals")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-1")
async def json_values_keep_their_kind(trial: Trial[RuntimePersistence]) -> None:
    """1, 1.0 and true come back as what they were, and so do long texts and the largest integers."""
    options = {
        "i": 1,
        "f": 1.0,
        "t": True,
        "big": 2**64 - 1,
        "low": -(2**63),
        "text": "\u00fc\U0001f680" * 999,
    }
    await trial.subject.commit_runtime_state(commit_of(protocol_turn_options=options))
    checkpoint = expect_present((await load(trial.subject)).checkpoint, "a session has a checkpoint")
    read = checkpoint.turn_state.protocol_turn_options
    for name, value in options.items():
        expect_equal((type(read[name]), read[name]), (type(value), value), f"the value {name!r}")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-31")
async def refused_completions_undo_the_whole_commit(trial: Trial[RuntimePersistence]) -> None:
    """With one bad completion among good ones, no row is completed and nothing is committed."""
    store = trial.subject
    await store.enqueue_queued_work(draft("one"))
    await store.enqueue_queued_work(draft("two"))
    good, bad = (await claim(store)).completion(), (await claim(store)).completion()
    commit = next_commit(0).completing_queue_claim(good)
    commit = commit.completing_queue_claim(bad.replace(lease_token=NOBODYS))
    with refused("queue_claim_expired", "a commit with one stale completion"):
        await store.commit_runtime_state(commit)
    expect_equal(len(ids(await store.list_queued_work("root"))), 2, "the rows after the refusal")
    expect_equal(await store.load_session(FULL), None, "the session after the refusal")
