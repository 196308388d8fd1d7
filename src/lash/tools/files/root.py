"""A directory that no path leads out of.

A path is walked name by name, each name opened relative to the directory before it and never through a
symbolic link of the system's: links are read and their targets walked the same way, from inside. Nothing
is checked first and opened later, so a name that is exchanged meanwhile cannot lead outside either.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lash.errors import LashError, ToolError

_PATH_CHARS_MAX = 4096
_LINKS_MAX = 40
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not be waited for


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path has led, open while the `with` block of `Root.located` runs.

    Attributes:
        path: The path relative to the root with all links resolved; `.` is the root.
        status: What the system says of it.
        directory_fd: The directory itself, or the one that holds the file.
        name: The file's name there; None for a directory.
    """

    path: str
    status: os.stat_result
    directory_fd: int
    name: str | None

    def open_file(self) -> int:
        """Return a new descriptor to read the file with.

        Raises:
            ToolError: `not_a_file` for a directory, a device, a pipe or a socket.
        """
        if self.name is None or not stat.S_ISREG(self.status.st_mode):
            raise self._no_file()
        fd = os.open(self.name, _FILE, dir_fd=self.directory_fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):  # exchanged since it was looked at
            os.close(fd)
            raise self._no_file()
        return fd

    def _no_file(self) -> ToolError:
        kind = "a directory" if self.name is None else "no regular file"
        return ToolError("not_a_file", f"{self.path} is {kind}")

    def check_directory(self) -> None:
        """Check that this is a directory.

        Raises:
            ToolError: `not_a_directory`.
        """
        if self.name is not None:
            raise ToolError("not_a_directory", f"{self.path} is not a directory")


class Root:
    """A directory tree that is read.

    Args:
        path: The directory.

    Raises:
        LashError: `root_invalid` when it is no directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = os.path.abspath(path)
        self._path = os.path.realpath(given)
        self._spellings = {self._path, given}
        if not os.path.isdir(self._path):
            raise LashError("root_invalid", f"{os.fspath(path)!r} is not a directory", root=os.fspath(path))

    @contextmanager
    def located(self, path: str) -> Iterator[Place]:
        """Walk to a path and keep it open meanwhile.

        Args:
            path: Relative to the root; an absolute path is taken when it lies under the root.

        Raises:
            ToolError: `path_outside_root`, `path_invalid`, `not_found`, `not_a_directory`,
                `permission_denied`, `path_changed` (try again), `io_error`. None of them shows where the
                root lies.
        """
        with _translated(path):
            parts = self.parts(path)
            walk = _Walk(self, path)
            try:
                yield walk.to(parts)
            finally:
                walk.close()

    def parts(self, path: str) -> list[str]:
        """Return the names of a path from the root on, `..` included.

        Raises:
            ToolError: `path_outside_root` for an absolute path elsewhere, `path_invalid`.
        """
        if "\0" in path or len(path) > _PATH_CHARS_MAX:
            raise ToolError("path_invalid", "a path has at most 4096 characters, and no NUL among them")
        if path.startswith("/"):
            path = self._inside(path)
        return [part for part in path.split("/") if part not in ("", ".")]

    def _inside(self, path: str) -> str:
        for spelling in self._spellings:
            prefix = spelling.rstrip("/") + "/"
            if (path + "/").startswith(prefix):
                return path[len(prefix) :]
        raise outside(path)

    def open_top(self) -> int:
        """Return a new descriptor of the root itself."""
        return os.open(self._path, _DIRECTORY)


class _Walk:
    """The directories open on the way to one path: a stack from the root down."""

    def __init__(self, root: Root, asked: str) -> None:
        self._root = root
        self._asked = asked
        self._open = [root.open_top()]
        self._names: list[str] = []
        self._links = 0

    def to(self, parts: list[str]) -> Place:
        """Walk the names and return where they lead."""
        pending = deque(parts)
        while pending:
            name = pending.popleft()
            if name == "..":
                self._up()
                continue
            status = os.stat(name, dir_fd=self._open[-1], follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                pending.extendleft(reversed(self._target(name)))
            elif stat.S_ISDIR(status.st_mode):
                self._open.append(os.open(name, _DIRECTORY, dir_fd=self._open[-1]))
                self._names.append(name)
            elif pending:
                raise ToolError("not_a_directory", f"{self._shown(name)} is not a directory")
            else:
                return Place(self._shown(name), status, self._open[-1], name)
        return Place("/".join(self._names) or ".", os.fstat(self._open[-1]), self._open[-1], None)

    def close(self) -> None:
        while self._open:
            os.close(self._open.pop())

    def _up(self) -> None:
        if not self._names:
            raise outside(self._asked)
        self._names.pop()
        os.close(self._open.pop())

    def _target(self, name: str) -> list[str]:
        """Return the names that a link stands for; an absolute target starts at the root again."""
        self._links += 1
        if self._links > _LINKS_MAX:
            raise ToolError("not_found", f"{self._asked!r} leads through too many symbolic links")
        target = os.readlink(name, dir_fd=self._open[-1])
        try:
            parts = self._root.parts(target)
        except ToolError as problem:
            raise outside(self._asked) from problem
        if target.startswith("/"):
            while self._names:
                self._up()
        return parts

    def _shown(self, name: str) -> str:
        return "/".join([*self._names, name])


def outside(path: str) -> ToolError:
    """Return the refusal of a path that leads out of the root."""
    return ToolError(
        "path_outside_root",
        f"{path!r} is outside the files that may be read: use a path relative to their root",
    )


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """Turn what the operating system says into what the model can act on."""
    try:
        yield
    except UnicodeEncodeError as problem:
        raise ToolError("path_invalid", "the path is no valid Unicode text") from problem
    except OSError as problem:
        raise _of_errno(path, problem) from problem


def _of_errno(path: str, problem: OSError) -> ToolError:
    match problem.errno:
        case errno.ENOENT:
            return ToolError("not_found", f"there is no {path!r}")
        case errno.ENOTDIR:
            return ToolError("not_a_directory", f"{path!r} leads through something that is no directory")
        case errno.EACCES | errno.EPERM:
            return ToolError("permission_denied", f"{path!r} may not be read by this process")
        case errno.ENAMETOOLONG:
            return ToolError("path_invalid", f"a name in {path[:80]!r}… is too long")
        case errno.ELOOP:
            return ToolError("path_changed", f"{path!r} changed while it was opened", retryable=True)
        case _:
            return ToolError("io_error", f"{path!r} cannot be read: {problem.strerror}")
