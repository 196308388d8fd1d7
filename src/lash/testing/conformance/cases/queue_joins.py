"""Which batches are claimed together (contract 2.D.5, rules R-16 and R-36)."""

from __future__ import annotations

from lash.contracts import RuntimePersistence
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect_equal
from lash.testing.conformance.samples.queue import JOIN, LATE, YEAR_2100_MS, claim, draft, ids, joining
from lash.testing.conformance.trial import Trial
from lash.values import MergePayloadDefault


@case(Contract.RUNTIME_PERSISTENCE, seed=True)
async def queued_work_join_groups_by_delivery_policy_and_merge_key(trial: Trial[RuntimePersistence]) -> None:
    """Neighbours join when delivery policy and merge key agree, and not otherwise."""
    store = trial.subject
    first = await store.enqueue_queued_work(joining("group a one", "a"))
    second = await store.enqueue_queued_work(joining("group a two", "a"))
    other_merge = await store.enqueue_queued_work(joining("group b", "b"))
    other_delivery = await store.enqueue_queued_work(
        draft("after commit", delivery=LATE, slot=JOIN, group="a")
    )
    expect_equal(ids(await claim(store)), [first.batch_id, second.batch_id], "the first group")
    expect_equal(ids(await claim(store))[:1], [other_merge.batch_id], "another merge key")
    expect_equal(ids(await claim(store))[:1], [other_delivery.batch_id], "another delivery policy")


@case(Contract.RUNTIME_PERSISTENCE)
async def joins_keep_to_one_delivery_policy(trial: Trial[RuntimePersistence]) -> None:
    """Neighbours of one merge key but two delivery policies are two claims, at idle as well."""
    store = trial.subject
    early = await store.enqueue_queued_work(joining("early"))
    late = await store.enqueue_queued_work(draft("late", delivery=LATE, slot=JOIN, group="g"))
    expect_equal(ids(await claim(store)), [early.batch_id], "the early work alone")
    expect_equal(ids(await claim(store)), [late.batch_id], "the late work alone")


@case(Contract.RUNTIME_PERSISTENCE)
async def exclusive_work_is_claimed_alone(trial: Trial[RuntimePersistence]) -> None:
    """An exclusive batch takes nobody along and joins nobody, whatever its merge key."""
    store = trial.subject
    rows = [
        await store.enqueue_queued_work(draft("1", group="g")),
        await store.enqueue_queued_work(joining("2")),
        await store.enqueue_queued_work(draft("3", group="g")),
        await store.enqueue_queued_work(joining("4")),
    ]
    for row in rows:
        expect_equal(ids(await claim(store)), [row.batch_id], "each goes alone")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-16")
async def never_means_alone(trial: Trial[RuntimePersistence]) -> None:
    """Two joining batches that both say never do not merge."""
    store = trial.subject
    rows = [await store.enqueue_queued_work(draft(text, slot=JOIN)) for text in ("1", "2")]
    for row in rows:
        expect_equal(ids(await claim(store)), [row.batch_id], "each goes alone")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-16")
async def merge_keys_compare_as_what_they_are(trial: Trial[RuntimePersistence]) -> None:
    """The payload default merges with itself, and is no group of that name."""
    store, default = trial.subject, MergePayloadDefault()
    rows = [
        await store.enqueue_queued_work(joining("1").replace(merge_key=default)),
        await store.enqueue_queued_work(joining("2").replace(merge_key=default)),
        await store.enqueue_queued_work(joining("3", "payload_default")),
        await store.enqueue_queued_work(joining("4", "never")),
    ]
    wanted = [row.batch_id for row in rows]
    expect_equal(ids(await claim(store)), wanted[:2], "the payload defaults")
    expect_equal(ids(await claim(store)), wanted[2:3], "a group called payload_default")
    expect_equal(ids(await claim(store)), wanted[3:], "a group called never")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-36")
async def gaps_that_are_no_candidates_do_not_break_a_group(trial: Trial[RuntimePersistence]) -> None:
    """Another session's rows and rows for later, in between, do not keep neighbours apart."""
    store = trial.subject
    first = await store.enqueue_queued_work(joining("1"))
    await store.enqueue_queued_work(draft("foreign", "other"))
    await store.enqueue_queued_work(draft("later", available_at_ms=YEAR_2100_MS))
    second = await store.enqueue_queued_work(joining("2"))
    expect_equal(ids(await claim(store)), [first.batch_id, second.batch_id], "the group around the gap")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-36")
async def a_candidate_in_between_ends_a_group(trial: Trial[RuntimePersistence]) -> None:
    """Work that could be claimed is not jumped over to make a larger group."""
    store = trial.subject
    rows = [await store.enqueue_queued_work(joining(text, group)) for text, group in ("1g", "2h", "3g")]
    for row in rows:
        expect_equal(ids(await claim(store)), [row.batch_id], "each group by itself, in order")
