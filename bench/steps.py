"""Durable steps: 100 trivial effects a workflow, each one waited for, against raw commits in the same run."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import apsw
import msgspec

from lash.backends import open_database
from lash.contracts import RuntimeEffectLocalExecutor
from lash.values import (
    CompletedToolCall,
    EffectScope,
    PreparedToolCall,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeScope,
    ToolCall,
    ToolCallOutcome,
)
from reporting import Report

STEPS = 100
WORKFLOWS = 50


def raw_rate(path: Path, steps: int) -> float:
    """Return serial commits of one outcome row a second."""
    db = apsw.Connection(str(path))
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        list(db.execute(f"pragma {pragma}"))
    db.execute("create table outcomes(scope text, key text, body blob, primary key(scope, key))")
    start = time.perf_counter()
    for step in range(steps):
        db.execute("begin immediate")
        body = msgspec.json.encode({"type": "tool_call", "result": {"content": step}})
        db.execute("insert into outcomes values('s', ?, ?)", (f"step-{step}", body))
        db.execute("commit")
    return steps / (time.perf_counter() - start)


def envelope(workflow: str, step: int, effect: str) -> RuntimeEffectEnvelope:
    call = PreparedToolCall(call_id=f"c{step}", tool_name="step", args={"n": step}, effect=effect)
    invocation = RuntimeInvocation.effect(
        RuntimeScope(session_id="s"), f"e{step}", RuntimeEffectKind.TOOL_CALL, f"{workflow}:{step}"
    )
    return RuntimeEffectEnvelope(invocation, ToolCall(call))


async def body(asked: RuntimeEffectEnvelope) -> ToolCallOutcome:
    assert isinstance(asked.command, ToolCall)
    call = asked.command.call
    return ToolCallOutcome(
        result=CompletedToolCall(call_id=call.call_id, tool_name="step", content=call.args["n"])
    )


async def workflow(host, name: str, effect: str) -> None:
    controller = host.scoped(EffectScope.runtime_operation(name)).controller
    executor = RuntimeEffectLocalExecutor.of(body)
    for step in range(STEPS):
        await controller.execute_effect(envelope(name, step, effect), executor)


async def measure(folder: Path, report: Report) -> None:
    for effect in ("read_only", "at_most_once"):
        rates, raws = [], []
        for attempt in range(5):
            raws.append(raw_rate(folder / f"raw-{effect}-{attempt}.db", 5 * STEPS))
            database = open_database(str(folder / f"one-{effect}-{attempt}.db"))
            await database.connect()
            start = time.perf_counter()
            for number in range(5):
                await workflow(database.effect_host, f"w{number}", effect)
            rates.append(5 * STEPS / (time.perf_counter() - start))
            await database.close()
        rate, raw = statistics.median(rates), statistics.median(raws)
        report.row(f"{effect} steps, one at a time", steps_a_second=rate, raw=raw, times_raw=rate / raw)
    raw = raw_rate(folder / "raw-many.db", 10 * STEPS)
    database = open_database(str(folder / "many.db"))
    await database.connect()
    start = time.perf_counter()
    await asyncio.gather(
        *(workflow(database.effect_host, f"w{number}", "read_only") for number in range(WORKFLOWS))
    )
    rate = WORKFLOWS * STEPS / (time.perf_counter() - start)
    report.row(
        f"read_only steps, {WORKFLOWS} workflows at once", steps_a_second=rate, raw=raw, times_raw=rate / raw
    )
    await database.close()


def main() -> None:
    report = Report("steps")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        asyncio.run(measure(Path(folder), report))
    report.finish()


if __name__ == "__main__":
    main()
