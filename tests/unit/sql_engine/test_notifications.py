"""Whoever subscribes first and looks then cannot miss a commit, whichever process made it."""

import asyncio

import apsw
import pytest

from lash.backends.sql.engine import Hub, Tx
from lash.backends.sql.engine.sqlite.bells import Bells
from lash.errors import LashError


def say(*topics: str):
    async def script(tx: Tx) -> None:
        await tx.write("INSERT INTO note(text) VALUES(?)", " ".join(topics))
        for topic in topics:
            tx.notify(topic)

    return script


async def count(tx: Tx) -> int:
    return await tx.fetch_one(int, "SELECT count(*) FROM note") or 0


async def test_commit_wakes_the_subscribers_of_its_topic_and_can_be_seen_by_then(engine):
    with engine.hub.subscribe("queue") as news:
        engine.submit(say("queue"))
        await news.wait()
        assert await engine.read(count) == 1


async def test_failed_script_wakes_nobody(engine):
    async def says_and_fails(tx: Tx) -> None:
        tx.notify("queue")
        raise LashError("precondition")

    with engine.hub.subscribe("queue") as queue, engine.hub.subscribe("other") as other:
        with pytest.raises(LashError):
            await engine.run(says_and_fails)
        await engine.run(say("other"))
        await other.wait()
        assert not queue.is_woken


async def test_failed_commit_wakes_nobody(disk, engine):
    with engine.hub.subscribe("queue") as queue, engine.hub.subscribe("other") as other:
        disk.sync_failure = apsw.IOError("broken")
        with pytest.raises(LashError):
            await engine.run(say("queue"))
        disk.sync_failure = None
        await engine.run(say("other"))
        await other.wait()
        assert not queue.is_woken


async def test_caller_is_answered_before_or_with_the_wake_up(engine):
    with engine.hub.subscribe("queue") as news:
        mine = engine.submit(say("queue"))
        await news.wait()
        assert mine.done()


async def test_commit_between_the_look_and_the_wait_is_not_lost(engine):
    with engine.hub.subscribe("queue") as news:
        assert await engine.read(count) == 0
        await engine.run(say("queue"))
        await news.wait()


async def test_many_commits_before_a_wait_end_one_wait(engine):
    with engine.hub.subscribe("queue") as news:
        await asyncio.gather(*(engine.run(say("queue")) for _ in range(20)))
        await news.wait()
        assert not news.is_woken


def test_hub_forgets_closed_subscriptions_and_ignores_other_topics():
    hub = Hub()
    with hub.subscribe("a", "b") as both, hub.subscribe("b") as one:
        hub.publish(["a", "c"])
        assert (both.is_woken, one.is_woken) == (True, False)
        hub.publish_all()
        assert one.is_woken
    assert hub.is_idle


async def test_bell_carries_the_topics_to_another_engine_on_the_file(connect):
    one, other = await connect(poll_ms=3_600_000), await connect(poll_ms=3_600_000)
    with other.hub.subscribe("first ö") as first, other.hub.subscribe("second") as second:
        await one.run(say("first ö"))
        await first.wait()
        assert not second.is_woken
        await one.run(say("second"))
        await second.wait()
        assert not first.is_woken


@pytest.mark.parametrize(
    "topics",
    [
        pytest.param([f"topic {n}" for n in range(100)], id="more than a message holds"),
        pytest.param(["with\nline break"], id="a topic that cannot be written on a line"),
        pytest.param(["x" * 10_000], id="a topic longer than a message"),
        pytest.param([""], id="an empty topic"),
    ],
)
async def test_bell_that_cannot_carry_its_topics_wakes_everyone(connect, topics):
    one, other = await connect(poll_ms=3_600_000), await connect(poll_ms=3_600_000)
    with other.hub.subscribe(topics[-1]) as news:
        await one.run(say(*topics))
        await news.wait()


async def test_owner_that_was_rung_too_often_looks_at_everything(connect, path):
    other = await connect(poll_ms=3_600_000)
    bells = Bells(f"{path}-lash", "ringer")
    last = "z" * 400  # as long as the others: a short one might still fit
    with other.hub.subscribe(last) as news:
        # Fills the FIFO while the event loop, which would empty it, does not run.
        for n in range(2_000):
            bells.ring([f"{n:0400}"])
        bells.ring([last])
        await news.wait()
    bells.close()


async def test_commit_of_a_program_that_rings_no_bell_is_found_by_looking(connect, path):
    engine = await connect(poll_ms=10)
    with engine.hub.subscribe("queue") as news:
        foreign = apsw.Connection(str(path))
        foreign.execute("INSERT INTO note(text) VALUES('by hand')")
        foreign.close()
        await news.wait()
        assert await engine.read(count) == 1
