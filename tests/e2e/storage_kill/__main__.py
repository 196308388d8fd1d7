"""`python -m tests.e2e.storage_kill --backend sqlite|postgres --kills 200 --seed 1`: the long run."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .campaign import run_campaign


@contextmanager
def databases(backend: str) -> Iterator[Callable[[], str]]:
    """Return what makes a fresh database: a file, or a database of a server that is started for the run."""
    if backend == "sqlite":
        with tempfile.TemporaryDirectory(prefix="lash-kill-") as folder:
            count = iter(range(1_000_000))
            yield lambda: str(Path(folder) / f"kill-{next(count)}.db")
        return
    from tests.postgres_server import PostgresServer

    server = PostgresServer()
    try:
        yield server.new_database
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with databases(options.backend) as new_url:
        tally = run_campaign(new_url, kills=options.kills, seed=options.seed, tell=print)
    print(f"{options.backend}, seed {options.seed}: {tally}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
