"""Statements and blocks, the words that start them, and how the parser goes on behind an error.

A contextual word (`while`, `let`, `finish`, …) is a plain variable when an assignment target follows it:
`while = 1`. A statement ends where its grammar ends; nothing need stand between two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from lashlang.syntax import ast
from lashlang.syntax.ast import Block, Expr, Statement
from lashlang.syntax.cursor import CLOSERS, OPENERS, ParseStop
from lashlang.syntax.expression_parser import ExpressionParser
from lashlang.syntax.lookalikes import CALLED_WORDS, STATEMENT_WORDS

_STATEMENT_KINDS: Final = frozenset(("if", "for", "submit", "print", "cancel"))


_T = TypeVar("_T")


class StatementParser(ExpressionParser):
    """The part of the parser that reads statements."""

    __slots__ = ("matches",)

    matches: dict[int, int] | None

    def block(self, what: str) -> Block:
        """`{ statements }`, reporting every statement that is wrong inside it."""
        start = self.here()
        opened = self.take("{", f"`{{` of {what}")
        self.descend()
        statements: list[Statement] = []
        while self.kind not in ("}", "eof"):
            statement = self.guarded(self.statement)
            if statement is not None:
                statements.append(statement)
        self.depth -= 1
        self.close("}", opened, f"`}}` of {what}")
        return Block(tuple(statements), start=start, end=self.behind())

    def statement(self) -> Statement:
        """One statement."""
        parse = _STATEMENTS.get(self.kind)
        if parse is not None:
            return parse(self)
        if self.kind == "name":
            word = str(self.tokens.values[self.pos])
            special = _CONTEXTUAL.get(word)
            if special is not None and not self.assignment_follows():
                return special(self, word)
        elif self.kind == "@":
            return self._labelled()
        return self._assignment_or_expression(let=False, start=self.here())

    # --- Going on behind an error ---

    def guarded(self, parse: Callable[[], _T]) -> _T | None:
        """What `parse` reads, or None when it stopped; the cursor is then where a statement can start."""
        start, depth, loops, where = self.pos, self.depth, self.loop_depth, self.where
        try:
            return parse()
        except ParseStop:
            self.depth, self.loop_depth, self.where = depth, loops, where
            self.loose = 0
            self.size = 0
            self._recover(start)
            if self.pos == start:
                self.advance()
            return None

    def _recover(self, start: int) -> None:
        """Skips to the next line outside the brackets of the statement that began at index `start`."""
        kinds, breaks = self.tokens.kinds, self.tokens.breaks
        stop = self.pos
        depth = 0
        for kind in kinds[start:stop]:
            if kind in OPENERS:
                depth += 1
            elif kind in CLOSERS and depth:
                depth -= 1
        unclosed = depth and breaks[stop] and self._looks_like_statement(stop)
        if unclosed or (depth and self.unbalanced):
            self._resume_at_statement(stop)
            return
        at = stop
        while kinds[at] != "eof":
            kind = kinds[at]
            if depth == 0 and (kind == "}" or (at > start and breaks[at] and kind not in CLOSERS)):
                break
            if kind in OPENERS:
                depth += 1
            elif kind in CLOSERS and depth:
                depth -= 1
            at += 1
        if kinds[at] == "eof" and depth:
            self.unbalanced = True
            self._resume_at_statement(stop)
            return
        self.jump(at)

    def _resume_at_statement(self, at: int) -> None:
        """Goes to the next line that looks like a statement: a bracket before it was never closed."""
        kinds, breaks = self.tokens.kinds, self.tokens.breaks
        while kinds[at] != "eof":
            if breaks[at] and self._looks_like_statement(at):
                break
            at += 1
        self.jump(at)

    def _looks_like_statement(self, at: int) -> bool:
        kinds = self.tokens.kinds
        return kinds[at] in _STATEMENT_KINDS or (kinds[at] == "name" and kinds[at + 1] == "=")

    # --- Assignments ---

    def assignment_follows(self) -> bool:
        """Whether the name at the cursor is assigned to: a path and a single `=` stand behind it."""
        kinds = self.tokens.kinds
        at = self.pos + 1
        while True:
            kind = kinds[at]
            if kind == "=":
                return True
            if self.tokens.breaks[at]:
                return False
            if kind == ".":
                at += 2
            elif kind == "[":
                at = self._matching(at) + 1
            else:
                return False
            if at >= len(kinds):
                return False

    def _matching(self, opened: int) -> int:
        """The index of the bracket that closes the one at `opened`, or of the end."""
        if self.matches is None:
            self.matches = {}
            stack: list[int] = []
            for at, kind in enumerate(self.tokens.kinds):
                if kind in OPENERS:
                    stack.append(at)
                elif kind in CLOSERS and stack:
                    self.matches[stack.pop()] = at
        return self.matches.get(opened, len(self.tokens.kinds) - 1)

    def _assignment_or_expression(self, *, let: bool, start: int) -> Statement:
        at = self.pos
        value = self.expr()
        if self.kind == "=" and self.breaks() < 2:
            target = self._target(value, at)
            self.advance()
            right = self.expr()
            return ast.Assign(target, right, let, start=start, end=self.behind())
        if let:
            self.expected("`=` behind the name of `let`")
        if type(value) is ast.Name and self.tokens.kinds[at] == "name":
            self._not_a_foreign_word(value, at)
        return ast.Evaluate(value, start=start, end=self.behind())

    def _not_a_foreign_word(self, name: ast.Name, at: int) -> None:
        """Stops at `return x` and its like: a bare word and, on its line, an expression."""
        foreign = STATEMENT_WORDS.get(name.name)
        if name.name in CALLED_WORDS and self.kind in ("name", "string", "number", "[") and not self.breaks():
            self.expected(f"`(` behind `{name.name}`", hint=f"write: {name.name}(…)")
        lonely = self.breaks() or self.kind in ("eof", "}")
        if foreign is None or (lonely and name.name not in ("pass", "return")):
            return
        place = (self.tokens.starts[at], self.tokens.ends[at])
        message = f"expected a statement; `{name.name}` does not start one"
        self.fail("expected", message, at=place, hint=foreign)

    def _target(self, value: Expr, at: int) -> ast.Target:
        """The assignment target that was read as the expression `value`."""
        steps: list[ast.FieldStep | ast.IndexStep] = []
        node = value
        while True:
            match node:
                case ast.Field(target=inner, name=name):
                    steps.append(ast.FieldStep(name, start=inner.end, end=node.end))
                    node = inner
                case ast.Index(target=inner, index=index):
                    steps.append(ast.IndexStep(index, start=inner.end, end=node.end))
                    node = inner
                case ast.Name(name=root) if self.tokens.kinds[at] == "name":
                    steps.reverse()
                    return ast.Target(root, tuple(steps), start=value.start, end=value.end)
                case _:
                    self._not_assignable(node)

    def _not_assignable(self, node: Expr) -> None:
        hint = "write == to compare; only a variable and a path into it can be assigned to: x = 1, r.a[0] = 1"
        message = "unexpected `=`: what stands before it cannot be assigned to"
        if isinstance(node, ast.Chain | ast.Logic):
            last = self.pos - 1
            if self.adjacent(self.pos) and self.tokens.kinds[last] in ("+", "-", "*", "/", "%"):
                hint = ""
        self.fail("unexpected", message, hint=hint)

    # --- Labels ---

    def label(self) -> ast.Label:
        """`@label(title: "…", description: "…")`."""
        start = self.here()
        self.advance()
        if self.word() != "label":
            self.expected("`label` behind `@`")
        self.advance()
        opened = self.take("(", "`(` behind `@label`")
        fields: dict[str, str] = {}
        while self.kind != ")":
            at = (self.here(), self.tokens.ends[self.pos])
            name = self.key("`title` or `description`")
            if name not in ("title", "description"):
                why = f"a label has no field `{name[:40]}`, only `title` and `description`"
                self.fail("invalid_label_annotation", why, at=at)
            if name in fields:
                self.fail("invalid_label_annotation", f"the label gives its {name} twice", at=at)
            self.take(":", f"`:` behind `{name}`")
            if self.kind != "string":
                self.expected(f"the {name} as a string")
            fields[name] = str(self.tokens.values[self.advance()])
            if self.kind != ",":
                break
            self.advance()
        self.close(")", opened, "`,` or `)` of the label")
        if "title" not in fields:
            at = (start, self.behind())
            hint = 'write: @label(title: "…")'
            self.fail("invalid_label_annotation", "the label has no title", at=at, hint=hint)
        return ast.Label(fields["title"], fields.get("description"), start=start, end=self.behind())

    def refuse_label_target(self) -> None:
        """Stops when a label stands before something that has no node in an execution graph."""
        word = self.word() or self.kind
        if word in ("type", "trigger", "process", "fn") and self.assignment_follows():
            return
        declares = self.peek() == "name"
        if word == "@" or (word in ("type", "trigger", "process", "fn") and declares):
            what = {"@": "another label", "process": "a process inside a block"}.get(word, f"a `{word}`")
            hint = "put the label before a statement or a top-level process"
            self.fail("invalid_label_target", f"a label cannot stand before {what}", hint=hint)
        if self.kind in ("eof", "}"):
            self.expected("a statement behind the label")

    def _labelled(self) -> Statement:
        label = self.label()
        self.refuse_label_target()
        statement = self.statement()
        return ast.Labelled(label, statement, start=label.start, end=statement.end)


# --- Statements by their first word -------------------------------------------------------------------


def _if(parser: StatementParser) -> Statement:
    start = parser.here()
    arms: list[ast.Arm] = []
    while True:
        at = parser.here()
        parser.advance()
        condition = parser.expr()
        body = parser.block("the `if`")
        arms.append(ast.Arm(condition, body, start=at, end=body.end))
        if parser.kind != "else":
            return ast.If(tuple(arms), start=start, end=body.end)
        parser.advance()
        if parser.kind != "if":
            otherwise = parser.block("the `else`")
            return ast.If(tuple(arms), otherwise, start=start, end=otherwise.end)


def _for(parser: StatementParser) -> Statement:
    start = parser.here()
    parser.advance()
    name_at = parser.here()
    name = parser.name("the name of the loop variable")
    parser.take("in", "`in` behind the loop variable")
    iterable = parser.expr()
    body = _loop_body(parser, "the `for`")
    return ast.For(name, iterable, body, name_at, start=start, end=body.end)


def _while(parser: StatementParser, _word: str) -> Statement:
    start = parser.here()
    parser.advance()
    condition = parser.expr()
    body = _loop_body(parser, "the `while`")
    return ast.While(condition, body, start=start, end=body.end)


def _loop_body(parser: StatementParser, what: str) -> Block:
    parser.loop_depth += 1
    body = parser.block(what)
    parser.loop_depth -= 1
    return body


def _loop_control(parser: StatementParser, word: str) -> Statement:
    if not parser.loop_depth:
        message = f"`{word}` stands outside a loop"
        parser.fail("loop_control_outside_loop", message, hint="use it inside `for` or `while`")
    start = parser.here()
    parser.advance()
    if word == "break":
        return ast.Break(start=start, end=parser.behind())
    return ast.Continue(start=start, end=parser.behind())


def _let(parser: StatementParser, _word: str) -> Statement:
    start = parser.here()
    parser.advance()
    if parser.kind != "name":
        parser.expected("a variable name behind `let`")
    return parser._assignment_or_expression(let=True, start=start)


def _print(parser: StatementParser) -> Statement:
    _foreground_only(parser, "print", "use `yield value` to report from a process")
    start = parser.here()
    parser.advance()
    value = parser.expr()
    return ast.Print(value, start=start, end=parser.behind())


def _submit(parser: StatementParser) -> Statement:
    _foreground_only(parser, "submit", "a process ends with `finish value`")
    start = parser.here()
    parser.advance()
    value = _optional_operand(parser)
    return ast.Finish(value, "submit", start=start, end=parser.behind())


def _finish(parser: StatementParser, _word: str) -> Statement:
    start = parser.here()
    parser.advance()
    value = _optional_operand(parser)
    return ast.Finish(value, start=start, end=parser.behind())


def _optional_operand(parser: StatementParser) -> Expr | None:
    """An operand if one stands on this line."""
    return None if parser.breaks() or parser.kind in ("}", "eof") else parser.expr()


def _foreground_only(parser: StatementParser, word: str, hint: str) -> None:
    if parser.where == "process":
        message = f"`{word}` works in the foreground only, not in a process"
        parser.fail("foreground_control_inside_process", message, hint=hint)


def _cancel(parser: StatementParser) -> Statement:
    start = parser.here()
    parser.advance()
    handle = parser.expr()
    return ast.Cancel(handle, start=start, end=parser.behind())


def _process_control(parser: StatementParser, word: str) -> Statement:
    if parser.where != "process":
        message = f"`{word}` works inside a process only"
        hint = "in the foreground use `print value`, or `submit value` to end"
        parser.fail("process_control_outside_block", message, hint=hint)
    start = parser.here()
    parser.advance()
    value = parser.expr()
    end = parser.behind()
    match word:
        case "yield":
            return ast.Yield(value, start=start, end=end)
        case "wake":
            return ast.Wake(value, start=start, end=end)
        case _:
            return ast.Fail(value, start=start, end=end)


_STATEMENTS: Final[dict[str, Callable[[StatementParser], Statement]]] = {
    "if": _if,
    "for": _for,
    "submit": _submit,
    "print": _print,
    "cancel": _cancel,
}
_CONTEXTUAL: Final[dict[str, Callable[[StatementParser, str], Statement]]] = {
    "let": _let,
    "while": _while,
    "break": _loop_control,
    "continue": _loop_control,
    "finish": _finish,
    "yield": _process_control,
    "wake": _process_control,
    "fail": _process_control,
}
