"""The attachment manifest, in its two declared flavours (contract 2.E)."""

from __future__ import annotations

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect_equal, refused
from lash.testing.conformance.samples.sessions import commit_of, committed, intent, load, next_commit
from lash.testing.conformance.trial import Trial

KEEPS = Feature.PERSISTENT_MANIFEST


async def _waiting(store: RuntimePersistence, older_than_ms: int = 200) -> list[tuple[str, str]]:
    return [(row.session_id, row.attachment_id) for row in await store.list_uncommitted(older_than_ms)]


@case(Contract.RUNTIME_PERSISTENCE, seed=True, needs=KEEPS)
async def attachment_manifest_records_intent_and_commit_stamps(trial: Trial[RuntimePersistence]) -> None:
    """Intents wait until a commit, of the turn or out of band, stamps them; orphans can be forgotten."""
    store = trial.subject
    for attachment_id in ("runtime-commit", "manual-commit", "orphan"):
        await store.record_intent(intent(attachment_id))
    expect_equal(len(await store.list_uncommitted(200)), 3, "the intents that wait")
    await store.commit_refs("root", ["manual-commit"])
    await store.commit_runtime_state(commit_of().with_committed_attachments(["runtime-commit"]))
    left = await store.list_uncommitted(200)
    expect_equal([row.attachment_id for row in left], ["orphan"], "what no commit has stamped")
    expect_equal([row.committed_at_ms for row in left], [None], "an orphan's commit time")
    await store.forget("orphan")
    expect_equal(await store.list_uncommitted(200), [], "what waits after the orphan is forgotten")


@case(Contract.RUNTIME_PERSISTENCE, seed=True, needs=Feature.NOOP_MANIFEST)
async def noop_attachment_manifest_is_explicit_and_empty(trial: Trial[RuntimePersistence]) -> None:
    """The declared no-op flavour takes every call, keeps nothing, and commits with attachments."""
    store = trial.subject
    expect_equal(store.attachment_manifest, "noop", "the flavour that is declared")
    await store.record_intent(intent("noop"))
    await store.commit_refs("root", ["noop"])
    expect_equal(await store.list_uncommitted(200), [], "what a no-op manifest keeps")
    await store.forget("noop")
    await store.commit_runtime_state(commit_of().with_committed_attachments(["noop"]))
    expect_equal((await load(store)).head_revision, 1, "a commit with attachments works")


@case(Contract.RUNTIME_PERSISTENCE, needs=KEEPS)
async def persistent_manifests_say_so(trial: Trial[RuntimePersistence]) -> None:
    """A store that keeps its manifest declares the persistent flavour."""
    expect_equal(trial.subject.attachment_manifest, "persistent", "the flavour that is declared")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-43", needs=KEEPS)
async def sessions_do_not_share_manifest_rows(trial: Trial[RuntimePersistence]) -> None:
    """Two sessions may mean the same bytes: each has its own row, its own commit, its own orphan."""
    store = trial.subject
    await store.record_intent(intent("a1", session_id="one"))
    await store.record_intent(intent("a1", session_id="two"))
    await store.commit_refs("one", ["a1"])
    expect_equal(await _waiting(store), [("two", "a1")], "what still waits")
    await store.commit_refs("two", ["a1"])
    expect_equal(await _waiting(store), [], "what still waits")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-43", needs=KEEPS)
async def an_intent_again_moves_its_time_forward(trial: Trial[RuntimePersistence]) -> None:
    """While it waits, the newer time counts; an older one does not turn it back."""
    store = trial.subject
    await store.record_intent(intent("a1", at_ms=100))
    await store.record_intent(intent("a1", at_ms=300))
    await store.record_intent(intent("a1", at_ms=50))
    expect_equal(await _waiting(store, 299), [], "what is older than the newer time")
    expect_equal(await _waiting(store, 300), [("root", "a1")], "what is as old as the newer time")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-43", needs=KEEPS)
async def an_intent_after_the_commit_changes_nothing(trial: Trial[RuntimePersistence]) -> None:
    """A committed attachment does not wait again."""
    store = trial.subject
    await store.record_intent(intent("a1"))
    await store.commit_refs("root", ["a1"])
    await store.record_intent(intent("a1", at_ms=150))
    expect_equal(await _waiting(store), [], "what waits after a repeated intent")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-4", needs=KEEPS)
async def the_age_bound_of_the_manifest_is_inclusive(trial: Trial[RuntimePersistence]) -> None:
    """Rows as old as the bound are listed, by time and then by id."""
    store = trial.subject
    for attachment_id, at_ms in (("b", 100), ("a", 100), ("c", 90), ("d", 101)):
        await store.record_intent(intent(attachment_id, at_ms=at_ms))
    listed = [attachment_id for _, attachment_id in await _waiting(store, 100)]
    expect_equal(listed, ["c", "a", "b"], "rows not younger than the bound, in order")


@case(Contract.RUNTIME_PERSISTENCE, needs=KEEPS)
async def commits_ignore_attachments_without_an_intent(trial: Trial[RuntimePersistence]) -> None:
    """Ids without a row, or of another session, are passed over; nothing is made up for them."""
    store = trial.subject
    await store.record_intent(intent("a1", session_id="other"))
    await committed(store, committed_attachment_ids=("a1", "nowhere"))
    await store.commit_refs("root", ["a1", "nowhere"])
    expect_equal(await _waiting(store), [("other", "a1")], "the other session's row")


@case(Contract.RUNTIME_PERSISTENCE, needs=KEEPS)
async def refused_commits_stamp_no_attachments(trial: Trial[RuntimePersistence]) -> None:
    """The stamp is part of the commit: a refused one leaves the row waiting."""
    store = trial.subject
    await store.record_intent(intent("a1"))
    with refused("head_revision_conflict", "a commit upon a head that is not there"):
        await store.commit_runtime_state(next_commit(5, committed_attachment_ids=("a1",)))
    expect_equal(await _waiting(store), [("root", "a1")], "the row after the refusal")
    await store.forget("nowhere")
    expect_equal(len(await _waiting(store)), 1, "forgetting an unknown id is fine")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-43", needs=KEEPS)
async def attachments_that_any_session_names_are_told(trial: Trial[RuntimePersistence]) -> None:
    """Committed or not, of this session or another: whoever deletes bytes elsewhere has to know."""
    store = trial.subject
    await store.record_intent(intent("waits"))
    await store.record_intent(intent("kept", session_id="other"))
    await store.commit_refs("other", ["kept"])
    await store.record_intent(intent("gone"))
    await store.forget("gone")
    asked = ["waits", "kept", "gone", "never"]
    expect_equal(await store.find_named(asked), ["kept", "waits"], "the attachments that somebody names")
    expect_equal(await store.find_named(["never"]), [], "one that nobody names")
    expect_equal(await store.find_named([]), [], "none that are asked for")
