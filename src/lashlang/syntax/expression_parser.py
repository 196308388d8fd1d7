"""Expressions: a precedence climber over flat chains, and everything that can stand as an operand.

What ends an expression: inside brackets only the grammar; outside, a `;` always, and a line break before
any token that could start a statement of its own (`-`, `[`, `(`, `not`, a word). An operator that cannot
start a statement (`+`, `.`, `==`, `and`, `??`, the `?` of a ternary, …) continues the line before it.

A `?` that touches its operand unwraps; behind a blank it is a ternary. `a?b:c`, with no blank on either
side of a `?` that a literal or a name follows, can only be a ternary and is read as one.
"""

from __future__ import annotations

from typing import Final, NoReturn

from lashlang.syntax import ast
from lashlang.syntax.ast import ChainOperator, Expr, LogicOperator
from lashlang.syntax.limits import MAX_HEIGHT, MAX_OPERANDS
from lashlang.syntax.primaries import PRIMARY
from lashlang.syntax.type_parser import TypeParser

_COALESCE, _OR, _AND, _COMPARE, _ADD, _MULTIPLY = range(2, 8)
_LEVEL: Final = {
    "??": _COALESCE,
    "or": _OR,
    "||": _OR,
    "and": _AND,
    "&&": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not"), _COMPARE),
    **dict.fromkeys(("+", "-"), _ADD),
    **dict.fromkeys(("*", "/", "%"), _MULTIPLY),
}
_LOGIC: Final[dict[int, LogicOperator]] = {_COALESCE: "??", _OR: "or", _AND: "and"}
_CHAIN: Final[dict[str, ChainOperator]] = {
    "==": "==",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "in": "in",
    "not": "not in",
    "+": "+",
    "-": "-",
    "*": "*",
    "/": "/",
    "%": "%",
}
_STARTS_STATEMENT: Final = frozenset(("-", "not"))
_TIGHT_BRANCH: Final = frozenset(("name", "number", "string", "true", "false", "null"))


class ExpressionParser(TypeParser):
    """The part of the parser that reads expressions."""

    __slots__ = ()

    def expr(self) -> Expr:
        """A full expression: the ternary and everything that binds tighter."""
        self.descend()
        outer, self.size = self.size, 0
        start = self.here()
        node = self._binary(_COALESCE)
        if self.kind == "?" and self.breaks() < 2:
            node = self._ternary(node, start)
        self.size = outer
        self.depth -= 1
        return node

    def _ternary(self, condition: Expr, start: int) -> Expr:
        height = self.height
        question = self.advance()
        then = self.expr()
        height = max(height, self.height)
        if self.kind != ":":
            place = (self.tokens.starts[question], self.tokens.ends[question])
            hint = "to unwrap, write `?` directly behind its operand: value?"
            self.expected("`:` of the ternary", hint=hint, related=(("the ternary's `?` is here", *place),))
        self.advance()
        otherwise = self.expr()
        self.rise(max(height, self.height))
        return ast.Ternary(condition, then, otherwise, start=start, end=self.behind())

    def _binary(self, minimum: int) -> Expr:
        start = self.tokens.starts[self.pos]
        left = self.operand()
        while True:
            level = _LEVEL.get(self.kind, 0)
            if level < minimum or not self._operator_here():
                return left
            left = self._chain(left, level, start)

    def _chain(self, left: Expr, level: int, start: int) -> Expr:
        """All operands that operators of one level join to `left`."""
        operands, operators, height = [left], [], self.height
        while _LEVEL.get(self.kind) == level and self._operator_here():
            kind = self.kind
            self.advance()
            if level == _COMPARE:
                if kind == "not":
                    self.advance()
                elif kind == "in" and self.kind == "in":
                    self.unexpected()
            operands.append(self._binary(level + 1))
            operators.append(kind)
            if self.height > height:
                height = self.height
            self.grow()
        self.rise(height)
        logic = _LOGIC.get(level)
        if logic is not None:
            return ast.Logic(logic, tuple(operands), start=start, end=self.behind())
        chained = tuple([_CHAIN[kind] for kind in operators])
        return ast.Chain(tuple(operands), chained, start=start, end=self.behind())

    def _operator_here(self) -> bool:
        """Whether the operator at the cursor joins what stands before it, or starts a statement."""
        if self.kind == "not" and self.peek() != "in":
            return False
        if self.loose:
            return True
        broken = self.tokens.breaks[self.pos]
        return not broken or (broken == 1 and self.kind not in _STARTS_STATEMENT)

    # --- Operands ---

    def operand(self) -> Expr:
        """A primary with its prefix operators and its postfix steps."""
        kind = self.kind
        if kind in ("-", "!", "not", "await"):
            return self._prefix(kind)
        parse = PRIMARY.get(kind)
        if parse is None:
            self._no_operand()
        start = self.tokens.starts[self.pos]
        node = parse(self)
        while True:
            kind = self.kind
            if kind == ".":
                if self.breaks() == 2:
                    return node
                node = self._member(node, start)
            elif kind == "[":
                if self.breaks():
                    return node
                node = self._index(node, start)
            elif kind == "?" and self.adjacent(self.pos) and not self._tight_ternary():
                self.advance()
                self._step()
                node = ast.Unwrap(node, start=start, end=self.behind())
            elif kind == "(" and not self.breaks() and self.adjacent(self.pos):
                self.unexpected("only a name can be called", hint="there are no function values")
            else:
                return node

    def _prefix(self, kind: str) -> Expr:
        start = self.here()
        self.advance()
        self.descend()
        value = self.operand()
        self.depth -= 1
        self.rise(self.height)
        if kind == "-":
            return ast.Negate(value, start=start, end=self.behind())
        if kind == "await":
            return ast.Await(value, start=start, end=self.behind())
        return ast.Not(value, start=start, end=self.behind())

    def _tight_ternary(self) -> bool:
        """Whether the `?` at the cursor stands as in `a?b:c`."""
        after = self.pos + 1
        return self.tokens.kinds[after] in _TIGHT_BRANCH and self.adjacent(after)

    def _member(self, target: Expr, start: int) -> Expr:
        self.advance()
        at = self.here()
        name = self.key("a field name behind `.`")
        if self.kind == "(" and not self.breaks():
            height = self.height
            args = self.arguments()
            self.height = max(height, self.height)
            self._step()
            return ast.MethodCall(target, name, args, at, start=start, end=self.behind())
        self._step()
        return ast.Field(target, name, start=start, end=self.behind())

    def _index(self, target: Expr, start: int) -> Expr:
        height = self.height
        opened = self.advance()
        self.loose += 1
        index = self.expr()
        self.loose -= 1
        self.close("]", opened, "`]` behind the index")
        self.height = max(height, self.height)
        self._step()
        return ast.Index(target, index, start=start, end=self.behind())

    def _no_operand(self) -> NoReturn:
        if self.kind == "?" and self.adjacent(self.pos):
            self.unexpected("`?` has nothing to unwrap")
        self.unexpected()

    # --- Bounds ---

    def rise(self, height: int) -> None:
        """Notes that a node has been put over operands of `height`."""
        self.height = height + 1
        if height >= MAX_HEIGHT:
            self.too_deep()

    def _step(self) -> None:
        """Notes a postfix step over the operand before it."""
        self.rise(self.height)
        self.grow()

    def grow(self) -> None:
        self.size += 1
        if self.size > MAX_OPERANDS:
            message = f"this expression has more than {MAX_OPERANDS} operands"
            self.fail("expression_too_large", message, hint="build the value in several statements")

    def arguments(self) -> tuple[Expr, ...]:
        """`( expr, … )`; `height` becomes that of a node over them."""
        opened = self.advance()
        self.loose += 1
        items: list[Expr] = []
        height = 0
        while self.kind != ")":
            items.append(self.expr())
            if self.height > height:
                height = self.height
            if self.kind != ",":
                break
            self.advance()
        self.loose -= 1
        self.close(")", opened, "`,` or `)` of the arguments")
        self.rise(height)
        return tuple(items)
