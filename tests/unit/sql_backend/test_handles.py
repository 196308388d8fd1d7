"""Several handles on one file, in one process and in several (rule R-6)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from lash.backends.sql import SqliteDatabase
from lash.values import ActivePath, ClaimedTurn, ClaimRefused, EffectFilter, TurnState

from .turns import AGENT, append, drive, note, turn_draft

Make = Callable[[], SqliteDatabase]
CHILD = str(Path(__file__).with_name("turns.py"))


async def test_what_one_handle_commits_the_other_sees_at_once(another: Make) -> None:
    one, two = another(), another()
    await one.connect()
    await two.connect()
    assert await two.runtime_persistence("s").load_session(ActivePath()) is None
    await one.runtime_persistence("s").commit_runtime_state(append("s", 0, note("a")))
    read = await two.runtime_persistence("s").load_session(ActivePath())
    assert read is not None
    assert [node.node_id for node in read.graph.nodes] == ["a"]
    await two.runtime_persistence("s").commit_runtime_state(append("s", 1, note("b", "a")))
    assert (await one.session_catalog.find_head("s")).leaf_node_id == "b"


async def test_an_unbound_handle_of_each_sees_the_others_session(another: Make) -> None:
    one, two = another(), another()
    reader = two.runtime_persistence()
    assert await reader.load_session(ActivePath()) is None
    await one.runtime_persistence().commit_runtime_state(append("s", 0, note("a")))
    read = await reader.load_session(ActivePath())
    assert read is not None
    assert read.session_id == "s"


async def test_work_that_one_handle_claimed_is_refused_to_the_other(another: Make) -> None:
    one, two = another(), another()
    await one.session_catalog.admit_session("s", agent=AGENT)
    await one.turn_ingress.accept_turn(turn_draft("s", "t"))
    first = await one.turn_ingress.claim_turn("s", owner_id=one.owner_id, agents=[AGENT], lease_ttl_ms=1_000)
    second = await two.turn_ingress.claim_turn("s", owner_id=two.owner_id, agents=[AGENT], lease_ttl_ms=1_000)
    assert isinstance(first, ClaimedTurn)
    assert isinstance(second, ClaimRefused)
    assert (second.reason, second.holder_id) == ("session_leased", one.owner_id)


async def test_a_subscriber_of_another_handle_is_woken_by_a_commit(another: Make) -> None:
    one, two = another(), another()
    await one.connect()
    await two.connect()
    subscription = two.subscribe(["session:s"])
    waiting = asyncio.ensure_future(subscription.wait(10_000))
    await one.runtime_persistence("s").commit_runtime_state(append("s", 0, note("a")))
    assert await waiting
    subscription.close()


async def test_a_subscriber_whom_nobody_wakes_is_told_so(database: SqliteDatabase) -> None:
    subscription = database.subscribe(["session:nobody"])
    assert not await subscription.wait(1)
    subscription.close()


async def test_two_processes_commit_to_one_file_and_nothing_is_lost(another: Make, path: Path) -> None:
    children = [
        await asyncio.create_subprocess_exec(sys.executable, CHILD, "commit", str(path), name, "12")
        for name in ("left", "right")
    ]
    assert [await child.wait() for child in children] == [0, 0]
    database = another()
    for name in ("left", "right"):
        read = await database.runtime_persistence(name).load_session(ActivePath())
        assert read is not None
        assert (read.head_revision, len(read.graph.nodes)) == (12, 60)
        assert read.token_ledger[0].usage.input_tokens == 240
        status = await database.turn_ingress.find_turn(name, f"{name}-turn-11")
        assert status.state is TurnState.COMMITTED
        assert status.receipt is not None
        assert status.receipt.head_revision == 12


async def test_a_database_that_is_opened_again_has_everything(another: Make) -> None:
    before = another()
    await before.session_catalog.admit_session("s", agent=AGENT, labels=["blue"], title="Title")
    await drive(before, "s", "t")
    await before.turn_ingress.accept_turn(turn_draft("s", "later"))
    await before.close()
    after = another()
    info = await after.session_catalog.find_session("s")
    assert info is not None
    assert (info.labels, info.title, info.head_revision, info.pending) == (("blue",), "Title", 1, 1)
    read = await after.runtime_persistence("s").load_session(ActivePath())
    assert read is not None
    assert len(read.graph.nodes) == 5
    records, _ = await after.effect_journal.list_effects(EffectFilter())
    assert [(record.settled, record.result.outcome if record.result else b"?") for record in records] == [
        (True, None)
    ] * 3
