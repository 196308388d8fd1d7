"""`python -m lash.testing.simulation --seeds 0..500`: run many seeds, and tell which broke a promise."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lash.testing.simulation.bugs import BUGS
from lash.testing.simulation.simulation import SimulationResult, simulate
from lash.testing.simulation.workloads import WORKLOADS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the seeds that are asked for; return 1 when a promise was broken, or a planted bug was not found."""
    options = _parser().parse_args(arguments)
    bug = BUGS.get(options.bug) if options.bug else None
    broken, crashes, virtual_s = 0, 0, 0.0
    for seed in _seeds(options.seeds):
        result = simulate(seed, workloads=options.workload, bug=bug)
        crashes += result.crashes
        virtual_s += result.virtual_s
        broken += bool(result.problems)
        _tell(result, trace=options.trace)
        if bug is not None and result.problems:
            print(f"bug {bug.name!r} was found by seed {seed}")
            return 0
    print(
        f"{broken} of the seeds {options.seeds} broke a promise; {crashes} crashes, {virtual_s:.0f} virtual s"
    )
    return int(broken > 0 or bug is not None)


def _tell(result: SimulationResult, *, trace: bool) -> None:
    if trace:
        sys.stdout.write(result.trace)
    for problem in result.problems:
        print(f"seed {result.seed}: {problem}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lash.testing.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0..100", metavar="A..B", help="from A up to B, without B")
    parser.add_argument(
        "--workload", action="append", default=[], choices=sorted(WORKLOADS), help="instead of a mix"
    )
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant a bug, and stop when it is found")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    return parser


def _seeds(text: str) -> range:
    first, _, last = text.partition("..")
    return range(int(first), int(last) if last else int(first) + 1)


if __name__ == "__main__":
    sys.exit(main())
