"""Where a model's answer holds a program: the first fenced block with the language's tag.

CommonMark's rules for fences (a run of at least three ticks or tildes, indented by at most three blanks, closed
by a run at least as long on a line of its own), and one leniency: an opening fence of ticks with exactly the
tag may follow prose on its line, as models write it. A block of another language hides what is in it. The
scanner is fed piece by piece; however a text is cut into pieces, it finds the same, which is why what a
watcher is shown and what the turn does cannot differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

_OWN_LINE = re.compile(r" {0,3}(?:(?P<ticks>`{3,})(?P<info>[^`]*)|(?P<tildes>~{3,})(?P<rest>.*))\Z")
_MID_LINE = re.compile(r"(?<!`)(?P<ticks>`{3,})[ \t]*(?P<tag>[A-Za-z0-9_-]+)[ \t]*\Z")
_PENDING = re.compile(r"(?<!`)(?P<ticks>`+)[ \t]*[A-Za-z0-9_-]*[ \t]*\r?\Z")
_CLOSING = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})[ \t]*\Z")


@dataclass(frozen=True, slots=True)
class FencedBlock:
    """A program in an answer.

    Attributes:
        prose: What comes before the fence.
        code: The body, without the line ending before the closing fence.
        emitted: The answer up to the end of the closing fence: all that counts of it. An answer that breaks
            off inside the block is closed here.
        closed: Whether the answer closed it.
    """

    prose: str
    code: str
    emitted: str
    closed: bool


@dataclass(frozen=True, slots=True)
class ProseSeen:
    """More prose that stands before any program."""

    text: str


@dataclass(frozen=True, slots=True)
class BlockOpened:
    """The program's fence opened: everything from here on is no prose."""


@dataclass(frozen=True, slots=True)
class BlockClosed:
    """The program's fence closed, or the text ended."""

    code: str


Sighting = ProseSeen | BlockOpened | BlockClosed


class _In(Enum):
    PROSE = auto()
    OTHER_BLOCK = auto()
    BLOCK = auto()
    AFTER = auto()


class FenceScanner:
    """Finds the first block with one of `tags` in a text that comes in pieces."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        self._tags = frozenset(tags)
        self._state = _In.PROSE
        self._fence = ""  # what opened the block that the scanner is in
        self._line = ""  # the line that is not over yet
        self._shown = 0  # characters of it that were given out as prose
        self._prose: list[str] = []
        self._text: list[str] = []  # whole lines of the answer, up to the closing fence
        self._body: list[str] = []
        self.block: FencedBlock | None = None

    def feed(self, text: str) -> list[Sighting]:
        """Take the next piece; return what it shows."""
        seen: list[Sighting] = []
        *whole, rest = text.split("\n")
        for part in whole:
            self._line += part
            self._end_line(seen, "\n")
        self._line += rest
        self._show_safe(seen)
        return seen

    def finish(self) -> list[Sighting]:
        """Tell that the text is over; return what was held back. `block` is the program, if there is one."""
        seen: list[Sighting] = []
        self._end_line(seen, "")
        if self._state is _In.BLOCK:
            self._close(seen, closed=False)
        return seen

    def _end_line(self, seen: list[Sighting], ending: str) -> None:
        line, self._line = self._line, ""
        shown, self._shown = self._shown, 0
        if self._state is _In.AFTER:
            return
        self._text.append(line + ending)
        bare = line.removesuffix("\r")
        match self._state:
            case _In.BLOCK:
                if self._closes(bare):
                    self._close(seen, closed=True)
                else:
                    self._body.append(line + ending)
            case _In.OTHER_BLOCK:
                if self._closes(bare):
                    self._state = _In.PROSE
                self._show(seen, line[shown:] + ending)
            case _:
                at = self._opens(bare)
                self._show(seen, line[shown:at] if at is not None else line[shown:] + ending)
                if at is not None:
                    self._state = _In.BLOCK
                    seen.append(BlockOpened())

    def _show_safe(self, seen: list[Sighting]) -> None:
        """Give out what of the unfinished line is prose for certain."""
        if self._state is _In.OTHER_BLOCK:
            safe = len(self._line)
        elif self._state is _In.PROSE:
            safe = _first_possible_fence(self._line)
        else:
            return
        if safe > self._shown:
            self._show(seen, self._line[self._shown : safe])
            self._shown = safe

    def _show(self, seen: list[Sighting], text: str) -> None:
        if text:
            self._prose.append(text)
            seen.append(ProseSeen(text))

    def _opens(self, line: str) -> int | None:
        """Return where a fence of the language begins in a whole line; note the opening of another block."""
        own = _OWN_LINE.match(line)
        if own is not None:
            info = (own["info"] if own["ticks"] else own["rest"]).split()
            self._fence = own["ticks"] or own["tildes"]
            if info and info[0].lower() in self._tags:
                return 0
            self._state = _In.OTHER_BLOCK
            return None
        inline = _MID_LINE.search(line)
        if inline is not None and inline["tag"].lower() in self._tags:
            self._fence = inline["ticks"]
            return inline.start()
        return None

    def _closes(self, line: str) -> bool:
        found = _CLOSING.match(line)
        return (
            found is not None
            and found["fence"][0] == self._fence[0]
            and len(found["fence"]) >= len(self._fence)
        )

    def _close(self, seen: list[Sighting], *, closed: bool) -> None:
        code = "".join(self._body).removesuffix("\n").removesuffix("\r")
        emitted = "".join(self._text).removesuffix("\n").removesuffix("\r")
        if not closed:
            emitted += f"\n{self._fence}"
        self.block = FencedBlock("".join(self._prose), code, emitted, closed)
        self._state = _In.AFTER
        seen.append(BlockClosed(code))


def find_block(text: str, tags: tuple[str, ...]) -> FencedBlock | None:
    """Return the first program in a whole answer, or None."""
    scanner = FenceScanner(tags)
    scanner.feed(text)
    scanner.finish()
    return scanner.block


def _first_possible_fence(line: str) -> int:
    """Return how far into an unfinished line nothing can become part of an opening fence."""
    start = line.lstrip(" ")
    if not start or start[0] == "~":
        return 0
    ticks = len(start) - len(start.lstrip("`"))
    if ticks >= 3 or ticks == len(start):
        return 0
    pending = _PENDING.search(line)
    if pending is not None and (len(pending["ticks"]) >= 3 or pending.end("ticks") == len(line)):
        return pending.start()
    return len(line)
