"""What the language costs, against CPython in the same run.

    python bench/lang.py [--rounds 7] [--scale 1.0]

The Python of each row is the same program written by hand and executed at module level by `exec`, without bound or
guard. Times are minima over interleaved rounds; only the ratios travel. Prints a table and writes it to
`results/lang.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lashlang import (
    LATER,
    Execution,
    Frame,
    Limits,
    Ok,
    check,
    compile_program,
    drive,
    parse,
    surface_of_tools,
)
from lashlang.machine.code import Code
from lashlang.machine.drivers import Recorder, Replay
from lashlang.machine.effects import Effect

SURFACE = surface_of_tools(["echo"], "processes", "sleep")
FREE = Limits(fuel=10**12, memory_bytes=2**34)

PROGRAMS = {
    "while": (
        "n = 0\ntotal = 0\nwhile n < N { n = n + 1\ntotal = total + n * 2 % 7 }\nsubmit total",
        "n = 0\ntotal = 0\nwhile n < N:\n    n = n + 1\n    total = total + n * 2 % 7\nout = total",
        1_000_000,
        1.2,
    ),
    "for": (
        "total = 0\nfor i in range(N) { total = total + i * 2 }\nsubmit total",
        "total = 0\nfor i in range(N):\n    total = total + i * 2\nout = total",
        1_000_000,
        1.2,
    ),
    "records": (
        "rows = []\n"
        'for i in range(N) { rows = push(rows, { id: i, name: format("row {}", i), n: i % 10, tags: [i] }) }\n'
        "sums = {}\nfor r in rows { k = to_string(r.n)\nsums[k] = (sums[k] ?? 0) + r.id }\nsubmit [len(rows), sums]",
        'rows = []\nfor i in range(N):\n    rows.append({"id": i, "name": f"row {i}", "n": i % 10, "tags": [i]})\n'
        'sums = {}\nfor r in rows:\n    k = str(r["n"])\n    sums[k] = sums.get(k, 0) + r["id"]\n'
        "out = [len(rows), sums]",
        100_000,
        1.5,
    ),
    "strings": (
        'out = []\nfor i in range(N) { out = push(out, format("{}:{}", i, trim("  x ")) + "-" + i) }\n'
        'submit len(join(out, ","))',
        'xs = []\nfor i in range(N):\n    xs.append(f"{i}:{\'  x \'.strip()}" + "-" + str(i))\nout = len(",".join(xs))',
        100_000,
        1.5,
    ),
    "lists": (
        "xs = range(N)\nys = [x * x for x in xs if x % 3 == 0]\nn = 0\n"
        "for i in range(len(ys)) { if ys[i] > 10 { ys[i] = ys[i] - 1\nn = n + 1 } }\nsubmit [n, ys[-1]]",
        "xs = list(range(N))\nys = [x * x for x in xs if x % 3 == 0]\nn = 0\n"
        "for i in range(len(ys)):\n    if ys[i] > 10:\n        ys[i] = ys[i] - 1\n        n = n + 1\nout = [n, ys[-1]]",
        300_000,
        1.5,
    ),
}

EFFECTS = "n = 0\nfor i in range(10000) { r = await tools.echo({ n: i })?\nn = n + r.n }\nsubmit n"
EFFECTS_PY = "n = 0\nfor i in range(10000):\n    r = host({'n': i})\n    n = n + r['n']\nout = n"

SIXTEEN = """
rows = []
for i in range(5) {
  r = await tools.echo({ id: i, name: format("row {}", i) })
  if r.ok {
    rows = push(rows, r.value)
  } else {
    print "failed: " + r.error
  }
}
best = null
for row in rows {
  if best == null or row.id > best.id { best = row }
}
names = [row.name for row in rows if row.id % 2 == 0]
submit { best: best, names: join(names, ", "), n: len(rows) }
"""


@dataclass(frozen=True)
class Row:
    name: str
    measured: str
    goal: str
    holds: bool


def once(run: Callable[[], object]) -> float:
    """Seconds of one call, the collector off."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    finally:
        gc.enable()


def interleaved(rounds: int, *runs: Callable[[], object]) -> list[float]:
    """The least time of each, taken in turns so that a noisy moment hits all."""
    best = [float("inf")] * len(runs)
    for _ in range(rounds):
        for at, run in enumerate(runs):
            best[at] = min(best[at], once(run))
    return best


def advance(code: Code, host: Callable[[Effect], Any], **options: Any) -> Execution:
    run = Execution(code, limits=FREE, **options)
    run.advance(host)
    assert run.state == "finished", run.error
    return run


def programs(rounds: int, scale: float) -> list[Row]:
    rows = []
    for name, (source, python, size, goal) in PROGRAMS.items():
        count = int(size * scale)
        code = compile_program(source.replace("N", str(count)), SURFACE)
        plain = compile(python.replace("N", str(count)), "<python>", "exec")
        space: dict[str, Any] = {}
        assert advance(code, lambda _: LATER).value == (exec(plain, space), space["out"])[1]
        mine, theirs = interleaved(
            rounds, lambda c=code: advance(c, lambda _: LATER), lambda p=plain: exec(p, {})
        )
        ratio = mine / theirs
        rows.append(Row(name, f"{ratio:.2f} x CPython ({mine * 1e3:.0f} ms)", f"<= {goal} x", ratio <= goal))
    return rows


def effects(rounds: int) -> list[Row]:
    code = compile_program(EFFECTS, SURFACE)
    plain = compile(EFFECTS_PY, "<python>", "exec")
    answer = Ok({"n": 1})

    def host(effect: Effect) -> Ok:
        return answer

    def payload_host(payload: Any) -> Any:
        return {"n": 1}

    def parked() -> None:
        run = Execution(code, limits=FREE)
        run.advance(lambda _: LATER)
        while run.state == "waiting":
            Frame.of(run).to_bytes()
            run.answer(answer)
            run.advance(lambda _: LATER)

    async def on_a_loop() -> None:
        async def answers(effect: Effect) -> Ok:
            return answer

        await drive(Execution(code, limits=FREE), answers, offload=False)

    recorder = Recorder(lambda _: answer)
    advance(code, recorder)
    mine, theirs, stored, loop, replay = interleaved(
        rounds,
        lambda: advance(code, host),
        lambda: exec(plain, {"host": payload_host}),
        parked,
        lambda: asyncio.run(on_a_loop()),
        lambda: advance(code, Replay(recorder.records)),
    )
    each = [seconds / 10_000 * 1e6 for seconds in (mine, theirs, stored, loop, replay)]
    over = each[0] - each[1]
    return [
        Row(
            "effect answered at once",
            f"{over:.2f} us over a plain call ({each[0]:.2f} us)",
            "<= 0.6 us",
            over <= 0.6,
        ),
        Row("effect parked and encoded", f"{each[2]:.2f} us", "<= 3 us", each[2] <= 3),
        Row("effect on an event loop", f"{each[3]:.2f} us", "<= 3 us", each[3] <= 3),
        Row("effect replayed and checked", f"{each[4]:.2f} us", "<= 8 us", each[4] <= 8),
    ]


RESUME = """
import sys, time
from lashlang import Frame, compile_program, surface_of_tools, LATER, Ok
code = compile_program(sys.argv[1], surface_of_tools(["echo"], "processes", "sleep"))
data = bytes.fromhex(sys.argv[2])
code.entry(); code.code_ref
Frame.from_bytes(data).resume(code)
best = 1e9
for _ in range(20):
    start = time.perf_counter()
    run = Frame.from_bytes(data).resume(code)
    run.answer(Ok({"n": 1}))
    run.advance(lambda _: LATER)
    best = min(best, time.perf_counter() - start)
print(best * 1e6)
"""


def resuming() -> list[Row]:
    """Resume in a fresh process after few and after many effects."""
    source = "n = 0\nxs = range(50)\nwhile true { n = n + (await tools.echo({ n: n })?).n }"
    code = compile_program(source, SURFACE)
    found = {}
    for count in (10, 100_000):
        run = Execution(code, limits=FREE)
        run.advance(lambda _: LATER)
        for _ in range(count):
            run.answer(Ok({"n": 1}))
            run.advance(lambda _: LATER)
        data = Frame.of(run).to_bytes()
        child = [sys.executable, "-c", RESUME, source, data.hex()]
        found[count] = (
            min(float(subprocess.run(child, capture_output=True, check=True).stdout) for _ in range(3)),
            len(data),
        )
    few, many = found[10], found[100_000]
    row = Row(
        "resume after 10 / 100,000",
        f"{few[0]:.0f} / {many[0]:.0f} us",
        "<= 200 us, equal",
        max(few[0], many[0]) <= 200,
    )
    return [row, Row("frame after 10 / 100,000", f"{few[1]} / {many[1]} bytes", "a few KB", many[1] < 4096)]


def cold(rounds: int) -> list[Row]:
    def compiled(source: str) -> Callable[[], object]:
        return lambda: Code(check(parse(source), SURFACE).program).entry()

    one, sixteen = interleaved(rounds * 3, compiled("submit 1"), compiled(SIXTEEN))
    compile_program(SIXTEEN, SURFACE)
    cached = min(once(lambda: compile_program(SIXTEEN, SURFACE).entry()) for _ in range(50))
    return [
        Row("cold, 1 line", f"{one * 1e3:.2f} ms", "<= 0.2 ms", one <= 0.0002),
        Row("cold, 16 lines", f"{sixteen * 1e3:.2f} ms", "<= 2 ms", sixteen <= 0.002),
        Row("from the cache", f"{cached * 1e3:.4f} ms", "<= 0.01 ms", cached <= 0.00001),
    ]


def bounds() -> list[Row]:
    code = compile_program("n = 0\nwhile true { n = n + 1 }", SURFACE)
    used = set()
    for _ in range(3):
        run = Execution(code, limits=Limits(fuel=300_000))
        run.advance(lambda _: LATER)
        used.add((run.fuel_used, run.globals["n"], run.error.code if run.error else None))
    return [
        Row(
            "runaway loop",
            f"stops at {sorted(used)[0][1]} turns in each of 3 runs",
            "the same step",
            len(used) == 1,
        )
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--scale", type=float, default=1.0)
    args = options.parse_args()
    rows = [
        *programs(args.rounds, args.scale),
        *effects(args.rounds),
        *resuming(),
        *cold(args.rounds),
        *bounds(),
    ]
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"{row.name:<{width}}  {row.measured:<44} {row.goal:<18} {'ok' if row.holds else 'MISSED'}")
    told = [
        {"label": row.name, "measured": row.measured, "goal": row.goal, "holds": row.holds} for row in rows
    ]
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    body = {"benchmark": "lang", "python": platform.python_version(), "rows": told}
    (folder / "lang.json").write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
