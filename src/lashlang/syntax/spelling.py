"""How names, keys, numbers and texts are spelled in canonical source."""

from __future__ import annotations

import re
from typing import Final

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LONG_TEXT: Final = 40


def spell_key(key: str) -> str:
    """A record key, field or argument name: bare where the grammar allows it."""
    return key if _IDENTIFIER.match(key) else _quoted(key)


def spell_number(value: int | float) -> str:
    """A literal that reads back as exactly `value`, keeping the difference between `1` and `1.0`."""
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    if "e" in text and 1e-7 <= abs(value) < 1e21:
        from decimal import Decimal  # rarely needed, and slow to import

        text = format(Decimal(text), "f")
        return text if "." in text else text + ".0"
    return text


def spell_text(value: str) -> str:
    """A string literal: raw where escapes would hide the text, on several lines where it has several."""
    plain = all(char.isprintable() or char in "\n\t" for char in value)
    lines = value.count("\n")
    if plain and (lines > 1 or (lines == 1 and len(value) > _LONG_TEXT)):
        for quotes in ('"""', "'''"):
            if quotes not in value and not value.endswith(quotes[0]):
                return f"r{quotes}{value}{quotes}"
    if plain and "\\" in value and not lines:
        for quote in ('"', "'"):
            if quote not in value:
                return f"r{quote}{value}{quote}"
    return _quoted(value)


def _quoted(value: str) -> str:
    return '"' + "".join(_escaped(char) for char in value) + '"'


def _escaped(char: str) -> str:
    escape = _ESCAPES.get(char)
    if escape is not None:
        return escape
    if char.isprintable() or ord(char) > 0xFFFF:
        return char
    return f"\\u{ord(char):04x}"
