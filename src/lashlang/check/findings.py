"""Collects what the checker has to say, in the order in which it is found."""

from __future__ import annotations

from lashlang.errors import Diagnostic, Severity, locate
from lashlang.syntax.limits import MAX_FINDINGS

Span = tuple[int, int]


class Findings:
    """Diagnostics about one source, at most `MAX_FINDINGS` of them."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: dict[tuple[str, Span], Diagnostic] = {}

    def report(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        hint: str = "",
        severity: Severity = "error",
        related: tuple[tuple[str, Span], ...] = (),
    ) -> None:
        """Notes a finding; the same code at the same place is noted once."""
        key = (code, span)
        if len(self._found) >= MAX_FINDINGS or key in self._found:
            return
        places = tuple((text, locate(self._source, *place)) for text, place in related)
        location = locate(self._source, *span) if span[0] >= 0 else None
        self._found[key] = Diagnostic(code, message, location, hint, severity, places)

    def all(self) -> tuple[Diagnostic, ...]:
        """Everything noted so far."""
        return tuple(self._found.values())

    def mentions(self, code: str, within: Span) -> bool:
        """Whether `code` has been noted somewhere inside `within`."""
        return any(
            found == code and within[0] <= span[0] and span[1] <= within[1] for found, span in self._found
        )

    def count(self) -> int:
        """How many findings there are."""
        return len(self._found)
