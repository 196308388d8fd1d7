"""A child: what it costs to import one system, and to install it.

python -m peers.weight SYSTEM
"""

from __future__ import annotations

import importlib
import importlib.metadata
import statistics
import subprocess
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from peers.children import Rows
from peers.systems import WEIGHED

RUNS = 5


def needed(roots: tuple[str, ...]) -> list[str]:
    """Return the distributions that `roots` install in this environment, themselves included."""
    seen: set[tuple[str, str]] = set()
    todo = [(canonicalize_name(root), "") for root in roots]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in importlib.metadata.distribution(name).requires or []:
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                todo += [(canonicalize_name(wanted.name), part) for part in ("", *wanted.extras)]
    return sorted({name for name, _ in seen})


def first_turn(label: str) -> tuple[float, float]:
    """Return the median milliseconds and the largest megabytes of getting to a first recorded turn."""
    times, sizes = [], []
    for _ in range(RUNS):
        command = [sys.executable, "-m", "peers.first", label]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        milliseconds, megabytes = map(float, said.split())
        times.append(milliseconds)
        sizes.append(megabytes)
    return statistics.median(times), max(sizes)


def main() -> None:
    label = sys.argv[1]
    code, roots = WEIGHED[label]
    # The lead benchmark's name is a keyword, so that no import statement can say it.
    weighing = importlib.import_module("import")
    weighing.RUNS = RUNS
    bare_ms, bare_mb = weighing.measured(weighing.BARE)
    names = needed(roots)
    own_ms, own_mb = weighing.measured(code)
    first_ms, first_mb = first_turn(label)
    rows = Rows()
    rows.row(
        f"{label}: import", ms=own_ms, times_bare=own_ms / bare_ms, memory_mb=own_mb, bare_memory_mb=bare_mb
    )
    rows.row(f"{label}: process start to first recorded turn", ms=first_ms, memory_mb=first_mb)
    rows.row(f"{label}: installed", distributions=len(names), megabytes=weighing.installed_mb(names))


if __name__ == "__main__":
    main()
