"""A wire between an engine and its server that can be cut, before or after a message gets through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"


class Wire:
    """Passes bytes on between a socket of its own and the server's."""

    def __init__(self, url: str, folder: Path) -> None:
        parts = urlsplit(url)
        self._target = str(Path(parse_qs(parts.query)["host"][0]) / SOCKET)
        self._folder = folder
        # Texts are looked for in what is sent, so statements must not be prepared.
        self.url = f"postgresql://{parts.netloc}{parts.path}?host={folder}&prepare_threshold=none"
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._cut_at: bytes | None = None
        self._cut_before = False
        self.cuts = 0

    async def lay(self) -> None:
        self._server = await asyncio.start_unix_server(self._link, self._folder / SOCKET)

    async def take_up(self) -> None:
        """Cut everything, and let nobody connect any more."""
        if self._server is not None:
            self._server.close()
            (self._folder / SOCKET).unlink(missing_ok=True)
        for link in list(self._links):
            link.cancel()
        if self._links:
            await asyncio.wait(self._links)

    def cut_once_at(self, text: str, *, before: bool) -> None:
        """Cut the link that sends this text, once: before it gets through, or when it is answered."""
        self._cut_at, self._cut_before = text.encode(), before

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self._target)
            there = asyncio.create_task(_pass(reader, server_writer, self._watch))
            back = asyncio.create_task(_pass(server_reader, writer, lambda data: self._is_cut(there)))
            try:
                await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in (there, back):
                    direction.cancel()
                await asyncio.wait([there, back])
                server_writer.close()
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()
            self._links.discard(link)

    def _watch(self, data: bytes) -> bool:
        """Whether these bytes of the client must not get through."""
        if self._cut_at is None or self._cut_at not in data:
            return False
        self._cut_at = None
        self.cuts += 1
        if not self._cut_before:
            task = asyncio.current_task()
            assert task is not None
            task.set_name("cut when answered")
        return self._cut_before

    def _is_cut(self, there: asyncio.Task[None]) -> bool:
        return there.get_name() == "cut when answered"


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, must_stop: Callable[[bytes], bool]
) -> None:
    try:
        while data := await reader.read(65_536):
            if must_stop(data):
                return
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
