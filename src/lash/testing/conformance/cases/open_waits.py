"""Waits that somebody opened: deadlines, tokens, lists (contract 5, B-23)."""

from __future__ import annotations

from lash.contracts import Database
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, expect_json, expect_present, refused
from lash.testing.conformance.trial import Trial
from lash.values import WaitDraft


@case(Contract.DURABLE_WAITS, rule="B-23", needs=Feature.CLOCK)
async def the_first_opening_of_a_wait_stands(trial: Trial[Database]) -> None:
    """A waiter that is restarted keeps its deadline; what was left open is filled in."""
    waits, now_ms = trial.subject.durable_waits, trial.clock.now_ms()
    await waits.open_wait(WaitDraft(key="k", kind="signal", deadline_ms=now_ms + 10, on_timeout=1))
    trial.clock.advance(5)
    again = await waits.open_wait(
        WaitDraft(key="k", kind="approval", scope_key="s", deadline_ms=now_ms + 99, on_timeout=2, detail="d")
    )
    expect_equal((again.kind, again.deadline_ms), ("signal", now_ms + 10), "the wait after a second opening")
    expect_json(again.on_timeout, 1, "what it times out to")
    expect_equal((again.scope_key, again.detail), ("s", "d"), "what the first opening had left open")
    expect_equal(again.opened_at_ms, now_ms, "when it was opened")
    expect_equal(await waits.get_wait("k"), again, "the stored wait")


@case(Contract.DURABLE_WAITS, rule="B-23")
async def an_early_resolution_is_kept_for_the_opener(trial: Trial[Database]) -> None:
    """Resolved before it is opened, a wait is open to nobody and never due."""
    waits = trial.subject.durable_waits
    await waits.resolve_wait("k", {"v": 1})
    opened = await waits.open_wait(WaitDraft(key="k", kind="signal", deadline_ms=0))
    expect(opened.is_resolved, "the opener finds the resolution")
    expect_json(opened.resolution, {"v": 1}, "the value")
    expect_equal(await waits.resolve_due(), [], "what is due")
    expect_equal(await waits.list_waits(), [], "the open waits")


@case(Contract.DURABLE_WAITS, rule="B-23")
async def tokens_resolve_their_own_wait_only(trial: Trial[Database]) -> None:
    """Who holds the token needs no key; tokens that are unknown, altered or revoked cannot be told apart."""
    waits = trial.subject.durable_waits
    await waits.open_wait(WaitDraft(key="a", token="token a"))  # noqa: S106  # a case's own
    await waits.open_wait(WaitDraft(key="b", token="token b"))  # noqa: S106
    expect_equal((await waits.find_wait_by_token("token a")).key, "a", "the wait of a token")
    for token in ("token c", "token a ", ""):
        with refused("wait_unknown", f"the token {token!r}"):
            await waits.resolve_by_token(token, 1)
    first = await waits.resolve_by_token("token a", {"paid": True})
    expect_equal((first.key, first.first), ("a", True), "the resolution by token")
    expect_equal(await waits.find_wait("b"), None, "the wait of another token")
    expect_json(expect_present(await waits.find_wait("a"), "the wait").value, {"paid": True}, "its value")
    expect_equal(await waits.drop_wait("b"), True, "one wait that is dropped")
    with refused("wait_unknown", "a token whose wait was dropped"):
        await waits.find_wait_by_token("token b")


@case(Contract.DURABLE_WAITS, rule="B-23", needs=Feature.CLOCK)
async def due_waits_time_out_once_and_in_order(trial: Trial[Database]) -> None:
    """Each with its own value, at its time, the earliest first; what was resolved in time is left alone."""
    waits, now_ms = trial.subject.durable_waits, trial.clock.now_ms()
    for key, after_ms in (("late", 20), ("early", 10), ("answered", 5)):
        await waits.open_wait(WaitDraft(key=key, deadline_ms=now_ms + after_ms, on_timeout={"was": key}))
    await waits.resolve_wait("answered", "in time")
    expect_equal(await waits.next_deadline_ms(), now_ms + 10, "the next deadline")
    trial.clock.advance(9)
    expect_equal(await waits.resolve_due(), [], "what is due a moment too early")
    trial.clock.advance(11)
    due = await waits.resolve_due()
    expect_equal([one.key for one in due], ["early", "late"], "what is due")
    expect_json([one.value for one in due], [{"was": "early"}, {"was": "late"}], "the values")
    expect(all(one.timed_out and one.first for one in due), "they are known to have timed out")
    expect_equal(await waits.resolve_due(), [], "what is due again")
    expect_equal(await waits.next_deadline_ms(), None, "the next deadline")
    told = await waits.resolve_wait("early", "too late")
    expect_equal((told.first, told.timed_out), (False, True), "an answer that came too late")


@case(Contract.DURABLE_WAITS)
async def open_waits_are_listed_by_page(trial: Trial[Database]) -> None:
    """In the order of their making; by kind and by scope; resolved ones only when asked for."""
    waits = trial.subject.durable_waits
    await waits.open_wait(WaitDraft(key="c", kind="signal", scope_key="s1"))
    await waits.open_wait(WaitDraft(key="a", kind="approval", scope_key="s2"))
    await waits.open_wait(WaitDraft(key="b", kind="signal", scope_key="s1"))
    await waits.resolve_wait("a", 1)
    expect_equal([one.key for one in await waits.list_waits()], ["c", "b"], "the open waits")
    every = await waits.list_waits(open_only=False)
    expect_equal([one.key for one in every], ["c", "a", "b"], "all waits")
    page = await waits.list_waits(open_only=False, after="c", limit=1)
    expect_equal([one.key for one in page], ["a"], "the page after the first")
    expect_equal([one.key for one in await waits.list_waits(kind="approval")], [], "open approvals")
    scoped = await waits.list_waits(scope_key="s1", kind="signal")
    expect_equal([one.key for one in scoped], ["c", "b"], "the signals of a scope")


@case(Contract.DURABLE_WAITS, rule="B-16", needs=Feature.CLOCK)
async def waits_that_nobody_owns_are_pruned(trial: Trial[Database]) -> None:
    """Resolved ones without a scope go by their age; those of a scope go with it."""
    waits, now_ms = trial.subject.durable_waits, trial.clock.now_ms()
    await waits.resolve_wait("old", 1)
    await waits.resolve_wait("owned", 1, scope_key="s")
    await waits.open_wait(WaitDraft(key="open"))
    trial.clock.advance(10)
    await waits.resolve_wait("young", 1)
    expect_equal(await waits.prune_waits(resolved_before_ms=now_ms + 10), 1, "the waits pruned")
    left = [one.key for one in await waits.list_waits(open_only=False)]
    expect_equal(left, ["owned", "open", "young"], "the waits that are left")
