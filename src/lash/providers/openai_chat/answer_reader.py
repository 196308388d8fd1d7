"""Reads the text of `{"answer": "…"}` while it is still being written."""

from __future__ import annotations

import re

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class AnswerReader:
    """Turns the pieces of a JSON text into the pieces of the string that it holds under one key.

    Args:
        key: The first and only key of the object. Anything else that is fed gives no text.
    """

    def __init__(self, key: str) -> None:
        self.text = ""
        self._opening = re.compile(r'\s*\{\s*"' + re.escape(key) + r'"\s*:\s*"')
        self._pending = ""  # what has come and is not read yet
        self._is_open = False
        self._is_closed = False

    def feed(self, piece: str) -> str:
        """Take the next piece of JSON; return the text that it adds."""
        self._pending += piece
        if not self._is_open:
            found = self._opening.match(self._pending)
            if found is None:
                return ""
            self._is_open = True
            self._pending = self._pending[found.end() :]
        added = ""
        while self._pending and not self._is_closed:
            char = self._next()
            if char is None:
                break
            added += char
        self.text += added
        return added

    def _next(self) -> str | None:
        """Return the next character; None when it has not come whole, or the string has ended."""
        if self._pending[0] == '"':
            self._is_closed = True
            return None
        if self._pending[0] != "\\":
            return self._drop(1)
        if len(self._pending) < 2:
            return None
        if self._pending[1] != "u":
            return _ESCAPES.get(self._drop(2)[1], "")
        return self._next_unicode()

    def _next_unicode(self) -> str | None:
        """Return a four-digit escape, joined with the one behind it where two make one character."""
        if len(self._pending) < 6:
            return None
        try:
            unit = int(self._pending[2:6], 16)
        except ValueError:
            self._drop(6)
            return "?"
        if not 0xD800 <= unit < 0xDC00:
            self._drop(6)
            return "?" if 0xDC00 <= unit < 0xE000 else chr(unit)
        if len(self._pending) < 12 and r"\u".startswith(self._pending[6:8]):
            return None
        escape = re.match(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})", self._pending[6:12])
        self._drop(6)
        if escape is None:
            return "?"
        self._drop(6)
        return chr(0x10000 + ((unit - 0xD800) << 10) + (int(escape[1], 16) - 0xDC00))

    def _drop(self, count: int) -> str:
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken
