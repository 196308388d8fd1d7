"""What a writer who knows other languages probably meant, as one line of repair.

Consulted only when something has already gone wrong, so it costs a correct program nothing. The first rule
whose tokens fit wins; a rule looks at the offending token, its neighbours and how they touch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lashlang.syntax.lexer import Tokens

STATEMENT_WORDS: Final = {
    "return": "the last expression of a fn is its result; a process ends with `finish value`, the"
    " foreground with `submit value`",
    "function": "declare a pure function with: fn name(a, b) { a + b }",
    "def": "declare a pure function with: fn name(a, b) { a + b }",
    "func": "declare a pure function with: fn name(a, b) { a + b }",
    "lambda": "there are no function values; declare a pure function with: fn name(x) { x + 1 }",
    "var": "assign without a keyword: x = 1",
    "const": "assign without a keyword: x = 1",
    "elif": "write: else if condition { … }",
    "elsif": "write: else if condition { … }",
    "elseif": "write: else if condition { … }",
    "import": "there is nothing to import; modules of the host are used by their path: files.read({…})",
    "from": "there is nothing to import; modules of the host are used by their path: files.read({…})",
    "raise": "a process stops with `fail value`; in the foreground submit what went wrong",
    "throw": "a process stops with `fail value`; in the foreground submit what went wrong",
    "switch": "write an if … else if … ladder",
    "match": "write an if … else if … ladder",
    "case": "write an if … else if … ladder",
    "class": "there are no classes; use records: { name: \"a\" }",
    "async": "there is no `async`; start a process and await its handle",
    "del": "there is no `del`; use remove(record, key) or rebuild the list",
    "pass": "an empty block needs nothing in it",
    "echo": "write: print value",
    "puts": "write: print value",
    "with": "there is no `with`; resources belong to the host",
    "unless": "write: if not condition { … }",
    "until": "write: while not condition { … }",
    "repeat": "write: while true { … } with a `break`",
    "do": "write: while condition { … }",
    "loop": "write: while true { … } with a `break`",
    "foreach": "write: for item in items { … }",
    "assert": "write: if not condition { fail \"why\" } in a process",
    "except": "write: r = try expression, then look at r.ok",
    "catch": "write: r = try expression, then look at r.ok",
    "finally": "there is no `finally`",
}  # fmt: skip
"""Words that start a statement elsewhere. A bare one followed by an expression on its line is an error
here."""

CALLED_WORDS: Final = frozenset(
    [
        "len",
        "push",
        "keys",
        "values",
        "range",
        "format",
        "join",
        "split",
        "trim",
        "find",
        "contains",
        "to_string",
        "to_int",
        "json_parse",
        "validate",
    ]
)
"""Builtins that a bare word in front of an operand probably means to call."""

_AFTER_FOR: Final = "loop over one name: for row in rows { … }; the keys of a record are keys(record)"


def hint_at(tokens: Tokens, at: int) -> str:
    """A repair for the token at index `at`, or "" when nothing is known to help."""
    kinds = tokens.kinds
    here = kinds[at]
    before = kinds[at - 1] if at else "eof"
    after = kinds[min(at + 1, len(kinds) - 1)]
    for hint in (
        _operator(before, here) if _touch(tokens, at) else "",
        _operator(here, after) if _touch(tokens, at + 1) else "",
        _ternary(tokens, at),
        _structure(tokens, at, before, here, after),
    ):
        if hint:
            return hint
    return ""


def _touch(tokens: Tokens, at: int) -> bool:
    """Whether the token at index `at` touches the one before it."""
    return 0 < at < len(tokens.starts) and tokens.starts[at] == tokens.ends[at - 1]


def _operator(first: str, second: str) -> str:
    """Operators of other languages, which arrive as two or three tokens."""
    match first, second:
        case (("+" | "-" | "*" | "/" | "%"), "="):
            return f"there is no `{first}=`: write x = x {first} y"
        case "+", "+":
            return "there is no `++`: write x = x + 1"
        case "==", "=":
            return "write == for equality"
        case "!=", "=":
            return "write != for inequality"
        case "*", "*":
            return "there is no `**`: multiply, x * x"
        case "=", ">":
            return "there are no function values; declare a pure function with: fn name(x) { x + 1 }"
        case "<", ">":
            return "write != for inequality"
        case ":", "=":
            return "write = for assignment"
        case ".", ".":
            return "there is no spread or range operator: use merge(a, b), a + b, or range(start, end)"
        case ("<", "<") | (">", ">"):
            return "there are no bitwise operators"
        case ".", "[":
            return "write value[index]"
        case "??", "=":
            return "write: x = x ?? value"
        case _:
            return ""


def _ternary(tokens: Tokens, at: int) -> str:
    """A `?` whose blanks say something else than was meant."""
    if tokens.kinds[at] == ":":
        for back in range(at - 1, max(-1, at - 40), -1):
            if tokens.kinds[back] == "?":
                return "put a blank before the `?` of a ternary, c ? a : b; touching its operand it unwraps"
            if tokens.breaks[back]:
                break
    if at and tokens.kinds[at - 1] == "?" and tokens.kinds[at] not in ("number", "string", "name"):
        return "to unwrap, write `?` directly behind its operand: value?"
    return ""


def _structure(tokens: Tokens, at: int, before: str, here: str, after: str) -> str:
    """Statements and literals of other languages."""
    opener = _statement_word(tokens, at)
    match before, here:
        case (("if" | "for" | "in" | "print" | "submit" | "cancel" | "call" | "await"), "="):
            return f"`{before}` is a reserved word; choose another name for the variable"
        case "name", "," if _after_for(tokens, at):
            return _AFTER_FOR
        case _, "else" if opener == "if" and before != "}":
            return "`if` is a statement; write a value as: condition ? a : b"
        case _, ":" if opener in ("if", "for", "else", "while"):
            return "blocks need braces: if condition { … }"
        case _, "print" | "submit" | "finish" | "break" | "continue" if (
            opener in ("if", "while") and before != opener
        ):
            return f"blocks need braces: {opener} condition {{ {here} … }}"
        case _, "." if after == "number":
            return "a number starts with a digit: 0.5"
        case _, "=" if opener in ("if", "while"):
            return "write == to compare"
        case _, "eof" if opener == "if" and _follows_value(tokens, at):
            return "there is no `x if condition`; write: if condition { x }"
        case _, "eof" if before in ("=", "(", "[", ",", "+", "-", "*", "/", "and", "or", "not", "await"):
            return f"something must follow `{before}`"
        case "name", "<" if tokens.values[at - 1] in ("list", "dict", "enum"):
            return 'types take square brackets: list[str], enum["a", "b"]'
        case "name", "?" if opener in ("type", "process", "fn"):
            return "`?` stands only behind the type of a field; a value that may be null is: str | null"
        case _, "if" if before not in ("else", "eof"):
            return "`if` is a statement; write a value as: condition ? a : b"
        case _, "for" if before in ("=", "(", ",", "submit", "print"):
            return "`for` is a statement; build a list with: [x for x in xs]"
        case "else", _ if here not in ("{", "if"):
            return "write: else { … }"
        case _, "else":
            return "an `else` stands right behind the `}` of its `if`"
        case _, "call":
            return "operations are called by their path: await tools.name({…})"
        case _, "|" if before != ":":
            return "write `or` (or `||`)"
        case (("{" | ","), ("[" | "number")) if _in_record(tokens, at):
            return "a record key is a word or a string; set a computed key with: r[key] = value"
        case _, ("," | "}") if before == "name" and _in_record(tokens, at):
            return "there is no shorthand: write { name: name }"
        case _, "}" if opener != "if" or before == "}":
            return "no block is open here; remove it, or look for the missing `{` above"
        case _, "," if not _in_brackets(tokens, at):
            return "statements are not separated by commas; start a new line"
        case "name", "string" if tokens.values[at - 1] in ("f", "F", "b", "u"):
            return 'there are no string prefixes but r; write format("… {}", value)'
        case "(", ")":
            return "there are no tuples; an empty list is []"
        case _, "," if _innermost(tokens, at) == "(":
            return "there are no tuples; write a list: [a, b]"
        case _, "->":
            return "a result type stands behind `)`: process p() -> int { … }"
        case _, "@":
            return 'the only annotation is @label(title: "…")'
        case _, "name" if isinstance(tokens.values[at], str):
            return STATEMENT_WORDS.get(str(tokens.values[at]), "")
        case _:
            return ""


def _statement_word(tokens: Tokens, at: int) -> str:
    """The nearest word before `at` on its line that shapes a statement."""
    for back in range(at - 1, max(-1, at - 60), -1):
        kind = tokens.kinds[back]
        if kind in ("if", "for", "else"):
            return kind
        if kind == "name" and tokens.values[back] in ("while", "type", "process", "fn"):
            return str(tokens.values[back])
        if tokens.breaks[back]:
            break
    return ""


def _follows_value(tokens: Tokens, at: int) -> bool:
    """Whether the nearest `if` before `at` stands behind a value on its line, as in `x = 1 if y`."""
    for back in range(at - 1, max(0, at - 60), -1):
        if tokens.kinds[back] == "if":
            return not tokens.breaks[back] and tokens.kinds[back - 1] not in ("else", "{", "}")
    return False


def _in_brackets(tokens: Tokens, at: int) -> bool:
    return _innermost(tokens, at) in ("(", "[") or _in_record(tokens, at)


def _innermost(tokens: Tokens, at: int) -> str:
    """The nearest bracket that is open before `at`, looking back a little, or ""."""
    depth = 0
    for back in range(at - 1, max(-1, at - 200), -1):
        kind = tokens.kinds[back]
        if kind in (")", "]", "}"):
            depth += 1
        elif kind in ("(", "[", "{"):
            if depth == 0:
                return kind
            depth -= 1
    return ""


def _after_for(tokens: Tokens, at: int) -> bool:
    return at >= 2 and tokens.kinds[at - 2] == "for"


def _in_record(tokens: Tokens, at: int) -> bool:
    """Whether the nearest open bracket before `at` is a brace, looking back a little."""
    depth = 0
    for back in range(at - 1, max(-1, at - 200), -1):
        kind = tokens.kinds[back]
        if kind in (")", "]", "}"):
            depth += 1
        elif kind in ("(", "[", "{"):
            if depth == 0:
                return kind == "{" and tokens.kinds[max(0, back - 1)] not in (")", "name", "else")
            depth -= 1
    return False
