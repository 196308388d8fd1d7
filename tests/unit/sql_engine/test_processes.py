"""Several processes on one file, some of them killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from lash.backends.sql.engine import Tx

pytestmark = pytest.mark.kill


class Peer:
    """A process that serves `peer.py`; every wait for its answer ends when it dies."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("peer.py")), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.owner_id = self.hear()

    def hear(self) -> str:
        line = self.process.stdout.readline()
        assert line, f"the peer ended with {self.process.wait()}"
        return line.strip()

    def tell(self, line: str) -> None:
        self.process.stdin.write(line + "\n")

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.hear()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(60)
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()


@pytest.fixture
def start(path: Path) -> Iterator[Callable[[], Peer]]:
    peers: list[Peer] = []

    def start() -> Peer:
        peers.append(Peer(path))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


async def count(tx: Tx) -> int:
    return await tx.fetch_one(int, "SELECT count(*) FROM note") or 0


def add(text: str):
    async def script(tx: Tx) -> None:
        await tx.write("INSERT INTO note(text) VALUES(?)", text)

    return script


async def test_processes_share_a_file_without_loss_and_each_caller_in_order(start, path):
    peers = [start() for _ in range(3)]
    for n, peer in enumerate(peers):
        peer.tell(f"many peer{n} 10 30")
    assert [peer.hear() for peer in peers] == ["done"] * 3

    connection = apsw.Connection(str(path))
    texts = [text.split() for (text,) in connection.execute("SELECT text FROM note ORDER BY id")]
    connection.close()
    assert len(texts) == 3 * 10 * 30
    for n in range(3):
        for caller in range(10):
            turns = [int(turn) for name, who, turn in texts if (name, who) == (f"peer{n}", str(caller))]
            assert list(range(30)) == turns


async def test_killed_process_loses_nothing_it_acknowledged_and_leaves_nothing_half(start, path):
    acknowledged: set[int] = set()
    for kill in range(8):
        peer = start()
        peer.tell("for-ever")
        for _ in range(50 + 37 * kill):
            acknowledged.add(int(peer.hear()))
        peer.kill()
        # What it said before it died, short of a last line that was cut off.
        acknowledged.update(
            int(line) for line in peer.process.stdout.read().splitlines(keepends=True) if "\n" in line
        )

    connection = apsw.Connection(str(path))
    notes = [note for (note,) in connection.execute("SELECT id FROM note ORDER BY id")]
    replies = [note for (note,) in connection.execute("SELECT note FROM reply ORDER BY note")]
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
    assert acknowledged <= set(notes)
    assert notes == replies


async def test_killed_owner_is_known_dead_at_once_and_its_bell_removed(start, engine, path):
    peer = start()
    assert set() == engine.dead_owners([peer.owner_id, engine.owner_id])
    peer.kill()

    assert {peer.owner_id} == engine.dead_owners([peer.owner_id, engine.owner_id])
    assert {peer.owner_id} == engine.dead_owners([peer.owner_id])
    assert sorted([f"{engine.owner_id}.bell", "lock"]) == sorted(os.listdir(f"{path}-lash"))


async def test_bell_of_a_dead_owner_is_removed_by_the_next_commit_that_rings(start, engine, path):
    start().kill()

    async def script(tx: Tx) -> None:
        tx.notify("queue")

    with engine.hub.subscribe("queue") as news:
        await engine.run(script)
        await news.wait()
    await engine.close()
    assert os.listdir(f"{path}-lash") == ["lock"]


async def test_stopped_owner_is_alive(start, engine):
    peer = start()
    peer.process.send_signal(signal.SIGSTOP)
    try:
        assert set() == engine.dead_owners([peer.owner_id])
    finally:
        peer.process.send_signal(signal.SIGCONT)


async def test_owner_that_never_was_counts_as_dead(engine):
    strange = ["never", "x" * 10_000, "../../etc/passwd", "ö/\n"]
    assert set(strange) == engine.dead_owners(strange)


async def test_forked_child_does_not_keep_a_dead_owner_alive(start, engine):
    peer = start()
    peer.ask("fork")
    peer.kill()
    assert {peer.owner_id} == engine.dead_owners([peer.owner_id])


async def test_commit_of_another_process_wakes_the_subscribers_of_its_topic(start, connect):
    engine = await connect(poll_ms=3_600_000)
    peer = start()
    with engine.hub.subscribe("queue") as news:
        peer.tell("notify queue")
        await asyncio.wait_for(news.wait(), 60)
        assert await engine.read(count) == 1


async def test_visible_commit_is_seen_by_another_process_at_once_and_survives_a_kill(start, engine):
    peer = start()
    await engine.run(add("mine"), durable=False)
    assert peer.ask("count") == "1"
    peer.ask("visible theirs")
    assert await engine.read(count) == 2
    peer.kill()
    assert await engine.read(count) == 2


async def test_file_size_limit_is_store_full_and_writing_goes_on_when_it_is_raised(start, path):
    peer = start()
    assert peer.ask("fill-up 400000") == "store_full True"

    connection = apsw.Connection(str(path))
    assert connection.pragma("integrity_check") == "ok"
    assert connection.execute("SELECT count(*) FROM note WHERE text='after'").get == 1
    connection.close()
