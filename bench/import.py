"""What `import lash` costs: time against a bare interpreter, memory, distributions, installed size."""

from __future__ import annotations

import importlib.metadata
import re
import statistics
import subprocess
import sys
from pathlib import Path

from reporting import Report

RUNS = 11
BARE = "import sqlite3, asyncio, json"
PROBE = """
import resource, time
start = time.perf_counter()
{code}
print((time.perf_counter() - start) * 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measured(code: str) -> tuple[float, float]:
    """Return the median milliseconds and the largest megabytes of a fresh interpreter."""
    times, sizes = [], []
    for _ in range(RUNS):
        run = subprocess.run(
            [sys.executable, "-c", PROBE.format(code=code)], capture_output=True, text=True, check=True
        )
        milliseconds, megabytes = map(float, run.stdout.split())
        times.append(milliseconds)
        sizes.append(megabytes)
    return statistics.median(times), max(sizes)


def required() -> list[str]:
    """Return the distributions that the core needs, extras left out."""
    seen: set[str] = set()
    todo = ["lash-runtime"]
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name not in seen:
            seen.add(name)
            for line in importlib.metadata.distribution(name).requires or []:
                if "extra ==" not in line:
                    found = re.match(r"[A-Za-z0-9_.-]+", line)
                    assert found is not None
                    todo.append(found[0])
    return sorted(seen - {"lash-runtime"})


def installed_mb(names: list[str]) -> float:
    """Return the size on disk of what these distributions installed."""
    total = 0
    for name in names:
        for file in importlib.metadata.distribution(name).files or []:
            path = Path(str(file.locate()))
            total += path.stat().st_size if path.is_file() else 0
    return total / 1e6


def main() -> None:
    report = Report("import")
    bare, bare_mb = measured(BARE)
    lash, lash_mb = measured("import lash; lash.open")
    light, _ = measured("import lash")
    names = required()
    report.row("bare interpreter (sqlite3, asyncio, json)", milliseconds=bare, megabytes=bare_mb)
    report.row("import lash", milliseconds=light, times_bare=light / bare)
    report.row("import lash; lash.open", milliseconds=lash, megabytes=lash_mb, times_bare=lash / bare)
    report.row(f"core: {', '.join(names)}", distributions=len(names), megabytes=installed_mb(names))
    report.finish()


if __name__ == "__main__":
    main()
