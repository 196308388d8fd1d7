"""The session catalog: an id is used once for all time (contract 5, B-5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect_equal, expect_present, refused
from lash.testing.conformance.samples.queue import draft
from lash.testing.conformance.samples.sessions import FULL, append, commit_of, next_commit, node
from lash.testing.conformance.samples.turns import AGENT, admitted, claimed, turn
from lash.testing.conformance.trial import Trial


@case(Contract.SESSION_CATALOG, rule="B-5")
async def admitting_again_reopens(trial: Trial[Database]) -> None:
    """The first call creates, later ones reopen; labels and title change only when they are given."""
    catalog = trial.subject.session_catalog
    created, was_created = await catalog.admit_session("s1", agent=AGENT, labels=["a", "b", "a"], title="T")
    expect_equal((was_created, created.labels, created.title), (True, ("a", "b"), "T"), "the new session")
    reopened, was_created = await catalog.admit_session("s1", agent=AGENT)
    expect_equal((was_created, reopened.labels, reopened.title), (False, ("a", "b"), "T"), "reopened")
    changed, _ = await catalog.admit_session("s1", agent=AGENT, labels=[], title="U")
    expect_equal((changed.labels, changed.title), ((), "U"), "the changed session")
    expect_equal(await catalog.find_session("s1"), changed, "the session as found")
    expect_equal(await catalog.find_session("nowhere"), None, "an unknown session")


@case(Contract.SESSION_CATALOG, rule="R-7")
async def bad_admissions_are_refused(trial: Trial[Database]) -> None:
    """Blank ids, ids that are no text, and sessions of another agent."""
    catalog = trial.subject.session_catalog
    for bad in ("", " \t", "\ud800"):
        with refused("invalid_argument", f"the session id {bad!a}"):
            await catalog.admit_session(bad, agent=AGENT)
    await catalog.admit_session("s1", agent=AGENT)
    with refused("agent_mismatch", "another agent's session"):
        await catalog.admit_session("s1", agent="other")


@case(Contract.SESSION_CATALOG)
async def session_ids_are_kept_as_they_are(trial: Trial[Database]) -> None:
    """No trimming, no folding, no normalisation: each is its own session."""
    catalog = trial.subject.session_catalog
    ids = [" s", "S", "s", "s ", "\u00e9", "e\u0301", "\uffee", "\U0001f680"]
    for session_id in ids:
        _, was_created = await catalog.admit_session(session_id, agent=AGENT)
        expect_equal(was_created, True, f"{session_id!a} is a session of its own")
    listed = [session.session_id for session in await catalog.list_sessions()]
    expect_equal(listed, sorted(ids), "the sessions, by code point")


@case(Contract.SESSION_CATALOG)
async def sessions_are_listed_in_pages(trial: Trial[Database]) -> None:
    """By id, after an id, by label, by a piece of id or title without regard to case."""
    catalog = trial.subject.session_catalog
    for index in range(5):
        labels = ["even"] if index % 2 == 0 else []
        await catalog.admit_session(f"s{index}", agent=AGENT, labels=labels, title=f"Title {index}")
    queries = [
        ({"limit": 2}, ["s0", "s1"]),
        ({"after": "s1", "limit": 2}, ["s2", "s3"]),
        ({"label": "even"}, ["s0", "s2", "s4"]),
        ({"search": "TITLE 3"}, ["s3"]),
        ({"search": "S4"}, ["s4"]),
        ({"search": "%"}, []),
        ({"search": "_"}, []),
        ({"limit": 0}, []),
    ]
    for query, wanted in queries:
        found = await catalog.list_sessions(**query)  # type: ignore[arg-type]
        # each query names some of the keyword arguments
        expect_equal([session.session_id for session in found], wanted, f"the sessions of {query}")


@case(
    Contract.SESSION_CATALOG,
    needs=Feature.CLOCK,
    uses=(Contract.TURN_INGRESS, Contract.RUNTIME_PERSISTENCE),
)
async def a_session_line_tells_how_it_stands(trial: Trial[Database]) -> None:
    """Times, revision, pending work, and whether somebody drives it."""
    database, created_at_ms = trial.subject, trial.clock.now_ms()
    await admitted(database)
    await database.turn_ingress.accept_turn(turn("t1"))
    await database.turn_ingress.accept_turn(turn("t2"))
    await claimed(database)
    updated_at_ms = trial.clock.advance(5)
    await database.runtime_persistence("root").commit_runtime_state(next_commit(0))
    info = expect_present(await database.session_catalog.find_session("root"), "the session")
    shown = (info.created_at_ms, info.updated_at_ms, info.head_revision, info.pending, info.running)
    expect_equal(shown, (created_at_ms, updated_at_ms, 1, 1, True), "its line")


@case(Contract.SESSION_CATALOG, uses=Contract.RUNTIME_PERSISTENCE)
async def heads_tell_where_a_session_stands(trial: Trial[Database]) -> None:
    """Revision 0 before the first commit; leaf and revision after it."""
    database = trial.subject
    head = await database.session_catalog.find_head("root")
    expect_equal((head.revision, head.leaf_node_id), (0, None), "before the first commit")
    await database.runtime_persistence("root").commit_runtime_state(next_commit(0, append(node("n1"))))
    head = await database.session_catalog.find_head("root")
    expect_equal((head.revision, head.leaf_node_id), (1, "n1"), "after it")


@case(Contract.SESSION_CATALOG, rule="B-5", uses=Contract.RUNTIME_PERSISTENCE)
async def deleted_ids_stay_taken(trial: Trial[Database]) -> None:
    """What the session owned is gone; its id admits, commits and queues nothing any more."""
    database, catalog = trial.subject, trial.subject.session_catalog
    store = database.runtime_persistence("root")
    await admitted(database)
    await store.commit_runtime_state(next_commit(0, append(node("n1"))))
    await store.enqueue_queued_work(draft("x"))
    deletion = await catalog.delete_session("root")
    expect_equal((deletion.node_count, deletion.queued_count), (1, 1), "what was removed")
    expect_equal(await catalog.find_session("root"), None, "the session")
    fresh = database.runtime_persistence("root")
    expect_equal(await fresh.load_session(FULL), None, "its state")
    expect_equal(await fresh.list_queued_work("root"), [], "its queue")
    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "an admission": lambda: catalog.admit_session("root", agent=AGENT),
        "a commit": lambda: fresh.commit_runtime_state(commit_of()),
        "queued work": lambda: fresh.enqueue_queued_work(draft("x")),
    }
    for name, attempt in attempts.items():
        with refused("session_deleted", f"{name} of a deleted session"):
            await attempt()


@case(
    Contract.SESSION_CATALOG,
    rule="B-5",
    uses=(Contract.SESSION_LEASES, Contract.RUNTIME_PERSISTENCE),
)
async def driven_and_unknown_sessions_are_not_deleted(trial: Trial[Database]) -> None:
    """A live lease protects its session; what is not there cannot be deleted; others stay whole."""
    database, catalog = trial.subject, trial.subject.session_catalog
    with refused("session_unknown", "deleting an unknown session"):
        await catalog.delete_session("root")
    await admitted(database, "root", "root2")
    lease = await database.session_leases.claim_session_lease("root", owner_id="o1", ttl_ms=30_000)
    with refused("session_busy", "deleting a session that is driven"):
        await catalog.delete_session("root")
    await database.session_leases.release_session_lease(lease)
    await database.runtime_persistence("root2").enqueue_queued_work(draft("x", "root2"))
    await catalog.delete_session("root")
    left = await database.runtime_persistence("root2").list_queued_work("root2")
    expect_equal(len(left), 1, "the queue of a session whose id begins alike")
    listed = await catalog.list_sessions()
    expect_equal([session.session_id for session in listed], ["root2"], "the sessions left")


@case(Contract.SESSION_CATALOG, uses=Contract.RUNTIME_PERSISTENCE)
async def unbound_handles_resolve_to_the_only_session(trial: Trial[Database]) -> None:
    """With several sessions a handle without one refuses to guess."""
    database = trial.subject
    await database.runtime_persistence("s1").commit_runtime_state(commit_of("s1"))
    read = expect_present(await database.runtime_persistence().load_session(FULL), "the only session")
    expect_equal(read.session_id, "s1", "the only session")
    await database.runtime_persistence("s2").commit_runtime_state(commit_of("s2"))
    with refused("session_ambiguous", "a read without a session, of two"):
        await database.runtime_persistence().load_session(FULL)
    read = expect_present(await database.runtime_persistence("s2").load_session(FULL), "a named session")
    expect_equal(read.session_id, "s2", "a named session")
