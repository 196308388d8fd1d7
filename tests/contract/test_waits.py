"""Durable waits (contract 5, B-23): once, by anybody, first writer wins; opened, timed out, listed, pruned."""

from __future__ import annotations

import pytest

from lash.contracts import Database
from lash.values import EffectScope, WaitDraft, WaitRecord

from .conftest import Backend
from .samples import refused
from .settable import START_MS, SettableClock

TOKEN = "zvQ7-unguessable"  # a test's own


async def test_first_writer_wins_and_later_ones_are_told_its_value(
    db: Database, clock: SettableClock
) -> None:
    waits = db.durable_waits
    assert await waits.find_wait("k") is None
    first = await waits.resolve_wait("k", {"answer": 1})
    assert (first.value, first.first, first.resolved_at_ms) == ({"answer": 1}, True, START_MS)
    clock.advance(5)
    second = await waits.resolve_wait("k", "other")
    assert (second.value, second.first, second.resolved_at_ms) == ({"answer": 1}, False, START_MS)
    found = await waits.find_wait("k")
    assert found is not None
    assert (found.key, found.value) == ("k", {"answer": 1})


async def test_null_is_a_value(db: Database) -> None:
    await db.durable_waits.resolve_wait("k", None)
    found = await db.durable_waits.find_wait("k")
    assert found is not None
    assert found.value is None
    assert not (await db.durable_waits.resolve_wait("k", 1)).first


async def test_dropping_a_scope_drops_its_waits_only(db: Database) -> None:
    waits = db.durable_waits
    mine, theirs = EffectScope.process("p1").key, EffectScope.process("p2").key
    for key, scope_key in [("a", mine), ("b", mine), ("c", theirs), ("d", "")]:
        await waits.resolve_wait(key, 1, scope_key=scope_key)
    assert await waits.drop_waits(mine) == 2
    assert await waits.drop_waits(mine) == 0
    assert await waits.drop_waits("") == 0
    assert await waits.find_wait("a") is None
    assert await waits.find_wait("c") is not None
    assert await waits.find_wait("d") is not None
    assert (await waits.resolve_wait("a", 2)).first


async def test_value_that_is_no_json_is_refused_and_resolves_nothing(db: Database) -> None:
    with refused("json_not_representable"):
        await db.durable_waits.resolve_wait("k", float("inf"))
    assert await db.durable_waits.find_wait("k") is None


async def test_resolution_is_seen_through_another_handle(backend: Backend) -> None:
    other = await backend.another_handle()
    await backend.db.durable_waits.resolve_wait("k", [1, 2.0])
    found = await other.durable_waits.find_wait("k")
    assert found is not None
    assert found.value == [1, 2.0]


async def test_opened_wait_is_stored_as_it_was_drafted_and_without_its_token(db: Database) -> None:
    opened = await db.durable_waits.open_wait(
        WaitDraft(
            key="k",
            scope_key="s",
            kind="webhook",
            deadline_ms=START_MS + 9,
            on_timeout={"late": True},
            token=TOKEN,
            detail=["d", 1],
        )
    )
    expected = WaitRecord(
        key="k",
        created_at_ms=START_MS,
        scope_key="s",
        kind="webhook",
        deadline_ms=START_MS + 9,
        on_timeout={"late": True},
        # sha256 of the token, by `printf zvQ7-unguessable | sha256sum`
        token_hash="7591c06667ab436510cc730a8479b140a5806cfa2d41e80f6b6e9ebc1912118c",
        detail=["d", 1],
        opened_at_ms=START_MS,
    )
    assert opened == expected
    assert await db.durable_waits.get_wait("k") == expected
    assert await db.durable_waits.find_wait("k") is None


async def test_first_opening_stands_and_a_later_one_fills_in_what_is_missing(
    db: Database, clock: SettableClock
) -> None:
    waits = db.durable_waits
    await waits.open_wait(WaitDraft(key="k", kind="signal", deadline_ms=START_MS + 9, on_timeout=1))
    clock.advance(5)
    again = await waits.open_wait(
        WaitDraft(
            key="k",
            kind="approval",
            scope_key="s",
            deadline_ms=START_MS + 99,
            on_timeout=2,
            token=TOKEN,
            detail="d",
        )
    )
    assert (again.kind, again.deadline_ms, again.on_timeout) == ("signal", START_MS + 9, 1)
    assert (again.scope_key, again.detail, again.opened_at_ms) == ("s", "d", START_MS)
    assert again.token_hash is not None
    assert await waits.find_wait_by_token(TOKEN) == again
    assert await waits.open_wait(WaitDraft(key="k", token="another")) == again
    with refused("wait_unknown"):
        await waits.find_wait_by_token("another")


async def test_early_resolution_is_kept_for_who_opens_the_wait(db: Database, clock: SettableClock) -> None:
    waits = db.durable_waits
    await waits.resolve_wait("k", {"v": 1})
    clock.advance(5)
    opened = await waits.open_wait(WaitDraft(key="k", kind="signal", scope_key="s", deadline_ms=START_MS))
    assert (opened.kind, opened.scope_key, opened.opened_at_ms) == ("signal", "s", START_MS + 5)
    assert (opened.resolution, opened.resolved_at_ms, opened.timed_out) == ({"v": 1}, START_MS, False)
    assert await waits.resolve_due() == []
    assert await waits.next_deadline_ms() is None


async def test_holder_of_the_token_resolves_without_the_key(db: Database) -> None:
    waits = db.durable_waits
    await waits.open_wait(WaitDraft(key="k", token=TOKEN))
    first = await waits.resolve_by_token(TOKEN, {"paid": True})
    assert (first.key, first.value, first.first) == ("k", {"paid": True}, True)
    second = await waits.resolve_by_token(TOKEN, "again")
    assert (second.value, second.first) == ({"paid": True}, False)


async def test_unknown_altered_and_revoked_tokens_cannot_be_told_apart(db: Database) -> None:
    waits = db.durable_waits
    await waits.open_wait(WaitDraft(key="k", scope_key="s", token=TOKEN))
    told = []
    for token in ("never given out", TOKEN + "x", ""):
        with refused("wait_unknown") as caught:
            await waits.resolve_by_token(token, 1)
        told.append((caught.value.message, caught.value.facts))
    assert await waits.drop_waits("s") == 1
    with refused("wait_unknown") as caught:
        await waits.resolve_by_token(TOKEN, 1)
    told.append((caught.value.message, caught.value.facts))
    assert all(one == told[0] for one in told)
    assert TOKEN not in told[0][0]
    assert await waits.get_wait("k") is None


async def test_token_belongs_to_one_wait(db: Database) -> None:
    await db.durable_waits.open_wait(WaitDraft(key="k", token=TOKEN))
    with refused("wait_token_taken"):
        await db.durable_waits.open_wait(WaitDraft(key="other", token=TOKEN))
    assert await db.durable_waits.get_wait("other") is None


@pytest.mark.parametrize(
    "draft",
    [
        WaitDraft(key=" "),
        WaitDraft(key="a\0b"),
        WaitDraft(key="k", kind="other"),  # type: ignore[arg-type]  # what a caller without types may pass
        WaitDraft(key="k", deadline_ms=-1),
        WaitDraft(key="k", deadline_ms=2**63),
        WaitDraft(key="k", token=" "),
        WaitDraft(key="k", token="a\nb"),
    ],
)
async def test_wait_that_nobody_can_mean_is_refused(db: Database, draft: WaitDraft) -> None:
    with refused("invalid_argument"):
        await db.durable_waits.open_wait(draft)
    assert await db.durable_waits.list_waits(open_only=False) == []


async def test_wait_that_is_no_json_is_refused(db: Database) -> None:
    with refused("json_not_representable"):
        await db.durable_waits.open_wait(WaitDraft(key="k", detail=float("nan")))
    with refused("json_not_representable"):
        await db.durable_waits.open_wait(WaitDraft(key="k", on_timeout={1: 2}))
    assert await db.durable_waits.get_wait("k") is None


async def test_wait_times_out_once_with_its_own_value_when_its_time_has_come(
    db: Database, clock: SettableClock
) -> None:
    waits = db.durable_waits
    await waits.open_wait(WaitDraft(key="late", deadline_ms=START_MS + 20, on_timeout="b"))
    await waits.open_wait(WaitDraft(key="early", deadline_ms=START_MS + 10, on_timeout={"a": 1}))
    await waits.open_wait(WaitDraft(key="never"))
    assert await waits.next_deadline_ms() == START_MS + 10
    clock.advance(9)
    assert await waits.resolve_due() == []
    clock.advance(1)
    (due,) = await waits.resolve_due()
    assert (due.key, due.value, due.first, due.timed_out) == ("early", {"a": 1}, True, True)
    assert due.resolved_at_ms == START_MS + 10
    assert await waits.resolve_due() == []
    assert await waits.next_deadline_ms() == START_MS + 20
    told = await waits.resolve_wait("early", "too late")
    assert (told.value, told.first, told.timed_out) == ({"a": 1}, False, True)
    assert await waits.resolve_wait("late", "in time") is not None
    clock.advance(100)
    assert await waits.resolve_due() == []
    assert await waits.next_deadline_ms() is None


async def test_due_waits_are_resolved_earliest_first_and_up_to_the_limit(
    db: Database, clock: SettableClock
) -> None:
    waits = db.durable_waits
    for n in range(250):
        await waits.open_wait(WaitDraft(key=f"k{n:03}", deadline_ms=START_MS + 250 - n))
    clock.advance(1000)
    first = await waits.resolve_due(limit=130)
    assert [one.key for one in first] == [f"k{n:03}" for n in range(249, 119, -1)]
    assert len(await waits.resolve_due()) == 120
    assert await waits.resolve_due() == []


async def test_due_waits_can_be_asked_for_as_of_another_time(db: Database) -> None:
    await db.durable_waits.open_wait(WaitDraft(key="k", deadline_ms=START_MS + 10))
    assert await db.durable_waits.resolve_due(now_ms=START_MS + 9) == []
    assert [one.key for one in await db.durable_waits.resolve_due(now_ms=START_MS + 10)] == ["k"]


async def test_waits_are_listed_in_the_order_of_their_making_and_by_page(db: Database) -> None:
    waits = db.durable_waits
    for key, kind, scope in [("c", "signal", "s1"), ("a", "approval", "s2"), ("b", "signal", "s1")]:
        await waits.open_wait(WaitDraft(key=key, kind=kind, scope_key=scope))  # type: ignore[arg-type]
    await waits.resolve_wait("buffered", 1)

    async def keys(**where: object) -> list[str]:
        return [wait.key for wait in await waits.list_waits(**where)]  # type: ignore[arg-type]

    assert await keys() == ["c", "a", "b"]
    assert await keys(open_only=False) == ["c", "a", "b", "buffered"]
    assert await keys(kind="signal") == ["c", "b"]
    assert await keys(scope_key="s2") == ["a"]
    assert await keys(scope_key="s1", kind="approval") == []
    assert await keys(scope_key="") == []
    assert await keys(limit=2) == ["c", "a"]
    assert await keys(after="a") == ["b"]
    assert await keys(after="gone") == []
    await waits.resolve_wait("c", 1)
    assert await keys() == ["a", "b"]
    assert await keys(kind="signal", open_only=False) == ["c", "b"]
    assert await keys(kind="signal") == ["b"]


async def test_only_resolved_waits_without_a_scope_are_pruned(db: Database, clock: SettableClock) -> None:
    waits = db.durable_waits
    for key, scope_key in [("old", ""), ("owned", "s"), ("older", "")]:
        await waits.resolve_wait(key, 1, scope_key=scope_key)
    await waits.open_wait(WaitDraft(key="open"))
    clock.advance(10)
    await waits.resolve_wait("young", 1)
    assert await waits.prune_waits(resolved_before_ms=START_MS + 10, limit=1) == 1
    assert await waits.prune_waits(resolved_before_ms=START_MS + 10) == 1
    assert await waits.prune_waits(resolved_before_ms=START_MS + 10) == 0
    left = [wait.key for wait in await waits.list_waits(open_only=False)]
    assert left == ["owned", "open", "young"]


async def test_those_who_wait_are_told_and_so_are_timers(db: Database) -> None:
    resolved, timers = db.subscribe(["wait:k"]), db.subscribe(["timers"])
    try:
        await db.durable_waits.open_wait(WaitDraft(key="k"))
        assert not await timers.wait(1)
        await db.durable_waits.open_wait(WaitDraft(key="k", deadline_ms=START_MS + 10))
        assert await timers.wait(30_000)
        assert not await resolved.wait(1)
        await db.durable_waits.resolve_due(now_ms=START_MS + 10)
        assert await resolved.wait(30_000)
    finally:
        resolved.close()
        timers.close()


async def test_one_wait_is_dropped_with_its_token(db: Database) -> None:
    waits = db.durable_waits
    await waits.open_wait(WaitDraft(key="k", token=TOKEN, deadline_ms=START_MS))
    await waits.open_wait(WaitDraft(key="other"))
    assert await waits.drop_wait("k")
    assert not await waits.drop_wait("k")
    with refused("wait_unknown"):
        await waits.resolve_by_token(TOKEN, 1)
    assert await waits.next_deadline_ms() is None
    assert [wait.key for wait in await waits.list_waits()] == ["other"]
