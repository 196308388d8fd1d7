"""A relay between a client and a PostgreSQL server that counts what passes, by the messages of the protocol.

A statement is an Execute or a simple Query; a round trip is a flight of the client that was answered: the client
spoke, the server spoke, and the client speaks again.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

_EXECUTES = frozenset({ord("E"), ord("Q")})


@dataclass
class Counts:
    """What has passed."""

    statements: int = 0
    round_trips: int = 0
    bytes_out: int = 0
    bytes_in: int = 0

    def minus(self, other: Counts) -> Counts:
        """Return what has passed since."""
        return Counts(*(getattr(self, one.name) - getattr(other, one.name) for one in fields(self)))


class _Messages:
    """Finds the messages in what a client sends: a first one without a type, then a type and a length each."""

    def __init__(self) -> None:
        self._rest = b""
        self._has_begun = False

    def types(self, data: bytes) -> list[int]:
        """Return the types of the messages that end here."""
        self._rest += data
        found = []
        while True:
            at = 1 if self._has_begun else 0
            if len(self._rest) < at + 4:
                return found
            size = at + int.from_bytes(self._rest[at : at + 4], "big")
            if len(self._rest) < size:
                return found
            if self._has_begun:
                found.append(self._rest[0])
            self._has_begun = True
            self._rest = self._rest[size:]


class Relay:
    """Listens on a socket in a folder of its own; use it in a `with` statement."""

    def __init__(self, url: str) -> None:
        """Name the database; its host must be the folder of a socket."""
        self._folder = tempfile.TemporaryDirectory(prefix="lash-relay-")
        host = parse_qs(urlsplit(url).query)["host"][0]
        self.url = url.replace(host, self._folder.name)
        self._server_socket = str(Path(host) / ".s.PGSQL.5432")
        self._counts = Counts()
        self._lock = threading.Lock()
        self._writers: list[asyncio.StreamWriter] = []
        self._serving: list[asyncio.Future[object]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def counts(self) -> Counts:
        """Return what has passed so far."""
        with self._lock:
            return Counts(**vars(self._counts))

    def __enter__(self) -> Relay:
        self._thread.start()
        place = str(Path(self._folder.name) / ".s.PGSQL.5432")
        asyncio.run_coroutine_threadsafe(asyncio.start_unix_server(self._serve, place), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    async def _end(self) -> None:
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._server_socket)
        messages, speaks = _Messages(), {"client": False}

        def sent(data: bytes) -> None:
            with self._lock:
                self._counts.bytes_out += len(data)
                self._counts.statements += sum(kind in _EXECUTES for kind in messages.types(data))
                self._counts.round_trips += not speaks["client"]
            speaks["client"] = True

        def answered(data: bytes) -> None:
            with self._lock:
                self._counts.bytes_in += len(data)
            speaks["client"] = False

        self._writers += (writer, up_writer)
        both = asyncio.gather(_pump(reader, up_writer, sent), _pump(up_reader, writer, answered))
        self._serving.append(both)
        await both


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[bytes], None]
) -> None:
    try:
        while data := await reader.read(65_536):
            note(data)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
