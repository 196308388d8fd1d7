"""Questions about syntax that lowering asks before it builds anything.

`Scan` says which expressions cannot stay expressions (they hold an effect, a comprehension, a `try`, or are nested
too deeply for one line of generated code), `escaping` says through which variables a value becomes reachable a second
time, `mutated` says which variables a body changes in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from lashlang.machine.builtins import ESCAPES, TABLE
from lashlang.syntax import ast

MAX_HEIGHT: Final = 14
"""Nested operations in one generated expression; what is deeper goes through a temporary."""
MAX_RUN: Final = 24
"""Operands of one chain before an intermediate result is stored."""

EFFECTS: Final = (
    ast.Await, ast.OperationCall, ast.Start, ast.Sleep, ast.WaitSignal, ast.SignalRun,
)  # fmt: skip


def children(node: ast.Expr) -> Iterable[ast.Expr]:
    """The direct sub-expressions of `node`, in evaluation order."""
    match node:
        case ast.ListLiteral():
            return node.items
        case ast.RecordLiteral():
            return [entry.value for entry in node.entries]
        case ast.Negate() | ast.Not() | ast.Await() | ast.Try() | ast.Unwrap() | ast.Sleep():
            return [node.value]
        case ast.Chain() | ast.Logic():
            return node.operands
        case ast.Ternary():
            return [node.condition, node.then, node.otherwise]
        case ast.Field():
            return [node.target]
        case ast.Index():
            return [node.target, node.index]
        case ast.Call():
            return node.args
        case ast.OperationCall() | ast.MethodCall():
            return [node.receiver, *node.args]
        case ast.Start():
            return [argument.value for argument in node.args]
        case ast.SignalRun():
            return [node.run, node.payload]
        case ast.HostValue():
            return [node.argument]
        case ast.Comprehension():
            return [*(_clause(clause) for clause in node.clauses), node.element]
        case _:
            return ()


def _clause(clause: ast.ForClause | ast.IfClause) -> ast.Expr:
    return clause.iterable if isinstance(clause, ast.ForClause) else clause.condition


class Scan:
    """Answers, per expression node, whether lowering it emits statements (remembered by identity)."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[bool, int]] = {}
        self.cut: set[int] = set()

    def heavy(self, node: ast.Expr) -> bool:
        """Whether evaluating `node` needs statements of its own."""
        return self._measure(node)[0]

    def _measure(self, node: ast.Expr) -> tuple[bool, int]:
        known = self._found.get(id(node))
        if known is not None:
            return known
        heavy = isinstance(node, (*EFFECTS, ast.Comprehension, ast.Try))
        height = 0
        for child in children(node):
            below, tall = self._measure(child)
            heavy = heavy or below
            height = max(height, tall)
        if isinstance(node, ast.Chain | ast.Logic):
            height += min(len(node.operands), MAX_RUN) // 4
            heavy = heavy or len(node.operands) > MAX_RUN
        height += 1
        if height > MAX_HEIGHT:
            self.cut.add(id(node))
            heavy, height = True, 0
        self._found[id(node)] = (heavy, 0 if heavy else height)
        return self._found[id(node)]


def escaping(node: ast.Expr) -> Iterator[str]:
    """The variables whose own container is held by the value of `node`, or may be by something it made."""
    match node:
        case ast.Name():
            yield node.name
        case ast.Field() | ast.Index() | ast.Chain() | ast.Negate() | ast.Not() | ast.Unwrap() | ast.Await():
            yield from _below(children(node))
        case ast.OperationCall() | ast.Start() | ast.Sleep() | ast.SignalRun():
            yield from _below(children(node))
        case ast.Logic() if node.operator != "??":
            yield from _below(node.operands)
        case ast.Ternary():
            yield from _below([node.condition])
            yield from escaping(node.then)
            yield from escaping(node.otherwise)
        case ast.Call() if node.name in ESCAPES:
            for at, arg in enumerate(node.args):
                yield from escaping(arg) if at == ESCAPES[node.name] else _below([arg])
        case ast.Call() if node.name in TABLE:
            yield from _below(node.args)
        case _:
            for child in children(node):
                yield from escaping(child)


def _below(nodes: Iterable[ast.Expr]) -> Iterator[str]:
    """What escapes from `nodes` when only their contents are looked at: a plain variable does not."""
    for node in nodes:
        if not isinstance(node, ast.Name):
            yield from escaping(node)


def inside(node: ast.Expr) -> Iterator[str]:
    """What escapes when the value of `node` itself goes no further (it is copied out, compared, discarded)."""
    return _below([node])


def mutated(statements: Iterable[ast.Statement]) -> Iterator[str]:
    """The variables that `statements` change in place: by a path, by `x = push(x, …)`, by `x = x + […]`."""
    for statement in statements:
        match statement:
            case ast.Assign() if statement.target.steps or grows(statement) is not None:
                yield statement.target.name
            case ast.If():
                for arm in statement.arms:
                    yield from mutated(arm.body.statements)
                if statement.otherwise is not None:
                    yield from mutated(statement.otherwise.statements)
            case ast.For() | ast.While():
                yield from mutated(statement.body.statements)
            case ast.Labelled():
                yield from mutated([statement.statement])
            case _:
                pass


def grows(statement: ast.Assign) -> ast.Expr | None:
    """The item of `x = push(x, item)`, or the list literal of `x = x + [items]`; None for anything else."""
    name, value = statement.target.name, statement.value
    match value:
        case ast.Call("push", (ast.Name(first), item)) if first == name:
            return item
        case ast.Chain((ast.Name(first), ast.ListLiteral() as items), ("+",)) if first == name:
            return items
        case _:
            return None
