"""A bell for each engine: rung to say "something was committed", and silent for ever once its owner is dead.

A bell is a FIFO in the directory beside the database, held open by its owner from before it gets its name
until the owner ends. That one descriptor answers two questions. Can it be opened for writing? Then its owner
lives; the kernel closes it with the process, however that ended. What comes out of it? The topics that others
committed.

A bell is made under another name and renamed when it is open: a bell that could be seen before it is open
would be taken for that of a dead owner. Owner ids are never used twice, so a name whose owner is dead may be
removed.
"""

import errno
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from urllib.parse import quote

from lash.backends.sql.engine.sqlite.forks import let_go_in_children

_SUFFIX = ".bell"
_MESSAGE_BYTES = 512
"""A longer list of topics is sent as "everything". Far below PIPE_BUF, so a message is never torn."""
_BACKLOG_BYTES = 8_192
"""An owner that finds so much at once may have missed more: a full FIFO refuses further messages."""
_ANYTHING = b"\n"


class Bells:
    """The bells beside one database, one of which is ours."""

    __slots__ = ("__weakref__", "_directory", "_fd", "_name")

    def __init__(self, directory: str, owner_id: str) -> None:
        """Make our bell, and remove those of dead owners.

        Raises:
            OSError: The directory cannot be written.
        """
        self._directory = directory
        self._name = _file_name(owner_id)
        path = os.path.join(directory, self._name)
        os.mkfifo(path + ".new", 0o666)
        self._fd = os.open(path + ".new", os.O_RDWR | os.O_NONBLOCK)
        let_go_in_children(self)
        os.rename(path + ".new", path)
        for name in self._others():
            self._is_dead(name)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when our bell is rung."""
        return self._fd

    def heard(self) -> frozenset[str] | None:
        """Return the topics that were rung since the last call; None if it may have been any topic."""
        try:
            data = os.read(self._fd, 65_536)
        except BlockingIOError:
            return frozenset()
        lines = data.split(b"\n")[:-1]
        if len(data) >= _BACKLOG_BYTES or b"" in lines:
            return None
        return frozenset(line.decode(errors="surrogatepass") for line in lines)

    def ring(self, topics: Iterable[str]) -> None:
        """Tell every other owner, without waiting for any, that these topics were committed."""
        try:
            others = self._others()
        except OSError:
            return  # the directory was taken away, and the bells with it; polling remains
        if others:
            message = _message(topics)
            for name in others:
                self._send(name, message)

    def dead_owners(self, owner_ids: Collection[str]) -> set[str]:
        """Return those of the owners whose bell is gone, or is held by nobody."""
        return {owner_id for owner_id in owner_ids if self._is_dead(_file_name(owner_id))}

    def close(self) -> None:
        """Remove our bell: from now on we count as dead."""
        if self._fd >= 0:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self._directory, self._name))
            self.let_go()

    def let_go(self) -> None:
        """Close the descriptor, and leave the file alone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _others(self) -> list[str]:
        return [name for name in os.listdir(self._directory) if name.endswith(_SUFFIX) and name != self._name]

    def _is_dead(self, name: str) -> bool:
        try:
            fd = os.open(os.path.join(self._directory, name), os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            return self._bury(name, error)
        os.close(fd)
        return False

    def _send(self, name: str, message: bytes) -> None:
        try:
            fd = os.open(os.path.join(self._directory, name), os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            self._bury(name, error)
            return
        try:
            os.write(fd, message)
        except (BlockingIOError, BrokenPipeError):
            # It has a backlog that says "look at everything" already, or its owner ended just now.
            pass
        finally:
            os.close(fd)

    def _bury(self, name: str, error: OSError) -> bool:
        """Say whether a bell that could not be opened is that of a dead owner, and remove it if so."""
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return True
        if error.errno != errno.ENXIO:
            return False  # not ours to open, so it says nothing about its owner
        with suppress(FileNotFoundError):  # somebody else may remove it first
            os.unlink(os.path.join(self._directory, name))
        return True


def _file_name(owner_id: str) -> str:
    return quote(owner_id, safe="", errors="surrogatepass") + _SUFFIX


def _message(topics: Iterable[str]) -> bytes:
    size = 0
    lines: list[bytes] = []
    for topic in topics:
        line = topic.encode(errors="surrogatepass")
        size += len(line) + 1
        if size > _MESSAGE_BYTES or not line or b"\n" in line:
            return _ANYTHING
        lines.append(line)
    return b"\n".join(lines) + b"\n"
