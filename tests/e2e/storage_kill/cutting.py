"""A wire to a PostgreSQL server that is cut at random commits: before one gets through, or before its answer does."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, quote, urlsplit

_SOCKET = ".s.PGSQL.5432"
_COMMIT = b"COMMIT"


class CuttingWire:
    """Passes bytes on in a thread of its own. Use it as a context manager."""

    def __init__(self, url: str, folder: Path, *, seed: int, share: float) -> None:
        """Prepare a wire that cuts this share of the commits, one half of them before they get through."""
        parts = urlsplit(url)
        self._target = str(Path(parse_qs(parts.query)["host"][0]) / _SOCKET)
        self._folder = folder
        self._random, self._share = Random(seed), share
        # The word is looked for in what is sent, so statements must not be prepared; who listens for
        # notifications, and shows that it lives, goes past the wire.
        query = f"host={folder}&prepare_threshold=none&direct_url={quote(url, safe='')}"
        self.url = f"postgresql://{parts.netloc}{parts.path}?{query}"
        self.cut_before = 0
        self.cut_after = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> CuttingWire:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._lay(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._take_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _lay(self) -> None:
        self._links: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_unix_server(self._link, self._folder / _SOCKET)

    async def _take_up(self) -> None:
        self._server.close()
        for link in self._links:
            link.cancel()
        if self._links:
            await asyncio.wait(self._links)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        link.add_done_callback(self._links.discard)
        try:
            there_reader, there_writer = await asyncio.open_unix_connection(self._target)
            answer_is_lost = asyncio.Event()
            ways = [
                asyncio.create_task(self._send(reader, there_writer, answer_is_lost)),
                asyncio.create_task(self._answer(there_reader, writer, answer_is_lost)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
                there_writer.close()
        except (asyncio.CancelledError, ConnectionError):
            pass  # the wire is taken up, or the server is away: the client sees its end of it closed
        finally:
            writer.close()

    async def _send(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer_is_lost: asyncio.Event
    ) -> None:
        while data := await _read(reader):
            if _COMMIT in data and self._random.random() < self._share:
                if self._random.random() < 0.5:
                    self.cut_before += 1
                    return
                self.cut_after += 1
                answer_is_lost.set()
            await _write(writer, data)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_lost: asyncio.Event
    ) -> None:
        while data := await _read(reader):
            if is_lost.is_set():
                return
            await _write(writer, data)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65_536)
    except ConnectionError:
        return b""


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    try:
        writer.write(data)
        await writer.drain()
    except ConnectionError:
        return
