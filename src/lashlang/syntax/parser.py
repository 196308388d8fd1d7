"""The whole grammar: declarations on top of statements, and `parse`.

`parse` either returns a tree or raises with every finding of the run; it never returns a tree with holes.
"""

from __future__ import annotations

from lashlang.errors import Diagnostic, ParseError
from lashlang.syntax import ast
from lashlang.syntax.ast import Item, Program
from lashlang.syntax.cursor import ParseAbort
from lashlang.syntax.lexer import Tokens, tokenize
from lashlang.syntax.statement_parser import StatementParser
from lashlang.syntax.type_expr import TypeExpr


class ProgramParser(StatementParser):
    """The part of the parser that reads top-level items."""

    __slots__ = ()

    def __init__(self, tokens: Tokens) -> None:
        super().__init__(tokens)
        self.matches = None

    def program(self) -> Program:
        """Every item up to the end of the text."""
        items: list[Item] = []
        while self.kind != "eof":
            item = self.guarded(self._item)
            if item is not None:
                items.append(item)
        tokens = self.tokens
        return Program(tuple(items), tuple(tokens.comments), tokens.source, start=0, end=len(tokens.source))

    def _item(self) -> Item:
        if self.kind == "name":
            word = str(self.tokens.values[self.pos])
            match word:
                case "type" if not self.assignment_follows():
                    return self._type_declaration()
                case "process" if not self.assignment_follows():
                    return self._process(None)
                case "fn" if self.peek() == "name" and not self.tokens.breaks[self.pos + 1]:
                    return self._function()
                case "trigger" if not self.assignment_follows():
                    self._refuse_trigger()
        elif self.kind == "@":
            return self._labelled_item()
        return self.statement()

    def _refuse_trigger(self) -> None:
        if self.peek() != "name":
            return
        message = "there are no trigger declarations"
        hint = "register it: await triggers.register({ source: …, target: process_name, inputs: { … } })?"
        self.fail("declarative_trigger_removed", message, hint=hint)

    def _labelled_item(self) -> Item:
        label = self.label()
        if self.word() == "process" and not self.assignment_follows():
            return self._process(label)
        self.refuse_label_target()
        statement = self.statement()
        return ast.Labelled(label, statement, start=label.start, end=statement.end)

    def _type_declaration(self) -> Item:
        start = self.here()
        self.advance()
        name_at = self.here()
        name = self.name("the name of the type")
        if self.kind != "=":
            self.expected(f"`=` behind `type {name[:40]}`", hint=f"write: type {name[:40]} = {{ … }}")
        self.advance()
        ty = self.type_expr()
        return ast.TypeDecl(name, ty, name_at, start=start, end=self.behind())

    def _process(self, label: ast.Label | None) -> Item:
        start = label.start if label is not None else self.here()
        self.advance()
        name_at = self.here()
        name = self.name("the name of the process")
        params = self._params(f"`process {name[:40]}`", typed=True)
        returns, signals = self._process_clauses()
        outer, self.where = self.where, "process"
        body = self.block(f"the process `{name[:40]}`")
        self.where = outer
        return ast.ProcessDecl(
            name, params, body, returns, signals, label, name_at, start=start, end=body.end
        )

    def _process_clauses(self) -> tuple[TypeExpr | None, tuple[ast.SignalDecl, ...] | None]:
        """`-> type` and `signals {…}`, each at most once, in either order."""
        returns: TypeExpr | None = None
        signals: tuple[ast.SignalDecl, ...] | None = None
        while True:
            if self.kind == "->" and returns is None:
                self.advance()
                returns = self.type_expr()
            elif self.word() == "signals" and signals is None:
                self.advance()
                fields = self.object_type().fields
                signals = tuple(
                    ast.SignalDecl(field.name, field.ty, start=field.start, end=field.end) for field in fields
                )
            else:
                return returns, signals

    def _function(self) -> Item:
        start = self.here()
        self.advance()
        name_at = self.here()
        name = self.name("the name of the function")
        params = self._params(f"`fn {name[:40]}`", typed=False)
        returns: TypeExpr | None = None
        if self.kind == "->":
            self.advance()
            returns = self.type_expr()
        outer, self.where = self.where, "fn"
        body = self.block(f"the function `{name[:40]}`")
        self.where = outer
        return ast.FnDecl(name, params, body, returns, name_at, start=start, end=body.end)

    def _params(self, what: str, *, typed: bool) -> tuple[ast.Param, ...]:
        opened = self.take("(", f"`(` behind {what}")
        params: list[ast.Param] = []
        while self.kind != ")":
            start = self.here()
            name = self.name("a parameter name or `)`")
            ty: TypeExpr | None = None
            if self.kind == ":":
                self.advance()
                ty = self.type_expr()
            elif typed:
                hint = f"every parameter of a process has a type; `{name[:40]}: any` promises nothing"
                self.expected(f"`:` and a type behind the parameter `{name[:40]}`", hint=hint)
            params.append(ast.Param(name, ty, start=start, end=self.behind()))
            if self.kind != ",":
                break
            self.advance()
        self.close(")", opened, "`,` or `)` of the parameters")
        return tuple(params)


def parse(source: str) -> Program:
    """Reads a program.

    Args:
        source: the text; at most 1,048,576 code points.

    Returns:
        The tree, with its comments and its source.

    Raises:
        ParseError: the text is not a program; `diagnostics` has every finding, in reading order, errors of
        the
            lexer first. The codes are those of `lashlang.catalogue`, phase "parse".
    """
    tokens = tokenize(source)
    if tokens.findings and tokens.cut and len(tokens.kinds) == 1:
        raise ParseError.of(tuple(tokens.findings))
    parser = ProgramParser(tokens)
    program: Program | None = None
    try:
        program = parser.program()
    except ParseAbort:
        program = None
    findings = _all_findings(tokens, parser.findings)
    if findings or program is None:
        raise ParseError.of(findings)
    return program


def _all_findings(tokens: Tokens, parsed: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The lexer's findings, then those of the parser that the lexer's cannot have caused."""
    if not tokens.findings:
        return tuple(parsed)
    lines = {finding.line for finding in tokens.findings}
    end = len(tokens.source)
    own = [
        finding
        for finding in parsed
        if finding.line not in lines and not (tokens.cut and finding.span == (end, end))
    ]
    return (*tokens.findings, *own)
