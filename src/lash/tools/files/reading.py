"""Pages of text files: bounded in lines and bytes, whatever the file is like."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lash.errors import ToolError
from lash.tools.files.root import Root

_SAMPLE_BYTES = 8192
_LINE_BYTES_MAX = 8000
_SCAN_BYTES_MAX = 256 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSize:
    """How much one answer holds; below the output budget, or the middle of every page would be cut out."""

    lines: int = 380
    bytes: int = 15 * 1024


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: bytes
    left_out_bytes: int

    def shown(self) -> str:
        text = self.text.decode("utf-8", "replace")
        return f"{text} [… {self.left_out_bytes:,} more bytes in this line]" if self.left_out_bytes else text


def read_page(root: Root, path: str, offset: int, limit: int, size: PageSize) -> str:
    """Return lines of a text file, and how to get the next ones.

    Args:
        root: Where to read.
        path: Which file.
        offset: The first line, from 1.
        limit: How many lines at most.
        size: The bounds of a page.

    Raises:
        ToolError: as `Root.located` and `open_text`; `offset_beyond_end`, `file_too_large`.
    """
    with root.located(path) as place, open_text(place.open_file(), place.path) as handle:
        shown: list[str] = []
        room = size.bytes
        last = 0
        for line in _lines(handle, place.path):
            if line.number < offset:
                last = line.number
                continue
            text = line.shown()
            room -= len(text.encode("utf-8")) + 1
            if len(shown) >= min(limit, size.lines) or (shown and room < 0):
                return _page(shown, offset, f"more follows: call again with offset={line.number}")
            shown.append(text)
            last = line.number
    if not shown:
        if last == 0 and offset == 1:
            return "[the file is empty]"
        raise ToolError("offset_beyond_end", f"{place.path} has {last} lines, so there is no line {offset}")
    return _page(shown, offset, "the end of the file") if offset > 1 else "\n".join(shown)


def open_text(fd: int, shown_path: str) -> BinaryIO:
    """Return the file of a descriptor for reading, after its byte order mark.

    Raises:
        ToolError: `not_text` when its beginning holds a NUL byte. The descriptor is closed then.
    """
    handle = os.fdopen(fd, "rb")
    sample = handle.read(_SAMPLE_BYTES)
    if b"\0" in sample:
        size = os.fstat(fd).st_size
        handle.close()
        raise ToolError("not_text", f"{shown_path} is a binary file of {size:,} bytes")
    handle.seek(len(_BOM) if sample.startswith(_BOM) else 0)
    return handle


def _lines(handle: BinaryIO, shown_path: str) -> Iterator[_Line]:
    """Yield the lines of a file, holding never more than a bounded part of one."""
    number = scanned = 0
    while line := handle.readline(_LINE_BYTES_MAX):
        number += 1
        left_out = 0
        if not line.endswith(b"\n"):
            while rest := handle.readline(_LINE_BYTES_MAX):
                left_out += len(rest.rstrip(b"\r\n"))
                scanned += len(rest)
                if rest.endswith(b"\n"):
                    break
                _check_scanned(scanned, shown_path)
        scanned += len(line)
        _check_scanned(scanned, shown_path)
        yield _Line(number, line.rstrip(b"\r\n"), left_out)


def _check_scanned(scanned: int, shown_path: str) -> None:
    if scanned > _SCAN_BYTES_MAX:
        raise ToolError(
            "file_too_large",
            f"{shown_path} is too large to page through: it is read up to byte {_SCAN_BYTES_MAX:,}",
        )


def _page(shown: list[str], offset: int, what_follows: str) -> str:
    return "\n".join([*shown, f"[lines {offset} to {offset + len(shown) - 1}; {what_follows}]"])
