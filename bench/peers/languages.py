"""A child: one program after the other in lashlang, in CPython and in one peer's language, in turns.

python -m peers.languages SYSTEM [ROUNDS]

The programs do the same on each side; the peer runs them in a session that is open already, so that neither its
start nor its workers' count. Recorded calls are calls of a host function whose arguments and outcomes lashlang
writes to a log line as well (in memory); the peers do not record.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any  # Any: outcomes of three languages

from lashlang import Execution, Limits, Ok, compile_program, surface_of_tools
from peers.children import Rows

Runner = Callable[[str], Any]
FREE = Limits(fuel=10**12, memory_bytes=2**34)
SURFACE = surface_of_tools(["echo"], "sleep")

PROGRAMS = {
    "while": (
        "n = 0\ntotal = 0\nwhile n < N { n = n + 1\ntotal = total + n * 2 % 7 }\nsubmit total",
        "n = 0\ntotal = 0\nwhile n < N:\n    n = n + 1\n    total = total + n * 2 % 7\ntotal",
        500_000,
    ),
    "for": (
        "total = 0\nfor i in range(N) { total = total + i * 2 }\nsubmit total",
        "total = 0\nfor i in range(N):\n    total = total + i * 2\ntotal",
        500_000,
    ),
    "records": (
        'rows = []\nfor i in range(N) { rows = push(rows, { id: i, name: format("row {}", i), n: i % 10 }) }\n'
        "total = 0\nfor r in rows { total = total + r.id }\nsubmit total",
        'rows = []\nfor i in range(N):\n    rows.append({"id": i, "name": f"row {i}", "n": i % 10})\n'
        'total = 0\nfor r in rows:\n    total = total + r["id"]\ntotal',
        50_000,
    ),
    "strings": (
        'out = []\nfor i in range(N) { out = push(out, format("{}:{}", i, "x") + "-" + i) }\n'
        'submit len(join(out, ","))',
        'out = []\nfor i in range(N):\n    out.append(f"{i}:x" + "-" + str(i))\nlen(",".join(out))',
        50_000,
    ),
}
CALLS = (
    "n = 0\nfor i in range(N) { r = await tools.echo({ n: i })?\nn = n + r.n }\nsubmit n",
    'n = 0\nfor i in range(N):\n    r = echo({"n": i})\n    n = n + r["n"]\nn',
    2_000,
)


def echo(payload: dict[str, int]) -> dict[str, int]:
    """The host function."""
    return {"n": payload["n"]}


@contextmanager
def monty() -> Iterator[Runner]:
    """A session of pydantic-monty, its worker started."""
    from pydantic_monty import Monty, ResourceLimits

    limits = ResourceLimits(max_suspensions=1_000_000)
    with Monty() as pool, pool.checkout(limits=limits) as session:
        session.feed_run("1 + 1")
        yield lambda source: session.feed_run(source, external_lookup={"echo": echo})


@contextmanager
def smolagents() -> Iterator[Runner]:
    """The local executor of smolagents."""
    from smolagents.local_python_executor import LocalPythonExecutor

    executor = LocalPythonExecutor([], timeout_seconds=None)
    executor.send_tools({"echo": echo, "range": range, "len": len, "str": str})
    yield lambda source: executor(source).output


SYSTEMS = {"pydantic-monty": monty, "smolagents": smolagents}


def lashlang_runner(source: str, *, recorded: bool = False) -> Callable[[], Any]:
    """A compiled program, to be run again and again; with `recorded` every call makes a log line."""
    code = compile_program(source, SURFACE)
    lines: list[str] = []

    def host(effect: Any) -> Ok:
        outcome = echo(effect.payload)
        if recorded:
            lines.append(json.dumps([effect.key, effect.payload, outcome]))
        return Ok(outcome)

    def run() -> Any:
        lines.clear()
        execution = Execution(code, limits=FREE)
        execution.advance(host)
        assert execution.state == "finished", execution.error
        return execution.value

    return run


def best(rounds: int, *runs: Callable[[], Any]) -> list[float]:
    """The least milliseconds of each, in turns."""
    found = [float("inf")] * len(runs)
    for _ in range(rounds):
        for at, run in enumerate(runs):
            gc.collect()
            start = time.perf_counter()
            run()
            found[at] = min(found[at], (time.perf_counter() - start) * 1e3)
    return found


def main() -> None:
    label, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    rows = Rows()
    with SYSTEMS[label]() as peer:
        for name, (own, theirs, count) in PROGRAMS.items():
            count = count // 10 if label == "smolagents" else count
            mine = lashlang_runner(own.replace("N", str(count)))
            source = theirs.replace("N", str(count))
            assert peer(source) == mine()
            ours_ms, peer_ms = best(rounds, mine, lambda s=source: peer(s))
            rows.row(f"{label}: {name}", lashlang_ms=ours_ms, peer_ms=peer_ms, times_faster=peer_ms / ours_ms)
        own, theirs, count = CALLS
        source = theirs.replace("N", str(count))
        plain, recorded = (
            lashlang_runner(own.replace("N", str(count)), recorded=kept) for kept in (False, True)
        )
        assert peer(source) == plain() == recorded()
        times = best(rounds, plain, recorded, lambda: peer(source))
        plain_us, recorded_us, peer_us = (each / count * 1e3 for each in times)
        rows.row(
            f"{label}: host calls",
            lashlang_us=plain_us,
            lashlang_recorded_us=recorded_us,
            peer_us=peer_us,
            times_faster=peer_us / plain_us,
            times_faster_recorded=peer_us / recorded_us,
        )


if __name__ == "__main__":
    main()
