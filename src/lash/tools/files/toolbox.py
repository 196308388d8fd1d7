"""The file tools themselves: what a model sees, over the modules that do the work."""

from __future__ import annotations

import stat as modes
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta

from lash.tools.context import ToolContext
from lash.tools.definition import Tool, tool
from lash.tools.files.reading import PageSize, read_page
from lash.tools.files.root import Root
from lash.tools.files.searching import linear_pattern, search
from lash.tools.files.walking import Bounds, Entry, Glob, list_directory, walk

_TIMEOUT_S = 60.0

Positive = Annotated[int, Meta(ge=1)]


class FileTools:
    """Read-only tools over one tree."""

    def __init__(self, root: Root, size: PageSize) -> None:
        self._root = root
        self._size = size

    @tool(effect="read_only", timeout=_TIMEOUT_S)
    def read_file(self, path: str, offset: Positive = 1, limit: Positive = 380) -> str:
        """Read a text file, a page at a time. A last line in brackets says how to get the next page.

        Args:
            path: The file, relative to the root.
            offset: The first line to read, from 1.
            limit: How many lines to read at most.
        """
        return read_page(self._root, path, offset, limit, self._size)

    @tool(effect="read_only", timeout=_TIMEOUT_S)
    def list_files(self, ctx: ToolContext, path: str = ".") -> str:
        """List a directory: directories end in `/`, files show their size.

        Args:
            ctx: Says when to stop.
            path: The directory, relative to the root.
        """
        entries = list_directory(self._root, path, Bounds(lambda: ctx.cancelled))
        return self._listing([self._line(entry) for entry in entries], "the directory is empty")

    @tool(effect="read_only", timeout=_TIMEOUT_S)
    def glob(self, ctx: ToolContext, pattern: str) -> str:
        """Find files by their path. Hidden names match only where the pattern begins with the dot.

        Args:
            ctx: Says when to stop.
            pattern: A path pattern from the root, such as `src/**/*.py`.
        """
        wanted = Glob(self._root, pattern)
        found = walk(
            self._root,
            wanted.start,
            Bounds(lambda: ctx.cancelled),
            enters=lambda entry: wanted.may_match_below(entry.path),
        )
        paths = [entry.path for entry in found if not entry.is_directory and wanted.matches(entry.path)]
        return self._listing(paths, "no file matches")

    @tool(effect="read_only", timeout=_TIMEOUT_S)
    def grep(
        self,
        ctx: ToolContext,
        pattern: Annotated[str, Meta(min_length=1, max_length=1000)],
        path: str = ".",
        glob: str | None = None,
        *,
        ignore_case: bool = False,
    ) -> str:
        """Search text files line by line. Hidden files are left out, unless path or glob names them.

        Args:
            ctx: Says when to stop.
            pattern: A regular expression (ECMAScript, without look-around and back-references).
            path: A file, or a directory to search through.
            glob: Which files: a name pattern such as `*.py`, or a path pattern such as `src/**/*.py`.
            ignore_case: Whether case does not matter.
        """
        matches = linear_pattern(pattern, ignore_case=ignore_case)
        return search(self._root, matches, path, glob, self._size, Bounds(lambda: ctx.cancelled))

    @tool(effect="read_only", timeout=_TIMEOUT_S)
    def stat(self, path: str) -> dict[str, Any]:  # JSON
        """Tell the type, size and time of change of a file or directory.

        Args:
            path: The file or directory, relative to the root.
        """
        with self._root.located(path) as place:
            status = place.status
            return {
                "path": place.path,
                "type": _type(status.st_mode),
                "size_bytes": status.st_size,
                "modified_at": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds"),
            }

    def tools(self) -> tuple[Tool[..., Any], ...]:  # of every signature
        """Return the tools, bound to this tree."""
        return (self.read_file, self.list_files, self.glob, self.grep, self.stat)

    def _line(self, entry: Entry) -> str:
        if entry.is_directory:
            return f"{entry.name}/"
        if entry.is_link:
            return f"{entry.name} (symbolic link)"
        return (
            f"{entry.name} ({entry.size_bytes:,} bytes)" if entry.is_file else f"{entry.name} (special file)"
        )

    def _listing(self, lines: list[str], when_empty: str) -> str:
        """Return as many lines as a page holds, and how many there are beyond."""
        shown: list[str] = []
        room = self._size.bytes
        for line in lines:
            room -= len(line.encode("utf-8", "replace")) + 1
            if room < 0 or len(shown) >= self._size.lines:
                return "\n".join([*shown, f"[and {len(lines) - len(shown):,} more: narrow it down]"])
            shown.append(line)
        return "\n".join(shown) or f"[{when_empty}]"


def _type(mode: int) -> str:
    if modes.S_ISDIR(mode):
        return "directory"
    return "file" if modes.S_ISREG(mode) else "special"
