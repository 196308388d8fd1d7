"""What goes wrong in a lashlang program, as one exception with a stable code and a place in the source.

A diagnostic is data first (`Diagnostic`: code, message, place, hint) and an exception second (`LangError`),
because a front end that stops at the first mistake makes its reader pay one round trip for each. The text
form is meant for people and language models alike: message, line and column, the source line, a caret, and
what to write instead.

Invariant: this module knows nothing but text. It imports no other module of the package, so that every
floor of it can raise from here.
"""

from __future__ import annotations

import unicodedata
from typing import Final, Literal, Self

import msgspec

Severity = Literal["error", "warning"]

_EXCERPT_CHARS: Final = 120
_CARET_CHARS: Final = 60


class Location(msgspec.Struct, frozen=True):
    """A place in a source text.

    `start` and `end` are offsets in code points, end exclusive. `line` and `column` count from 1; only a
    line feed ends a line. `line_text` is that line without its line ending, and `line_start` is where it
    begins, so that an error can be shown after the source is gone.
    """

    start: int
    end: int
    line: int
    column: int
    line_text: str
    line_start: int

    @property
    def span(self) -> tuple[int, int]:
        """The offsets `(start, end)`."""
        return (self.start, self.end)

    def excerpt(self) -> str:
        """The source line over a caret line, cut to a window around the caret when the line is long."""
        lead = self.start - self.line_start
        window = max(0, lead - _EXCERPT_CHARS // 2) if len(self.line_text) > _EXCERPT_CHARS else 0
        shown = self.line_text[window : window + _EXCERPT_CHARS]
        before, cut = shown[: lead - window], window > 0
        marked = shown[lead - window : lead - window + max(1, self.end - self.start)]
        caret = "^" * max(1, min(_CARET_CHARS, _width(marked)))
        prefix = "…" if cut else ""
        suffix = "…" if window + _EXCERPT_CHARS < len(self.line_text) else ""
        indent = " " * (len(prefix) + _width(before))
        return f"  | {prefix}{_visible(shown)}{suffix}\n  | {indent}{caret}"


class Diagnostic(msgspec.Struct, frozen=True):
    """One finding about a program: what is wrong, where, and what to write instead.

    `related` names a second place ("the block opened here"). A warning never keeps a program from running.
    """

    code: str
    message: str
    location: Location | None = None
    hint: str = ""
    severity: Severity = "error"
    related: tuple[tuple[str, Location], ...] = ()

    @property
    def line(self) -> int | None:
        """Line counted from 1, or None when no place is known."""
        return self.location.line if self.location else None

    @property
    def column(self) -> int | None:
        """Column counted from 1, or None when no place is known."""
        return self.location.column if self.location else None

    @property
    def span(self) -> tuple[int, int] | None:
        """Offsets `(start, end)` in code points, or None when no place is known."""
        return self.location.span if self.location else None

    def render(self) -> str:
        """The finding as text: message with code, place, source line, caret, related places, hint."""
        label = f"{self.severity}[{self.code}]: {self.message}"
        parts = [label]
        if self.location is not None:
            parts.append(f" --> line {self.location.line}, column {self.location.column}")
            parts.append(self.location.excerpt())
        for text, place in self.related:
            parts.append(f" note: {text} (line {place.line}, column {place.column})")
        if self.hint:
            parts.append(f" hint: {self.hint}")
        return "\n".join(parts)


class LangError(Exception):
    """A lashlang error with a stable snake_case code.

    Args:
        code: what went wrong; judge by this, never by the class or the text.
        message: one sentence that names the culprit.
        retryable: whether the same call may succeed later.
        location: where in the source, when known.
        hint: what to write instead, when something is known to help.
        facts: further values, readable as attributes; they must survive pickle.
    """

    code: str
    message: str
    retryable: bool
    location: Location | None
    hint: str
    facts: dict[str, object]

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        retryable: bool = False,
        location: Location | None = None,
        hint: str = "",
        **facts: object,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.location = location
        self.hint = hint
        self.facts = facts
        for name, value in facts.items():
            if not hasattr(type(self), name):
                setattr(self, name, value)

    @property
    def line(self) -> int | None:
        """Line counted from 1, or None when no place is known."""
        return self.location.line if self.location else None

    @property
    def column(self) -> int | None:
        """Column counted from 1, or None when no place is known."""
        return self.location.column if self.location else None

    @property
    def span(self) -> tuple[int, int] | None:
        """Offsets `(start, end)` in code points, or None when no place is known."""
        return self.location.span if self.location else None

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every finding behind this error; a run-time error is its own only one."""
        return (Diagnostic(self.code, self.message, self.location, self.hint),)

    def __str__(self) -> str:
        return "\n\n".join(finding.render() for finding in self.diagnostics)

    def __reduce__(self) -> tuple[object, ...]:
        state = (self.code, self.message, self.retryable, self.location, self.hint, self.facts)
        return (_rebuild, (type(self), *state))


class _Findings(LangError):
    """An error that carries every diagnostic of one pass; code, message and place are the first one's."""

    findings: tuple[Diagnostic, ...]

    @classmethod
    def of(cls, findings: tuple[Diagnostic, ...]) -> Self:
        """The error for `findings`, which must not be empty."""
        first = findings[0]
        return cls(first.code, first.message, location=first.location, hint=first.hint, findings=findings)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every finding of the pass, in the order in which they should be read."""
        return self.findings


class ParseError(_Findings):
    """The text is not a program. `diagnostics` holds every finding of the run."""


class LinkError(_Findings):
    """The program does not fit the host surface. `diagnostics` holds every finding of the run."""


def locate(source: str, start: int, end: int) -> Location:
    """The place of `source[start:end]`, with `start` and `end` clamped to the text.

    Works at any size in one scan; call it when something is reported, not for each node.
    """
    start = max(0, min(start, len(source)))
    end = max(start, min(end, len(source)))
    line_start = source.rfind("\n", 0, start) + 1
    line_end = source.find("\n", start)
    line_text = source[line_start : line_end if line_end >= 0 else len(source)].removesuffix("\r")
    line = source.count("\n", 0, start) + 1
    return Location(start, end, line, start - line_start + 1, line_text, line_start)


def _rebuild(
    cls: type[LangError],
    code: str,
    message: str,
    retryable: bool,
    location: Location | None,
    hint: str,
    facts: dict[str, object],
) -> LangError:
    return cls(code, message, retryable=retryable, location=location, hint=hint, **facts)


def _visible(text: str) -> str:
    """`text` on one line of a terminal: a tab is four cells, other control characters are replaced."""
    if text.isprintable():
        return text
    return "".join(_cell(char) for char in text)


def _cell(char: str) -> str:
    if char == "\t":
        return "    "
    return char if char.isprintable() else "\ufffd"


def _width(text: str) -> int:
    """Terminal cells that `_visible(text)` takes, counting wide characters as two and marks as none."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(_char_width(char) for char in _visible(text))


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
