"""Source text to tokens, in one pass of one regular expression.

Tokens live in parallel lists because the parser looks at one property at a time. A token's kind is its own
spelling for punctuation and reserved words, else one of "name", "number", "string", "eof". Every
alternative of the pattern is possessive or starts with a distinct character, so the scan is linear on any
input.

Invariant: a line break or `;` before a token is kept in `breaks`; whether it ends a statement is the parser's
decision, because inside brackets it does not.
"""

from __future__ import annotations

import re
from typing import Final

from lashlang.errors import Diagnostic, locate
from lashlang.syntax.ast import Comment
from lashlang.syntax.limits import MAX_FINDINGS, MAX_SOURCE_CHARS

RESERVED: Final = frozenset(
    "if else for in await cancel submit print call and or not true false null".split()  # noqa: SIM905 - a table
)
"""Words that are never variables; each may be a record key, a field, an argument name."""

SPACE: Final = " \\t-\\r\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
"""Unicode White_Space, as the inside of a character class."""

_TOKEN: Final = re.compile(
    rf"""
      (?P<trivia> (?: [{SPACE};]++ | \#[^\n]*+ | //[^\n]*+ )++ )
    | (?P<raw>    [rR] (?: \"\"\" (?: [^"]++ | "(?!"") )*+ \"\"\" | ''' (?: [^']++ | '(?!'') )*+ '''
                         | " (?!"") [^"\n]*+ " | ' (?!'') [^'\n]*+ ' ) )
    | (?P<cut>    [rR]["'] )
    | (?P<name>   [A-Za-z_][A-Za-z0-9_]*+ )
    | (?P<punct>  \?\? | == | != | <= | >= | && | \|\| | -> | [{{}}()\[\],:@?.!=|<>+\-*/%] )
    | (?P<number> [0-9][0-9_]*+ (?: \.[0-9_]*+ )?+ (?: [eE][+-]?[0-9][0-9_]*+ )?+ [A-Za-z0-9_]*+ )
    | (?P<text>   \"\"\" (?: [^"\\]++ | \\[\s\S] | "(?!"") )*+ \"\"\" | ''' (?: [^'\\]++ | \\[\s\S] |
    '(?!'') )*+ '''
                | " (?!"") (?: [^"\\]++ | \\[\s\S] )*+ " | ' (?!'') (?: [^'\\]++ | \\[\s\S] )*+ ' )
    | (?P<bad>    [\s\S] )
    """,
    re.VERBOSE,
)
_TRIVIA, _RAW, _CUT, _NAME, _PUNCT, _NUMBER, _TEXT = range(1, 8)
_COMMENT: Final = re.compile(r"(?:#|//)[^\n]*")
_NUMBER_FORM: Final = re.compile(r"[0-9]+(?:_[0-9]+)*(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?(?:[eE][+-]?[0-9]+)?\Z")
_ESCAPE: Final = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([\s\S]))"
)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}
_MAX_INT: Final = 2**63 - 1

_CHARACTER_HINTS: Final = {
    "&": "write `and` (or `&&`)",
    "$": "there is no interpolation: write format(\"… {}\", value)",
    "`": "write \"…\" for text; a template becomes format(\"… {}\", value)",
    "\\": "a line continues by itself inside brackets or after an operator; no backslash is needed",
    "~": "there are no bitwise operators; write `not` for a negation",
    "^": "there is no `^` operator; write x * x for a power",
    "“": "use straight quotes: \"…\"",
    "”": "use straight quotes: \"…\"",
    "‘": "use straight quotes: '…'",
    "’": "use straight quotes: '…'",
    "\ufeff": "remove the byte order mark",
    "\u200b": "remove the invisible character",
    "×": "write *",
    "÷": "write /",
    "−": "write - (the ASCII minus)",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "→": "write ->",
    "…": "write the code out; there is no ellipsis",
}  # fmt: skip


class Tokens:
    """The tokens of one source, ending with one of kind "eof", and what the lexer had to say.

    `values` holds a name's or a string's text and a number's value, else None. `breaks` tells what stands
    before a token: 0 nothing that could end a statement, 1 a line break, 2 a `;`. `cut` says that a string
    never ended, so that the text after its quote was not read.
    """

    __slots__ = ("breaks", "comments", "cut", "ends", "findings", "kinds", "source", "starts", "values")

    def __init__(self, source: str) -> None:
        self.source = source
        self.kinds: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.values: list[str | int | float | None] = []
        self.breaks: list[int] = []
        self.comments: list[Comment] = []
        self.findings: list[Diagnostic] = []
        self.cut = False

    def report(self, code: str, start: int, end: int, message: str, hint: str = "") -> None:
        """Notes an error at `source[start:end]`."""
        self.findings.append(Diagnostic(code, message, locate(self.source, start, end), hint))

    def _close(self, pending: int) -> None:
        size = len(self.source)
        self.kinds.append("eof")
        self.starts.append(size)
        self.ends.append(size)
        self.values.append(None)
        self.breaks.append(pending or 1)


def tokenize(source: str) -> Tokens:
    """Splits `source` into tokens; errors are in the result's `findings`, never raised."""
    tokens = Tokens(source)
    pending = 1
    if _readable(tokens):
        pending = _scan(tokens)
    tokens._close(pending)
    return tokens


def _readable(tokens: Tokens) -> bool:
    """Whether the text can be a program at all: not too long, and free of lone surrogates."""
    source = tokens.source
    if len(source) > MAX_SOURCE_CHARS:
        message = f"the program has {len(source)} characters; at most {MAX_SOURCE_CHARS} are accepted"
        tokens.report("source_too_large", 0, 0, message, "pass bulk data in through a tool or a variable")
        tokens.cut = True
        return False
    if source.isascii():
        return True
    try:
        source.encode()
    except UnicodeEncodeError as error:
        code_point = ord(source[error.start])
        message = f"the text contains half a surrogate pair (U+{code_point:04X}), which is not a character"
        tokens.report("unexpected_char", error.start, error.start + 1, message, "decode the text as UTF-8")
        tokens.cut = True
        return False
    return True


def _scan(tokens: Tokens) -> int:
    """Fills `tokens`; returns the break before the end of the text."""
    source = tokens.source
    kinds, values = tokens.kinds, tokens.values
    add_kind, add_start, add_end = kinds.append, tokens.starts.append, tokens.ends.append
    add_value, add_break = values.append, tokens.breaks.append
    pending = 1
    for match in _TOKEN.finditer(source):
        group = match.lastindex
        text = match.group()
        if group == _TRIVIA:
            if text != " ":
                pending = max(pending, _trivia(tokens, text, match.start()))
            continue
        start, end = match.span()
        if group == _NAME:
            if text in RESERVED:
                add_kind(text)
                add_value(None)
            else:
                add_kind("name")
                add_value(text)
        elif group == _PUNCT:
            add_kind(text)
            add_value(None)
        elif group == _NUMBER:
            add_kind("number")
            add_value(int(text) if text.isdigit() and len(text) < 19 else _number(tokens, text, start))
        elif group == _TEXT:
            add_kind("string")
            add_value(_text(tokens, text, start))
        elif group == _RAW:
            add_kind("string")
            add_value(text[4:-3] if text[1:4] in ('"""', "'''") else text[2:-1])
        elif group == _CUT:
            _unterminated(tokens, text[1], start + 1, raw=True)
            break
        elif _bad(tokens, text, start):
            continue
        else:
            break
        add_start(start)
        add_end(end)
        add_break(pending)
        pending = 0
    return pending


def _trivia(tokens: Tokens, text: str, start: int) -> int:
    """What a run of blanks and comments means for statements; notes its comments."""
    if "#" in text or "/" in text:
        for comment in _COMMENT.finditer(text):
            body = comment.group().removesuffix("\r")
            at = start + comment.start()
            tokens.comments.append(Comment(body, start=at, end=at + len(body)))
        text = _COMMENT.sub("", text)
    if ";" in text:
        return 2
    return 1 if "\n" in text else 0


def _number(tokens: Tokens, text: str, start: int) -> int | float:
    """The value of a numeric lexeme that is not a short run of digits."""
    end = start + len(text)
    if not _NUMBER_FORM.match(text):
        message = f"`{text[:40]}` is not a number"
        tokens.report("invalid_number", start, end, message, _number_hint(text))
        return 0
    digits = text.replace("_", "")
    if digits.isdigit():
        whole = digits.lstrip("0") or "0"
        if len(whole) < 20 and int(whole) <= _MAX_INT:
            return int(whole)
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        tokens.report("invalid_number", start, end, "the number is too large: its value would be infinite")
        return 0
    return value


def _number_hint(text: str) -> str:
    if text[:2] in ("0x", "0X", "0b", "0B", "0o", "0O"):
        return "numbers are decimal"
    if "_" in text and not any(char.isalpha() for char in text):
        return "an underscore stands between two digits: 1_000"
    if text[-1] in "eE":
        return "an exponent needs digits: 1e3"
    return "put a blank or an operator between a number and a name"


def _text(tokens: Tokens, text: str, start: int) -> str:
    """The value of a string that is not raw."""
    quotes = 3 if len(text) >= 6 and text[:3] in ('"""', "'''") else 1
    body = text[quotes:-quotes]
    if "\\" not in body:
        return body
    try:
        return _ESCAPE.sub(_unescape, body)
    except _BadEscapeError as error:
        at = start + quotes + error.at
        tokens.report("invalid_escape", at, at + 2, error.why, error.hint)
        return body


class _BadEscapeError(Exception):
    def __init__(self, at: int, why: str, hint: str) -> None:
        super().__init__(why)
        self.at, self.why, self.hint = at, why, hint


def _unescape(match: re.Match[str]) -> str:
    high, low, unit, char = match.groups()
    if high is not None:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if unit is not None:
        point = int(unit, 16)
        if 0xD800 <= point <= 0xDFFF:
            why = f"`\\u{unit}` is half a surrogate pair, which is not a character"
            raise _BadEscapeError(match.start(), why, "write both halves, or the character itself")
        return chr(point)
    if char == "u":
        why = "`\\u` needs four hexadecimal digits"
        raise _BadEscapeError(match.start(), why, 'write \\\\u for a backslash, or use a raw string: r"…"')
    return _ESCAPED.get(char, char)


def _bad(tokens: Tokens, char: str, start: int) -> bool:
    """Notes a character that starts no token; returns whether the scan may go on."""
    if char in "\"'":
        _unterminated(tokens, char, start, raw=False)
        return False
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    hint = _CHARACTER_HINTS.get(char, "")
    if not hint and char.isalpha():
        hint = "names are made of ASCII letters, digits and `_`; put other text in quotes"
    tokens.report("unexpected_char", start, start + 1, f"unexpected character `{shown}`", hint)
    if len(tokens.findings) < MAX_FINDINGS:
        return True
    tokens.cut = True
    return False


def _unterminated(tokens: Tokens, quote: str, start: int, *, raw: bool) -> None:
    source = tokens.source
    triple = source.startswith(quote * 3, start)
    closer = quote * 3 if triple else quote
    kind = "raw string" if raw else "string"
    hint = f"close it with {closer}"
    if raw and not triple:
        hint = f"a raw string of one line ends on its line; use r{quote * 3}…{quote * 3} for several lines"
    elif not raw and quote == "'" and start > 0 and source[start - 1].isalpha():
        hint = "an apostrophe in plain words starts a string; put the words in quotes or behind `#`"
    tokens.report("unterminated_string", start, start + len(closer), f"this {kind} never ends", hint)
    tokens.cut = True
