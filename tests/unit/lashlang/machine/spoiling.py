"""Random programs with one certain mistake each: the example of a catalogue entry, in the middle of a valid program.

Every code of the front end and every code that a program can reach by itself has to come up often; which place the
mistake stands at, and what is around it, is random.
"""

from __future__ import annotations

from random import Random

from tests.unit.lashlang.machine.programs import HOST, Maker

from lashlang.catalogue import CATALOGUE, Explanation
from lashlang.check import HostSurface, check, lint
from lashlang.errors import LangError
from lashlang.syntax import parse

SURFACE = HostSurface.from_host(HOST | {"tools": {**HOST["tools"], "fetch": {"echo": True}}})
CLOSED = HostSurface()
SPOILERS = [
    entry for entry in CATALOGUE.values() if entry.wrong and entry.phase in ("parse", "link", "warning")
]


def spoiled(random: Random, entry: Explanation) -> str:
    """A valid program with the wrong example of `entry` before, behind or inside it."""
    if entry.closed or entry.code in ("source_too_large", "unterminated_string"):
        return entry.wrong  # its host, its size or its being the end of the text makes it wrong
    lines = Maker(random).program().split("\n")
    places = [at for at in range(len(lines) + 1) if _is_outside(lines[:at])]
    at = random.choice(places)
    return "\n".join([*lines[:at], entry.wrong, *lines[at:]])


def _is_outside(lines: list[str]) -> bool:
    text = "\n".join(lines)
    return text.count("{") == text.count("}") and not (lines and lines[-1].startswith("@"))


def codes(source: str, entry: Explanation) -> list[str]:
    """What is found in a spoiled program: its errors, else its warnings."""
    try:
        return [found.code for found in lint(check(parse(source), CLOSED if entry.closed else SURFACE))]
    except LangError as error:
        for found in error.diagnostics:
            assert found.span is not None
            assert 0 <= found.span[0] <= found.span[1] <= len(source)
            assert found.render().startswith(f"error[{found.code}]: ")
        return [found.code for found in error.diagnostics]
