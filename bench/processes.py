"""Processes that wait beside others that work: memory, idle CPU and latency, and the recovery of a killed worker.

What waits is rows of one SQLite file: a worker is measured beside 1, 1,000 and 100,000 of them. `--quick` stops at
1,000.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import lash
from lash.backends import open_database
from lash.testing import ScriptedModel
from lash.values import EffectScope, ProcessProvenance, ProcessScope, WaitDraft
from reporting import Report

CROWDS = (1, 1_000, 100_000)
IN_FLIGHT = 1_000
WAKES = 200
IDLE_S = 10.0
FOLDER = Path(os.environ.get("BENCH_FOLDER", "."))


@lash.process
async def sleeper(ctx: lash.ProcessContext) -> None:
    """Wait for ever."""
    await ctx.wait("go")


@lash.process
async def messenger(ctx: lash.ProcessContext) -> None:
    """Wait, and wake the session."""
    await ctx.wait("go")
    await ctx.wake("now")


async def prepare(number: int) -> int:
    return number


async def hold(number: int) -> int:
    with (FOLDER / f"entered.{os.getpid()}").open("ab") as out:
        out.write(b".")
    await asyncio.Event().wait()
    return number


@lash.process
async def flight(ctx: lash.ProcessContext, number: int) -> int:
    """Do something, and be in the middle of something else."""
    done = await ctx.step(prepare, number, effect="idempotent")
    return await ctx.step(hold, done, effect="read_only")


async def park(url: str, count: int) -> None:
    """Have that many processes wait, each as a worker leaves it."""
    database = open_database(url)
    await database.connect()
    registry, waits = database.process_registry, database.durable_waits
    provenance = ProcessProvenance(
        owner_scope=ProcessScope(session_id="crowd"), host_profile_id=sleeper.host_profile
    )

    async def one(number: int) -> None:
        process_id = f"sleeper-{number:06d}"
        registration = sleeper.registration(process_id, sleeper.input((), {})).replace(provenance=provenance)
        await registry.register_process(registration)
        key = f"wait:{process_id}:go"
        await waits.open_wait(WaitDraft(key=key, scope_key=EffectScope.process(process_id).key))
        lease = await registry.claim_process_lease(process_id, database.owner_id, 60_000)
        await registry.start_process_attempt(lease)
        await registry.park_process(lease, [key])

    for first in range(0, count, 1000):
        await asyncio.gather(*(one(number) for number in range(first, min(first + 1000, count))))
    await database.close()


@contextlib.asynccontextmanager
async def worker(url: str, folder: Path, *names: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a `lash worker` for the functions of this module."""
    targets = [f"processes:{name}" for name in names]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lash.cli", "worker", url, *targets, "--processes", str(2 * IN_FLIGHT),
        env=dict(os.environ, PYTHONPATH=path, BENCH_FOLDER=str(folder)),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    while b"working for" not in (line := await process.stderr.readline()):
        assert line, "the worker ended before it was ready"
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def idle(url: str, folder: Path, count: int, report: Report) -> None:
    async with worker(url, folder, "sleeper") as process:
        await asyncio.sleep(3)
        before = cpu_s(process.pid)
        await asyncio.sleep(IDLE_S)
        report.row(
            f"idle worker beside {count:,} parked",
            resident_mib=resident_mib(process.pid),
            cpu_percent=100 * (cpu_s(process.pid) - before) / IDLE_S,
        )


async def wakes(url: str, count: int, report: Report) -> None:
    """From the resolution of a wait to the first model call of the session that its process wakes."""
    asked: asyncio.Queue[float] = asyncio.Queue()

    def answer(_: object) -> str:
        asked.put_nowait(time.perf_counter())
        return "heard"

    agent = lash.Agent("listener", model=ScriptedModel(answer))
    async with lash.open(url, agent, messenger, process_grace_ms=0) as runtime:
        session = await runtime.session(f"listener-{count}")
        latencies = []
        for number in range(WAKES):
            plan_id = f"messenger-{count}-{number}"
            await runtime.processes.start(messenger, id=plan_id, session=session.id)
            while not await runtime.processes.parked_on([plan_id]):
                await asyncio.sleep(0.001)
            while runtime.process_host.worker.running_ids:
                await asyncio.sleep(0.001)
            start = time.perf_counter()
            await runtime.processes.resolve(plan_id, "go")
            latencies.append(1000 * (await asked.get() - start))
            while await session.queue():
                await asyncio.sleep(0.001)
        latencies.sort()
        report.row(
            f"wait resolved to model asked, {count:,} parked",
            p50_ms=statistics.median(latencies),
            p99_ms=latencies[int(0.99 * len(latencies))],
        )


async def entered(folder: Path, pid: int, count: int) -> None:
    file = folder / f"entered.{pid}"
    while not file.exists() or file.stat().st_size < count:
        await asyncio.sleep(0.005)


async def recovery(folder: Path, count: int, report: Report) -> None:
    """Kill a worker in the middle of processes; another one that stands by has them all running again."""
    url = str(folder / "flight.db")
    async with lash.open(url, flight, work=False) as runtime:
        for first in range(0, count, 500):
            await asyncio.gather(
                *(
                    runtime.processes.start(flight, number, id=f"flight-{number}")
                    for number in range(first, first + 500)
                )
            )
        async with worker(url, folder, "flight") as first_worker:
            await entered(folder, first_worker.pid, count)
            async with worker(url, folder, "flight") as second:
                await asyncio.sleep(2)
                start, spent_s = time.perf_counter(), cpu_s(second.pid)
                first_worker.kill()
                await entered(folder, second.pid, count)
                report.row(
                    f"{count:,} in flight running again after SIGKILL",
                    s=time.perf_counter() - start,
                    worker_cpu_s=cpu_s(second.pid) - spent_s,
                )


async def measure(folder: Path, report: Report, *, quick: bool) -> None:
    for count in CROWDS[:-1] if quick else CROWDS:
        url = str(folder / f"crowd-{count}.db")
        start = time.perf_counter()
        await park(url, count)
        if count >= 1000:
            report.row(f"{count:,} begun and parked", a_second=count / (time.perf_counter() - start))
        await idle(url, folder, count, report)
        await wakes(url, count, report)
    await recovery(folder, IN_FLIGHT, report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="no crowd of 100,000")
    parser.add_argument("--recovery", action="store_true", help="only the recovery")
    options = parser.parse_args()
    report = Report("processes")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        if options.recovery:
            asyncio.run(recovery(Path(folder), IN_FLIGHT, report))
            return
        asyncio.run(measure(Path(folder), report, quick=options.quick))
    report.finish()


if __name__ == "__main__":
    main()
