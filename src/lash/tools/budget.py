"""How much of a result the model sees: its beginning, its end, and a line that says what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lash.errors import LashError
from lash.values import Json

_MARKER_BYTES = 320  # more than the longest marker line
_LIMIT_BYTES_MIN = 1024
_LIMIT_LINES_MIN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputBudget:
    """Limits for one result.

    Attributes:
        limit_bytes: UTF-8 bytes that the model sees at most, the marker included.
        limit_lines: Lines that the model sees at most, the marker included.
        refuse_bytes: Beyond this a result is not even stored: `tool_result_too_large`.
    """

    limit_bytes: int = 16 * 1024
    limit_lines: int = 400
    refuse_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.limit_bytes < _LIMIT_BYTES_MIN or self.limit_lines < _LIMIT_LINES_MIN:
            raise LashError(
                "output_budget_invalid",
                f"a tool result needs at least {_LIMIT_BYTES_MIN} bytes and {_LIMIT_LINES_MIN} lines",
            )

    def rendered(self, content: Json) -> bytes | None:
        """Return the whole text of a result that does not fit; None when the model may see it as it is.

        Raises:
            LashError: `tool_result_too_large`.
        """
        data = content.encode("utf-8") if isinstance(content, str) else msgspec.json.encode(content)
        self.check_size(len(data))
        fits = len(data) <= self.limit_bytes and data.count(b"\n") < self.limit_lines
        return None if fits else data

    def check_size(self, size: int) -> None:
        """Raise `tool_result_too_large` when that many bytes are beyond keeping.

        Raises:
            LashError: `tool_result_too_large`.
        """
        if size > self.refuse_bytes:
            raise LashError(
                "tool_result_too_large",
                f"the tool ran, but its result of {size:,} bytes is over the limit of {self.refuse_bytes:,}: "
                "ask for less, or have it written to a file",
                size_bytes=size,
                limit_bytes=self.refuse_bytes,
            )

    def cut(self, data: bytes, kept_as: str | None) -> str:
        """Return the head and the tail of a text that does not fit, and a marker line between them.

        Args:
            data: The text in UTF-8.
            kept_as: The id of the attachment that holds it whole, if one does.
        """
        bytes_each = (self.limit_bytes - _MARKER_BYTES) // 2
        lines_each = (self.limit_lines - 1) // 2
        head = _head(data, bytes_each, lines_each)
        tail = _tail(data[len(head) :], bytes_each, lines_each)
        missing = data[len(head) : len(data) - len(tail)]
        lines = f"{missing.count(10):,} of {data.count(10) + 1:,} lines"
        where = f"; the whole result is attachment {kept_as}" if kept_as else ""
        marker = f"[… {len(missing):,} of {len(data):,} bytes ({lines}) are left out here{where} …]"
        first, last = head.decode("utf-8").removesuffix("\n"), tail.decode("utf-8").removeprefix("\n")
        return f"{first}\n{marker}\n{last}"


def _head(data: bytes, limit_bytes: int, limit_lines: int) -> bytes:
    """Return the beginning, ending at a line if one ends in its last quarter."""
    kept = data[:limit_bytes]
    if kept.count(b"\n") >= limit_lines:
        kept = b"\n".join(kept.split(b"\n", limit_lines)[:limit_lines]) + b"\n"
    elif (end := kept.rfind(b"\n")) >= len(kept) * 3 // 4:
        kept = kept[: end + 1]
    return kept.decode("utf-8", "ignore").encode("utf-8")  # a character that was cut in two is left out


def _tail(data: bytes, limit_bytes: int, limit_lines: int) -> bytes:
    """Return the end, beginning at a line if one begins in its first quarter."""
    kept = data[-limit_bytes:]
    if kept.count(b"\n") >= limit_lines:
        kept = b"\n".join(kept.rsplit(b"\n", limit_lines)[-limit_lines:])
    elif 0 <= (start := kept.find(b"\n")) < len(kept) // 4:
        kept = kept[start + 1 :]
    while kept and kept[0] & 0xC0 == 0x80:  # the rest of a character that was cut in two
        kept = kept[1:]
    return kept
