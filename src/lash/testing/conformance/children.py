"""Other operating-system processes on the database of a case: started, told to go, listened to, killed.

A child opens the database, says that it is ready, waits for `go`, and then says a line of JSON for each thing
that it has done, after it was done: what a child has said is what its database has acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

import msgspec

from lash.testing.conformance.opening import Address
from lash.values import Json

_LINE_LIMIT = 1 << 20


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is told at its start."""

    url: str
    opener: str | None
    now_ms: int
    job: str
    arguments: dict[str, Json]


class Child:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, address: Address, now_ms: int, job: str, arguments: dict[str, Json]) -> Child:
        """Start a process and wait until it has opened the database.

        Raises:
            AssertionError: when it could not.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lash.testing.conformance.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            limit=_LINE_LIMIT,
        )
        child = cls(process)
        try:
            order = Order(url=address.url, opener=address.opener, now_ms=now_ms, job=job, arguments=arguments)
            await child._tell(msgspec.json.encode(order))
            if await child.said() != "ready":
                raise AssertionError("another process opens the same database: it did not")
        except BaseException:
            await child.kill()
            raise
        return child

    async def go(self) -> None:
        """Let the child do its job."""
        await self._tell(b"go")

    async def said(self) -> Json:
        """Return the next thing that the child says, or None once it has said all.

        Raises:
            AssertionError: when the child failed; it says why.
        """
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):  # the end, or half a line of one that was killed
            return None
        word: Json = msgspec.json.decode(line)
        if isinstance(word, dict) and "failed" in word:
            raise AssertionError(f"another process on the same database failed: {word['failed']}")
        return word

    async def all(self) -> list[Json]:
        """Let the child do its job and return all that it says."""
        await self.go()
        words = []
        while (word := await self.said()) is not None:
            words.append(word)
        await self._process.wait()
        return words

    async def kill(self) -> list[Json]:
        """Kill the child as it is (SIGKILL) and return what it had still said."""
        with suppress(ProcessLookupError):
            self._process.kill()
        words = []
        with suppress(AssertionError):  # it may have failed before: whoever kills it does not care
            while (word := await self.said()) is not None:
                words.append(word)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()
        return words

    async def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # its end shows in what it says
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()
