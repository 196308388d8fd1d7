"""What an expression can start with: literals, names, calls, and the words that mean something in one place.

Each function reads one form at the cursor and sets the parser's `height`. A contextual word returns None
when it is a plain variable after all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn

from lashlang.syntax import ast

if TYPE_CHECKING:
    from lashlang.syntax.ast import Expr
    from lashlang.syntax.expression_parser import ExpressionParser

_OPERAND_STARTS: Final = frozenset(
    ("name", "number", "string", "(", "[", "await", "not", "!", "true", "false", "null")
)


def _word(parser: ExpressionParser) -> Expr:
    at = parser.pos
    tokens = parser.tokens
    word = str(tokens.values[at])
    special = _CONTEXTUAL.get(word)
    if special is not None:
        node = special(parser)
        if node is not None:
            return node
    parser.advance()
    start = tokens.starts[at]
    if parser.kind == "(" and not parser.breaks():
        args = parser.arguments()
        return ast.Call(word, args, start=start, end=parser.behind())
    if parser.kind == "string" and word in "fFbBuU" and parser.adjacent(parser.pos):
        parser.unexpected(f"strings have no prefix `{word}`")
    parser.height = 1
    return ast.Name(word, start=start, end=tokens.ends[at])


def _number(parser: ExpressionParser) -> Expr:
    at = parser.advance()
    value = parser.tokens.values[at]
    assert isinstance(value, int | float)
    parser.height = 1
    return ast.Number(value, start=parser.tokens.starts[at], end=parser.tokens.ends[at])


def _string(parser: ExpressionParser) -> Expr:
    at = parser.advance()
    parser.height = 1
    value = str(parser.tokens.values[at])
    return ast.Text(value, start=parser.tokens.starts[at], end=parser.tokens.ends[at])


def _constant(parser: ExpressionParser) -> Expr:
    kind, start = parser.kind, parser.here()
    parser.advance()
    parser.height = 1
    if kind == "null":
        return ast.Null(start=start, end=parser.behind())
    return ast.Bool(kind == "true", start=start, end=parser.behind())


def _group(parser: ExpressionParser) -> Expr:
    opened = parser.advance()
    parser.loose += 1
    node = parser.expr()
    parser.loose -= 1
    parser.close(")", opened, "`)`")
    return node


def _list(parser: ExpressionParser) -> Expr:
    start = parser.here()
    opened = parser.advance()
    parser.loose += 1
    items: list[Expr] = []
    height = 0
    while parser.kind != "]":
        items.append(parser.expr())
        height = max(height, parser.height)
        if parser.kind == "for" and len(items) == 1:
            return _comprehension(parser, items[0], start, opened)
        if parser.kind != ",":
            break
        parser.advance()
    parser.loose -= 1
    parser.close("]", opened, "`,` or `]` of the list")
    parser.rise(height)
    return ast.ListLiteral(tuple(items), start=start, end=parser.behind())


def _comprehension(parser: ExpressionParser, element: Expr, start: int, opened: int) -> Expr:
    """The clauses of `[element for x in xs if c …]`, with the cursor at the first `for`."""
    height = parser.height
    clauses: list[ast.ForClause | ast.IfClause] = []
    while parser.kind in ("for", "if"):
        at, kind = parser.here(), parser.kind
        parser.advance()
        if kind == "for":
            name = parser.name("the name of the loop variable")
            parser.take("in", "`in` behind the loop variable")
            iterable = parser.expr()
            clauses.append(ast.ForClause(name, iterable, start=at, end=parser.behind()))
        else:
            clauses.append(ast.IfClause(parser.expr(), start=at, end=parser.behind()))
        height = max(height, parser.height)
        parser.grow()
    parser.loose -= 1
    parser.close("]", opened, "`for`, `if` or `]` of the comprehension")
    parser.rise(height + 1)
    return ast.Comprehension(element, tuple(clauses), start=start, end=parser.behind())


def _record(parser: ExpressionParser) -> Expr:
    start = parser.here()
    opened = parser.advance()
    parser.loose += 1
    entries: list[ast.Entry] = []
    height = 0
    while parser.kind != "}":
        at = parser.here()
        key = parser.key("a record key or `}`")
        parser.take(":", f"`:` behind the record key `{key[:40]}`")
        value = parser.expr()
        entries.append(ast.Entry(key, value, start=at, end=parser.behind()))
        height = max(height, parser.height)
        if parser.kind != ",":
            break
        parser.advance()
    parser.loose -= 1
    parser.close("}", opened, "`,` or `}` of the record")
    parser.rise(height)
    return ast.RecordLiteral(tuple(entries), start=start, end=parser.behind())


# --- Contextual words ---------------------------------------------------------------------------------


def _next_on_line(parser: ExpressionParser, ahead: int = 1) -> str:
    """The kind of a later token if it stands on this line (or inside the same brackets), else ""."""
    tokens = parser.tokens
    for step in range(1, ahead + 1):
        if not parser.loose and tokens.breaks[min(parser.pos + step, len(tokens.breaks) - 1)]:
            return ""
    return parser.peek(ahead)


def _next_word(parser: ExpressionParser) -> str:
    """The next token's text if it is a name on this line, else ""."""
    return str(parser.tokens.values[parser.pos + 1]) if _next_on_line(parser) == "name" else ""


def _sleep(parser: ExpressionParser) -> Expr | None:
    if parser.peek() in ("=", ".", "["):
        return None
    start = parser.here()
    parser.advance()
    if parser.kind == "for":
        mode = "for"
    elif parser.word() == "until":
        mode = "until"
    else:
        hint = 'write: sleep for "5s", or: sleep until deadline'
        parser.expected("`for` or `until` behind `sleep`", hint=hint)
    parser.advance()
    value = parser.expr()
    parser.rise(parser.height)
    if mode == "for":
        return ast.Sleep("for", value, start=start, end=parser.behind())
    return ast.Sleep("until", value, start=start, end=parser.behind())


def _start(parser: ExpressionParser) -> Expr | None:
    after = _next_on_line(parser)
    if after in ("{", "call") or (after == "(" and _block_behind_parentheses(parser)):
        _inline_start(parser)
    if after != "name":
        return None
    start = parser.here()
    parser.advance()
    name_at = parser.here()
    process = parser.name("a process name")
    opened = parser.take("(", f"`(` behind `start {process[:40]}`")
    parser.loose += 1
    args: list[ast.Argument] = []
    height = 0
    while parser.kind != ")":
        at = parser.here()
        hint = "arguments of a process are named: start work(item: value)"
        name = parser.key("an argument name or `)`", hint=hint)
        if parser.kind != ":":
            parser.expected(f"`:` behind the argument name `{name[:40]}`", hint=hint)
        parser.advance()
        value = parser.expr()
        args.append(ast.Argument(name, value, start=at, end=parser.behind()))
        height = max(height, parser.height)
        if parser.kind != ",":
            break
        parser.advance()
    parser.loose -= 1
    parser.close(")", opened, "`,` or `)` of the arguments")
    parser.rise(height)
    return ast.Start(process, tuple(args), name_at, start=start, end=parser.behind())


def _inline_start(parser: ExpressionParser) -> NoReturn:
    hint = "declare it at the top level, process work(item: any) { … }, and start it by name"
    parser.unexpected("`start` takes the name of a declared process", hint=hint)


def _block_behind_parentheses(parser: ExpressionParser) -> bool:
    """Whether `start (…) {` stands at the cursor: an inline process of an older syntax."""
    kinds = parser.tokens.kinds
    depth = 0
    for at in range(parser.pos + 1, min(parser.pos + 200, len(kinds))):
        if kinds[at] == "(":
            depth += 1
        elif kinds[at] == ")":
            depth -= 1
            if depth == 0:
                return kinds[at + 1] == "{"
    return False


def _wait(parser: ExpressionParser) -> Expr | None:
    if _next_word(parser) != "signal":
        return None
    start = parser.here()
    parser.advance()
    parser.advance()
    parser.height = 1
    return ast.WaitSignal(start=start, end=parser.behind())


def _signal(parser: ExpressionParser) -> Expr | None:
    if _next_word(parser) != "run":
        return None
    start = parser.here()
    parser.advance()
    parser.advance()
    run = parser.expr()
    height = parser.height
    if parser.word() != "with":
        parser.expected("`with` and the payload: signal run handle with { … }")
    parser.advance()
    payload = parser.expr()
    parser.rise(max(height, parser.height))
    return ast.SignalRun(run, payload, start=start, end=parser.behind())


def _wait_signal(parser: ExpressionParser) -> Expr | None:
    if _next_on_line(parser) != "(":
        return None
    start = parser.here()
    parser.advance()
    args = parser.arguments()
    match args:
        case ():
            name = None
        case (ast.Text(value=value),):
            name = value
        case _:
            at = (start, parser.behind())
            hint = 'write: wait_signal("approve")'
            parser.fail("expected", "expected the name of the signal, in quotes", at=at, hint=hint)
    return ast.WaitSignal(name, start=start, end=parser.behind())


def _signal_run(parser: ExpressionParser) -> Expr | None:
    if _next_on_line(parser) != "(":
        return None
    start = parser.here()
    parser.advance()
    args = parser.arguments()
    match args:
        case (run, payload):
            return ast.SignalRun(run, payload, start=start, end=parser.behind())
        case (run, ast.Text(value=name), payload):
            return ast.SignalRun(run, payload, name, start=start, end=parser.behind())
        case _:
            at = (start, parser.behind())
            hint = 'write: signal_run(handle, "approve", { ok: true })'
            message = "expected a handle, the signal's name in quotes, and the payload"
            return parser.fail("expected", message, at=at, hint=hint)


def _type(parser: ExpressionParser) -> Expr | None:
    if _next_on_line(parser) != "{":
        return None
    start = parser.here()
    parser.advance()
    ty = parser.object_type()
    parser.height = 1
    return ast.TypeLiteral(ty, start=start, end=parser.behind())


def _try(parser: ExpressionParser) -> Expr | None:
    after = _next_on_line(parser)
    if after == "{":
        hint = "`try` takes one expression and gives a wrapper: r = try json_parse(text), then look at r.ok"
        parser.unexpected("there is no `try` block", hint=hint)
    if after not in _OPERAND_STARTS or (after == "[" and parser.adjacent(parser.pos + 1)):
        return None
    start = parser.here()
    parser.advance()
    value = parser.expr()
    parser.rise(parser.height)
    return ast.Try(value, start=start, end=parser.behind())


def _parallel(parser: ExpressionParser) -> Expr | None:
    if _next_on_line(parser) != "{":
        return None
    hint = "join what runs with: await [first, second], or: await { a: first, b: second }"
    return parser.unexpected("there is no `parallel` block", hint=hint)


PRIMARY: Final[dict[str, Callable[[ExpressionParser], Expr]]] = {
    "name": _word,
    "number": _number,
    "string": _string,
    "null": _constant,
    "true": _constant,
    "false": _constant,
    "(": _group,
    "[": _list,
    "{": _record,
}
"""Token kind to the function that reads an operand starting with it."""

_CONTEXTUAL: Final[dict[str, Callable[[ExpressionParser], Expr | None]]] = {
    "sleep": _sleep,
    "start": _start,
    "wait": _wait,
    "signal": _signal,
    "wait_signal": _wait_signal,
    "signal_run": _signal_run,
    "Type": _type,
    "try": _try,
    "parallel": _parallel,
}
