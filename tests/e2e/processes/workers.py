"""`lash worker`s as operating-system processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
APP = "tests.e2e.processes.app"


class Worker:
    """One running `lash worker`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self) -> None:
        """Return once it works."""
        assert self._process.stderr is not None
        said = ""
        async with asyncio.timeout(60):
            while "working for" not in said:
                line = (await self._process.stderr.readline()).decode()
                assert line, f"the worker ended before it was ready: {said}"
                said += line

    async def kill(self) -> None:
        """Kill it, at whatever it is doing."""
        self._process.kill()
        await self._process.wait()

    async def terminate(self) -> tuple[int, str]:
        """Ask it to drain; return its exit status and what it said."""
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            _, said = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, said.decode()

    async def end(self) -> None:
        if self._process.returncode is None:
            await self.kill()


@contextlib.asynccontextmanager
async def worker(folder: Path, url: str, *options: str) -> AsyncIterator[Worker]:
    """Start a worker for all that the app holds; it is ended with the block."""
    started = Worker(
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lash.cli", "worker", url, APP, *options,
            cwd=ROOT,
            env=dict(os.environ, LASH_TEST_FOLDER=str(folder)),
            stderr=asyncio.subprocess.PIPE,
        )
    )  # fmt: skip
    try:
        await started.ready()
        yield started
    finally:
        await started.end()
