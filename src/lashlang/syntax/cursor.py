"""A position in the tokens of one source, and the ways in which a parser may be dissatisfied there.

The parser classes stack on each other (`Cursor`, `TypeParser`, `ExpressionParser`, `StatementParser`): one
object, one position, one budget of nesting. An error is noted where it is found and thrown as `ParseStop`,
which carries nothing; whoever parses a list of statements catches it, skips to where the next statement can
start, and goes on.
"""

from __future__ import annotations

from typing import Final, NoReturn

from lashlang.errors import Diagnostic, Location, locate
from lashlang.syntax.lexer import RESERVED, Tokens
from lashlang.syntax.limits import MAX_FINDINGS, MAX_HEIGHT, MAX_NESTING
from lashlang.syntax.lookalikes import hint_at

OPENERS: Final = frozenset("([{")
CLOSERS: Final = frozenset(")]}")


Places = tuple[tuple[str, int, int], ...]
"""Further places of an error: what is there, and its offsets."""


class ParseStop(Exception):
    """An error has been noted; give the statement up."""


class ParseAbort(Exception):
    """So many errors have been noted that more would be noise; give the program up."""


class Cursor:
    """Token access, expectations, errors and the nesting budget.

    `kind` is always the kind of the token at `pos`. `loose` counts the brackets that are open around it:
    inside them line breaks mean nothing. `height` is the height of the node that was returned last.
    """

    __slots__ = (
        "depth",
        "ended",
        "findings",
        "height",
        "kind",
        "loop_depth",
        "loose",
        "pos",
        "size",
        "tokens",
        "unbalanced",
        "where",
    )

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.pos = 0
        self.kind = tokens.kinds[0]
        self.depth = 0
        self.loose = 0
        self.size = 0
        self.height = 0
        self.loop_depth = 0
        self.where = "main"
        self.unbalanced = False
        self.ended = False
        self.findings: list[Diagnostic] = []

    # --- Tokens ---

    def advance(self) -> int:
        """Steps over the current token; returns its index."""
        at = self.pos
        if self.kind != "eof":
            self.pos = at + 1
            self.kind = self.tokens.kinds[at + 1]
        return at

    def jump(self, pos: int) -> None:
        """Goes to the token at index `pos`."""
        self.pos = pos
        self.kind = self.tokens.kinds[pos]

    def peek(self, ahead: int = 1) -> str:
        """The kind of a token further on; "eof" beyond the end."""
        kinds = self.tokens.kinds
        return kinds[min(self.pos + ahead, len(kinds) - 1)]

    def word(self) -> str | None:
        """The text of the current token if it is a name that is not reserved."""
        if self.kind != "name":
            return None
        value = self.tokens.values[self.pos]
        return value if isinstance(value, str) else None

    def breaks(self) -> int:
        """What ends a statement before the current token: 0 nothing, 1 a line break, 2 a `;`."""
        return 0 if self.loose else self.tokens.breaks[self.pos]

    def adjacent(self, at: int) -> bool:
        """Whether the token at index `at` touches the one before it."""
        return at > 0 and self.tokens.starts[at] == self.tokens.ends[at - 1]

    def here(self) -> int:
        """Where the current token starts."""
        return self.tokens.starts[self.pos]

    def behind(self) -> int:
        """Where the token before the current one ends."""
        return self.tokens.ends[self.pos - 1] if self.pos else 0

    # --- Expectations ---

    def take(self, kind: str, what: str) -> int:
        """Steps over a token of `kind`, or stops with `expected`; returns its index."""
        if self.kind != kind:
            self.expected(what)
        return self.advance()

    def name(self, what: str) -> str:
        """Steps over an identifier and returns it."""
        value = self.word()
        if value is None:
            self.expected(what)
        self.advance()
        return value

    def key(self, what: str, *, hint: str = "") -> str:
        """Steps over an identifier, a string or a reserved word and returns its text."""
        kind = self.kind
        if kind not in ("name", "string") and kind not in RESERVED:
            self.expected(what, hint=hint)
        value = self.tokens.values[self.advance()]
        return value if isinstance(value, str) else kind

    def close(self, kind: str, opened: int, what: str) -> None:
        """Steps over the closing bracket of the one at index `opened`."""
        if self.kind == kind:
            self.advance()
            return
        start, end = self.tokens.starts[opened], self.tokens.ends[opened]
        bracket = self.tokens.kinds[opened]
        self.expected(what, related=((f"`{bracket}` opened here", start, end),))

    # --- Errors ---

    def expected(self, what: str, *, hint: str = "", related: Places = ()) -> NoReturn:
        """Stops: the current token is not what has to stand here."""
        self.fail("expected", f"expected {what}, found {self.describe(self.pos)}", hint=hint, related=related)

    def unexpected(self, what: str = "", *, hint: str = "") -> NoReturn:
        """Stops: the current token cannot stand here."""
        found = self.describe(self.pos).removeprefix("the ")
        message = what or f"unexpected {found}"
        self.fail("unexpected", message, hint=hint)

    def fail(
        self,
        code: str,
        message: str,
        *,
        at: tuple[int, int] | None = None,
        hint: str = "",
        related: Places = (),
    ) -> NoReturn:
        """Notes an error at the current token, or at `at`, and stops."""
        self.note(code, message, at=at, hint=hint, related=related)
        raise ParseStop

    def note(
        self,
        code: str,
        message: str,
        *,
        at: tuple[int, int] | None = None,
        hint: str = "",
        related: Places = (),
    ) -> None:
        """Notes an error and goes on."""
        tokens = self.tokens
        if at is None and self.kind == "eof":
            if self.ended:
                return
            self.ended = True
        start, end = at if at is not None else (self.here(), tokens.ends[self.pos])
        if not hint and at is None:
            hint = hint_at(tokens, self.pos)
        places: tuple[tuple[str, Location], ...] = tuple(
            (text, locate(tokens.source, first, last)) for text, first, last in related
        )
        location = locate(tokens.source, start, end)
        self.findings.append(Diagnostic(code, message, location, hint, related=places))
        if len(self.findings) >= MAX_FINDINGS:
            raise ParseAbort

    def describe(self, at: int) -> str:
        """The token at index `at`, as a message names it."""
        kind = self.tokens.kinds[at]
        text = self.tokens.source[self.tokens.starts[at] : self.tokens.ends[at]]
        match kind:
            case "eof":
                return "the end of the program"
            case "string":
                return "a string"
            case "number":
                return f"the number `{text[:40]}`"
            case "name":
                return f"the name `{text[:40]}`"
            case _:
                return f"`{text}`"

    # --- Bounds ---

    def descend(self) -> None:
        """Takes one level of nesting; the caller gives it back with `self.depth -= 1`."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.too_deep()

    def too_deep(self) -> NoReturn:
        """Stops: the program nests too deeply here."""
        message = f"the program nests more than {MAX_NESTING} levels deep here"
        if self.height > MAX_HEIGHT:
            message = f"this expression is more than {MAX_HEIGHT} operators deep"
        hint = "name an inner part: assign it to a variable first"
        self.fail("nesting_too_deep", message, hint=hint)
