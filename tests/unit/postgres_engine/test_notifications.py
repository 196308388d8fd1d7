"""Who waits is woken by commits of any process, after them, and in the end even without being told."""

from __future__ import annotations

import asyncio

import pytest

from lash.backends.sql.engine import Subscription, Tx
from lash.backends.sql.engine.postgres import PostgresEngine
from lash.errors import LashError

from .conftest import Connect, Observer

PATIENCE_S = 20


def noting(*topics: str) -> object:
    async def script(tx: Tx) -> None:
        await tx.write(
            "INSERT INTO counter (name, value) VALUES (?, 0) ON CONFLICT DO NOTHING", topics[0][:9]
        )
        for topic in topics:
            tx.notify(topic)

    return script


async def woken(subscription: Subscription) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await subscription.wait()


async def test_a_commit_wakes_who_waits_here_at_once_and_who_waits_elsewhere_soon(connect: Connect) -> None:
    engine, other = await connect(), await connect()
    with (
        engine.hub.subscribe("a") as here,
        other.hub.subscribe("a") as there,
        other.hub.subscribe("b") as bystander,
    ):
        await engine.run(noting("a"))
        assert here.is_woken
        await woken(there)
        assert not bystander.is_woken


async def test_a_script_that_raises_wakes_nobody(connect: Connect) -> None:
    engine, other = await connect(), await connect()

    async def refusing(tx: Tx) -> None:
        tx.notify("a")
        raise LashError("refused", "no")

    with engine.hub.subscribe("a") as here, other.hub.subscribe("a") as there:
        with pytest.raises(LashError, match="refused"):
            await engine.run(refusing)
        with other.hub.subscribe("b") as later:
            await engine.run(noting("b"))
            await woken(later)
        assert not here.is_woken
        assert not there.is_woken


async def test_topics_beyond_what_a_notification_holds_wake_everybody(connect: Connect) -> None:
    engine, other = await connect(), await connect()
    with other.hub.subscribe("unrelated") as there:
        await engine.run(noting(*(f"topic {number:>100}" for number in range(100))))
        await woken(there)


async def test_topics_of_any_text_arrive(connect: Connect) -> None:
    engine, other = await connect(), await connect()
    topic = "session:ü'\"\n\\ 😀"
    with other.hub.subscribe(topic) as there:
        await engine.run(noting(topic))
        await woken(there)


async def test_many_commits_at_once_share_notifications(connect: Connect, observer: Observer) -> None:
    engine, other = await connect(), await connect()
    words: list[str] = []
    hear = other._live._listener._publish
    other._live._listener._publish = lambda payload: (words.append(payload), hear(payload))
    with other.hub.subscribe("topic 49") as there:
        await asyncio.gather(*(engine.run(noting(f"topic {number}")) for number in range(50)))
        await woken(there)
    assert len(words) < 50


async def test_a_listener_that_was_cut_off_listens_again_and_wakes_everybody(
    connect: Connect, observer: Observer
) -> None:
    engine, other = await connect(), await connect()
    with other.hub.subscribe("whatever") as there:
        _cut_listener(observer, other)
        await woken(there)
    with other.hub.subscribe("a") as there:
        await engine.run(noting("a"))
        await woken(there)


async def test_a_notifier_that_was_cut_off_is_connected_anew(connect: Connect, observer: Observer) -> None:
    engine, other = await connect(), await connect()
    with other.hub.subscribe("a") as there:
        await engine.run(noting("a"))
        await woken(there)
        observer.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'lash notifier'"
        )
        await engine.run(noting("b"))  # meets the loss, or not; the word may be lost with it
        await _sent(engine)
        await engine.run(noting("a"))
        await woken(there)


async def test_what_nobody_spoke_of_is_found_by_looking(connect: Connect, observer: Observer) -> None:
    engine = await connect(poll_ms=20)
    with engine.hub.subscribe("a") as here:
        observer.rows("INSERT INTO note VALUES (1, 'written by a process that died before it could say so')")
        await woken(here)


async def test_word_in_another_form_wakes_everybody(engine: PostgresEngine, observer: Observer) -> None:
    with engine.hub.subscribe("a") as here:
        observer.rows("SELECT pg_notify('lash_topics', 'said by something else')")
        await woken(here)


def _cut_listener(observer: Observer, engine: PostgresEngine) -> None:
    observer.rows(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s",
        f"lash owner {engine.owner_id}",
    )


async def _sent(engine: PostgresEngine) -> None:
    sending = engine._live._notifier._sending
    if sending is not None:
        await asyncio.wait([sending])
