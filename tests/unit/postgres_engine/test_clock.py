"""A script's time is the server's, whatever this machine thinks, or the one that a test sets."""

from __future__ import annotations

from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.postgres.clock import ServerClock

from .conftest import AdjustableClock, Connect

NOW = "SELECT lash_now()"
HOUR_MS = 3_600_000


class StillClock:
    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms

    async def sleep_until(self, at_ms: int) -> None:
        self.at_ms = max(self.at_ms, at_ms)


async def both_times(tx: Tx) -> tuple[int, int]:
    return tx.now_ms, await tx.fetch_one(int, NOW) or 0


async def test_a_machine_whose_clock_is_wrong_uses_the_servers(
    connect: Connect, clock: AdjustableClock
) -> None:
    clock.wrong_by_ms = HOUR_MS
    engine = await connect()
    here, there = await engine.run(both_times)
    assert abs(here - there) < HOUR_MS / 2
    assert abs(engine.clock.now_ms() - there) < HOUR_MS / 2


async def test_a_clock_that_jumps_makes_the_script_run_again_with_the_right_time(
    connect: Connect, clock: AdjustableClock
) -> None:
    engine = await connect()
    times: list[int] = []

    async def script(tx: Tx) -> int:
        times.append(tx.now_ms)
        return await tx.fetch_one(int, NOW) or 0

    await engine.run(script)
    clock.wrong_by_ms = -HOUR_MS
    there = await engine.run(script)
    assert len(times) == 3
    assert abs(times[1] - there) > HOUR_MS / 2
    assert abs(times[2] - there) < HOUR_MS / 2


async def test_a_write_is_not_committed_with_a_wrong_time(connect: Connect, clock: AdjustableClock) -> None:
    engine = await connect()
    times: list[int] = []

    async def script(tx: Tx) -> None:
        times.append(tx.now_ms)
        await tx.write("INSERT INTO note (id, text) VALUES (?, ?)", tx.now_ms, "")

    clock.wrong_by_ms = HOUR_MS
    await engine.run(script)

    async def stored(tx: Tx) -> list[int]:
        return await tx.fetch_all(int, "SELECT id FROM note")

    assert await engine.read(stored) == times[1:]
    assert times[0] - times[1] > HOUR_MS / 2


async def test_a_test_clock_stands_for_the_servers(connect: Connect) -> None:
    still = StillClock(5_000)
    engine = await connect(test_clock=still)
    assert await engine.run(both_times) == (5_000, 5_000)
    still.at_ms += 7
    assert await engine.read(both_times) == (5_007, 5_007)
    assert engine.clock.now_ms() == 5_007


def test_an_answer_corrects_the_clock_only_as_far_as_it_proves_it_wrong() -> None:
    clock = ServerClock(StillClock(1_000), is_frozen=False)
    assert clock.learn(1_500, 1_000, 1_000) == 500
    assert clock.now_ms() == 1_500
    # Between sending at 1,000 and hearing at 1,200 the server's clock stood at 1,600: still possible.
    assert clock.learn(1_600, 1_000, 1_200) == 0
    assert clock.learn(1_900, 1_000, 1_200) == 200
    assert clock.now_ms() == 1_700


async def test_sleeping_goes_by_the_servers_time() -> None:
    still = StillClock(1_000)
    clock = ServerClock(still, is_frozen=False)
    clock.learn(6_000, 1_000, 1_000)
    await clock.sleep_until(6_100)
    assert still.at_ms == 1_100
