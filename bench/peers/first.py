"""A grandchild: from a started interpreter to the first recorded turn (for DBOS, a workflow of one step) on a new file.

    python -m peers.first SYSTEM

Lazy imports and set-up count here, so that nobody looks lighter than it is to use. Prints milliseconds and megabytes.
"""

import time

START = time.perf_counter()

import asyncio  # noqa: E402  # everything from here on is timed
import os  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from importlib import import_module  # noqa: E402
from pathlib import Path  # noqa: E402

MODULES = {"lash": "with_lash", "LangGraph": "with_langgraph", "OpenAI Agents": "with_openai_agents"}


def tell() -> None:
    """Print what it took until now."""
    print((time.perf_counter() - START) * 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


async def turn(module: str, path: Path) -> None:
    async with import_module(f"peers.{module}").conversation(path) as talk:
        await talk.turn()
        tell()


async def workflow(path: Path) -> None:
    from peers.with_dbos import launched, run_workflows

    with launched(path, wal=True):
        await run_workflows(1, 1, at_once=False)
        tell()


def main() -> None:
    label = sys.argv[1]
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        path = Path(folder) / "first.db"
        asyncio.run(turn(MODULES[label], path) if label in MODULES else workflow(path))


if __name__ == "__main__":
    main()
