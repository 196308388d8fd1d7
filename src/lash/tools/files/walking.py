"""Walking a tree and matching its paths: in order, without following links, and bounded."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lash.errors import ToolError
from lash.tools.files.root import Root, outside

_VISITED_MAX = 100_000
_SEGMENTS_MAX = 64
_WILDCARDS = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory. `path` is relative to the root."""

    path: str
    name: str
    mode: int
    size_bytes: int

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


class Bounds:
    """Stops a walk that takes too long for a tool, or that nobody waits for any longer."""

    def __init__(self, is_cancelled: Callable[[], bool]) -> None:
        self._is_cancelled = is_cancelled
        self._visited = 0

    def visit(self) -> None:
        """Count one name.

        Raises:
            ToolError: `too_many_files`, `cancelled`.
        """
        self._visited += 1
        if self._visited > _VISITED_MAX:
            raise ToolError(
                "too_many_files", f"more than {_VISITED_MAX:,} names: start in a smaller directory"
            )
        if self._is_cancelled():
            raise ToolError("cancelled", "nobody waits for this search any longer")


def list_directory(root: Root, path: str, bounds: Bounds) -> list[Entry]:
    """Return what a directory holds, sorted by name.

    Raises:
        ToolError: as `Root.located`; `not_a_directory`, `too_many_files`.
    """
    found = []
    with root.located(path) as place:
        place.check_directory()
        prefix = "" if place.path == "." else f"{place.path}/"
        with os.scandir(place.directory_fd) as entries:
            for entry in entries:
                bounds.visit()
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone since the directory was read
                    continue
                found.append(Entry(prefix + entry.name, entry.name, status.st_mode, status.st_size))
    return sorted(found, key=lambda entry: entry.name)


def walk(
    root: Root, start: str, bounds: Bounds, *, enters: Callable[[Entry], bool] = lambda _: True
) -> Iterator[Entry]:
    """Yield everything below a directory, depth first and in order. Links are yielded, not followed.

    Args:
        root: The tree.
        start: The directory.
        bounds: Where to stop.
        enters: Which directories to walk into.

    Raises:
        ToolError: as `list_directory`, for `start`; unreadable ones further down are left out.
    """
    pending = list(reversed(list_directory(root, start, bounds)))
    while pending:
        entry = pending.pop()
        yield entry
        if not entry.is_directory or not enters(entry):
            continue
        try:
            pending.extend(reversed(list_directory(root, entry.path, bounds)))
        except ToolError as problem:
            if problem.code in ("too_many_files", "cancelled"):
                raise


class Glob:
    """A path pattern: `*`, `?` and `[…]` within a name, `**` for any number of directories.

    Names that begin with a dot match only where the pattern has the dot. Matching takes time in proportion
    to path times pattern, whatever the pattern.

    Raises:
        ToolError: `path_outside_root` for a pattern with `..`, or an absolute one elsewhere;
            `pattern_invalid` for an empty one.
    """

    def __init__(self, root: Root, pattern: str) -> None:
        segments = root.parts(pattern)
        if ".." in segments:
            raise outside(pattern)
        if not segments or len(segments) > _SEGMENTS_MAX:
            raise ToolError(
                "pattern_invalid", f"a pattern has 1 to {_SEGMENTS_MAX} names, such as src/**/*.py"
            )
        fixed = 0
        while fixed < len(segments) - 1 and not _WILDCARDS.search(segments[fixed]):
            fixed += 1
        self.start = "/".join(segments[:fixed]) or "."
        self._segments = [
            None if part == "**" else (part, re.compile(fnmatch.translate(part))) for part in segments
        ]

    def matches(self, path: str) -> bool:
        """Return whether a path below the root matches."""
        return len(self._segments) in self._reached(path)

    def may_match_below(self, directory: str) -> bool:
        """Return whether anything inside a directory could match."""
        return any(at < len(self._segments) for at in self._reached(directory))

    def _reached(self, path: str) -> set[int]:
        """Return how many segments may be used up when all of `path` is."""
        reached = self._skipping({0})
        for name in path.split("/"):
            following = set()
            for at in reached:
                segment = self._segments[at] if at < len(self._segments) else ()
                if segment is None:
                    if not name.startswith("."):
                        following.add(at)
                elif segment and _name_matches(segment, name):
                    following.add(at + 1)
            reached = self._skipping(following)
        return reached

    def _skipping(self, reached: set[int]) -> set[int]:
        """Add what is reached when `**` stands for nothing."""
        for at in sorted(reached):
            following = at
            while following < len(self._segments) and self._segments[following] is None:
                following += 1
                reached.add(following)
        return reached


def _name_matches(segment: tuple[str, re.Pattern[str]], name: str) -> bool:
    pattern, compiled = segment
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return compiled.match(name) is not None
