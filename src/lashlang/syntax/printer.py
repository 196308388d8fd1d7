"""A program as canonical source: what `lash lang fmt` writes.

Laws: parsing the result gives the same tree (offsets aside), printing again gives the same text, and every
comment is still there. Comments keep their place among statements; one inside an expression moves above its
statement. A blank line between statements survives, several become one.
"""

from __future__ import annotations

import re
from typing import Final, assert_never

from lashlang.syntax import ast
from lashlang.syntax.ast import Block, Comment, Expr, Item, Program, Statement
from lashlang.syntax.expression_printer import INDENT, WIDTH, format_expr, layout, leading_word
from lashlang.syntax.lookalikes import STATEMENT_WORDS
from lashlang.syntax.spelling import spell_key, spell_text
from lashlang.syntax.type_expr import TypeExpr, TypeObject
from lashlang.syntax.type_printer import format_field, format_type

_BLANK_LINE: Final = re.compile(r"\n[^\S\n]*\n")
_STATEMENT_STARTS: Final = frozenset(
    (
        "let",
        "while",
        "break",
        "continue",
        "yield",
        "wake",
        "finish",
        "fail",
        "type",
        "process",
        "trigger",
        "fn",
    )
)


def format_program(program: Program) -> str:
    """The canonical source of `program`, ending with a line feed unless it is empty."""
    return _Printer(program).program()


class _Printer:
    """Writes lines while walking a program, giving out its comments as their places are passed."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._source = program.source
        self._comments = list(program.comments)
        self._next = 0
        self._lines: list[str] = []
        self._indent = 0

    def program(self) -> str:
        self._sequence(self._program.items, len(self._source) + 1)
        return "\n".join(self._lines) + "\n" if self._lines else ""

    # --- Lines, blank lines, comments ---

    def _line(self, text: str) -> None:
        self._lines.append(INDENT * self._indent + text if text else "")

    def _append(self, text: str) -> None:
        self._lines[-1] += text

    def _sequence(self, items: tuple[Item, ...], end: int) -> None:
        """The items of one block, with the comments that stand before offset `end`."""
        previous: Item | None = None
        for item in items:
            self._leading(item, previous)
            self._item(item)
            self._trailing(item)
            previous = item
        behind = previous.end if previous is not None else -1
        self._emit_comments(end, behind)

    def _leading(self, item: Item, previous: Item | None) -> None:
        """Blank line and comments in front of `item`."""
        behind = previous.end if previous is not None else -1
        inside = item.start if _has_blocks(item) else item.end
        apart = previous is not None and (_stands_apart(item) or _stands_apart(previous))
        if apart:
            self._blank()
        behind = self._emit_comments(inside, behind)
        if previous is not None and not apart and self._gap(behind, item.start):
            self._blank()

    def _emit_comments(self, end: int, behind: int) -> int:
        """Writes the comments before `end` on lines of their own; returns the end of the last thing
        written.
        """
        while self._next < len(self._comments) and self._comments[self._next].start < end:
            comment = self._comments[self._next]
            self._next += 1
            if behind >= 0 and self._gap(behind, comment.start):
                self._blank()
            self._line(comment.text.rstrip())
            behind = comment.end
        return behind

    def _trailing(self, item: Item) -> None:
        """A comment on the line on which `item` ends stays there."""
        comment = self._pending()
        if comment is not None and 0 <= item.end <= comment.start:
            between = self._source[item.end : comment.start]
            if "\n" not in between and not between.strip(" \t;"):
                self._next += 1
                self._append("  " + comment.text.rstrip())

    def _pending(self) -> Comment | None:
        return self._comments[self._next] if self._next < len(self._comments) else None

    def _gap(self, start: int, end: int) -> bool:
        return 0 <= start < end and _BLANK_LINE.search(self._source, start, end) is not None

    def _blank(self) -> None:
        if self._lines and self._lines[-1] != "":
            self._line("")

    # --- Declarations ---

    def _item(self, item: Item) -> None:
        match item:
            case ast.TypeDecl(name=name, ty=ty):
                self._type_decl(name, ty)
            case ast.ProcessDecl():
                if item.label is not None:
                    self._label(item.label)
                params = ", ".join(_param(param) for param in item.params)
                self._line(f"process {item.name}({params}){_returns(item.returns)}{_signals(item.signals)} ")
                self._block(item.body)
            case ast.FnDecl():
                params = ", ".join(_param(param) for param in item.params)
                self._line(f"fn {item.name}({params}){_returns(item.returns)} ")
                self._block(item.body)
            case _:
                self._statement(item)

    def _type_decl(self, name: str, ty: TypeExpr) -> None:
        flat = f"type {name} = {format_type(ty)}"
        if len(flat) <= WIDTH or not isinstance(ty, TypeObject):
            self._line(flat)
            return
        self._line(f"type {name} = {{")
        for field in ty.fields:
            self._line(f"{INDENT}{format_field(field)},")
        self._line("}")

    def _label(self, label: ast.Label) -> None:
        description = "" if label.description is None else f", description: {spell_text(label.description)}"
        self._line(f"@label(title: {spell_text(label.title)}{description})")

    def _block(self, block: Block) -> None:
        """Appends `{ … }` to the last line."""
        comment = self._pending()
        if not block.statements and (comment is None or comment.start >= block.end):
            self._append("{}")
            return
        self._append("{")
        self._indent += 1
        self._sequence(block.statements, block.end)
        self._indent -= 1
        self._line("}")

    # --- Statements ---

    def _statement(self, item: Statement) -> None:
        match item:
            case ast.Labelled(label=label, statement=statement):
                self._label(label)
                self._statement(statement)
            case ast.If():
                self._if(item)
            case ast.For(name=name, iterable=iterable, body=body):
                self._line(f"for {name} in {self._expr(iterable, len(name) + 10)} ")
                self._block(body)
            case ast.While(condition=condition, body=body):
                self._line(f"while {self._expr(condition, 8)} ")
                self._block(body)
            case ast.Break():
                self._line("break")
            case ast.Continue():
                self._line("continue")
            case ast.Assign(target=target, value=value, let=let):
                left = ("let " if let else "") + self._target(target) + " = "
                self._line(left + self._expr(value, len(left)))
            case ast.Evaluate(value=value):
                self._line(self._expression_statement(value))
            case ast.Finish(value=None, word=word):
                self._line(word)
            case ast.Finish(value=value, word=word):
                self._keyword(word, value)
            case ast.Print(value=value):
                self._keyword("print", value)
            case ast.Cancel(handle=handle):
                self._keyword("cancel", handle)
            case ast.Fail(value=value):
                self._keyword("fail", value)
            case ast.Yield(value=value):
                self._keyword("yield", value)
            case ast.Wake(value=value):
                self._keyword("wake", value)
            case _:
                assert_never(item)

    def _if(self, item: ast.If) -> None:
        for index, arm in enumerate(item.arms):
            if index:
                self._append(f" else if {self._expr(arm.condition, 12)} ")
            else:
                self._line(f"if {self._expr(arm.condition, 5)} ")
            self._block(arm.body)
        if item.otherwise is not None:
            self._append(" else ")
            self._block(item.otherwise)

    def _keyword(self, word: str, value: Expr | None) -> None:
        assert value is not None
        text = self._expr(value, len(word) + 1)
        if text[0] in ".[=" or leading_word(value) is not None:
            text = self._shielded(word, value, text)
        self._line(f"{word} {text}")

    def _shielded(self, word: str, value: Expr, text: str) -> str:
        """`text`, in parentheses where `word` and it could be read as an assignment to `word`."""
        return f"({text})" if text[0] == "[" and word in _STATEMENT_STARTS else text

    def _expression_statement(self, value: Expr) -> str:
        word = leading_word(value)
        if word is not None and (word in _STATEMENT_STARTS or word in STATEMENT_WORDS):
            return f"({format_expr(value)})"
        return self._expr(value, 0)

    def _target(self, target: ast.Target) -> str:
        steps = [
            f".{spell_key(step.name)}" if isinstance(step, ast.FieldStep) else f"[{format_expr(step.index)}]"
            for step in target.steps
        ]
        return target.name + "".join(steps)

    def _expr(self, node: Expr, used: int) -> str:
        return layout(node, self._indent, used)


def _param(param: ast.Param) -> str:
    return param.name if param.ty is None else f"{param.name}: {format_type(param.ty)}"


def _returns(ty: TypeExpr | None) -> str:
    return "" if ty is None else f" -> {format_type(ty)}"


def _signals(signals: tuple[ast.SignalDecl, ...] | None) -> str:
    if signals is None:
        return ""
    texts = [f"{spell_key(signal.name)}: {format_type(signal.ty)}" for signal in signals]
    return " signals { " + ", ".join(texts) + " }" if texts else " signals {}"


def _has_blocks(item: Item) -> bool:
    inner = item.statement if isinstance(item, ast.Labelled) else item
    return isinstance(inner, ast.If | ast.For | ast.While | ast.ProcessDecl | ast.FnDecl)


def _stands_apart(item: Item) -> bool:
    return isinstance(item, ast.ProcessDecl | ast.FnDecl)
