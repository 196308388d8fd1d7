"""Lowering statements and whole bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from lashlang.machine import ir
from lashlang.machine.builtins import FRESH
from lashlang.machine.fault import Halt
from lashlang.machine.lowering import effects
from lashlang.machine.lowering.builder import Builder, Scope
from lashlang.machine.lowering.dispatch import expr, operands
from lashlang.machine.lowering.expressions import iteration
from lashlang.machine.lowering.scan import escaping, grows, inside
from lashlang.machine.sizes import ITEM_COST
from lashlang.syntax import ast

MAX_LOOPS: Final = 16
"""Loops, clauses and `try` nested in one body: CPython's compiler knows 20 such blocks."""
MAX_LEVELS: Final = 85
"""Nested statements of any kind in one body: CPython's tokenizer knows 100 levels, of which guards take some."""

MAX_LADDER: Final = 12
"""Arms of an `if` ladder that are generated as one nested statement."""


def main_body(scope: Scope, statements: Sequence[ast.Statement]) -> ir.Body:
    """The foreground of a program."""
    return _body(Builder(scope, "main", "main"), statements, [])


def process_body(scope: Scope, declaration: ast.ProcessDecl) -> ir.Body:
    """A process: its parameters are bound from the start."""
    builder = Builder(Scope(scope.functions, frozenset(), scope.process_value), "process", declaration.name)
    return _body(builder, declaration.body.statements, [param.name for param in declaration.params])


def fn_body(scope: Scope, declaration: ast.FnDecl) -> ir.Body:
    """A function: its last statement gives the result."""
    builder = Builder(Scope(scope.functions, frozenset(), scope.process_value), "fn", declaration.name)
    return _body(builder, declaration.body.statements, [param.name for param in declaration.params])


def _body(b: Builder, body: Sequence[ast.Statement], params: list[str]) -> ir.Body:
    b.prepare(body, params)
    statements: list[ir.Stmt] = []
    with b.filling(statements):
        _block(b, body, result=b.kind == "fn")
    blocks, levels = _nesting(statements)
    if blocks > MAX_LOOPS or levels > MAX_LEVELS:
        raise Halt(
            "nesting_too_deep",
            f"in `{b.name}`, loops, comprehension clauses and `try` are nested deeper than {MAX_LOOPS} levels",
        )
    return b.finish(statements, params)


def _nesting(statements: list[ir.Stmt]) -> tuple[int, int]:
    """How deeply loops and `try` nest, and how deeply anything does."""
    blocks = levels = 0
    for node in statements:
        match node:
            case ir.Branch():
                inner = [_nesting(node.then), _nesting(node.otherwise)]
                own = 0
            case ir.Loop() | ir.Each() | ir.Attempt():
                inner = [_nesting(node.body)]
                own = 1
            case _:
                continue
        blocks = max(blocks, own + max(deep for deep, _ in inner))
        levels = max(levels, 1 + max(tall for _, tall in inner))
    return blocks, levels


def _block(b: Builder, statements: Sequence[ast.Statement], *, result: bool = False) -> None:
    """Every statement in order; with `result` the last one gives the value of a function."""
    for number, statement in enumerate(statements):
        mark = len(b.active)
        with b.at(str(number)):
            if result and number == len(statements) - 1:
                _result(b, statement)
            else:
                _statement(b, statement)
        b.forget(mark)
    if result and not (statements and isinstance(statements[-1], ast.Evaluate | ast.If)):
        b.emit(ir.End("return", ir.Const(None), 0))


def _result(b: Builder, statement: ast.Statement) -> None:
    match statement:
        case ast.Evaluate():
            b.emit(ir.End("return", expr(b, statement.value), b.span(statement)))
        case ast.If():
            _if(b, statement, result=True)
        case _:
            _statement(b, statement)


def _statement(b: Builder, statement: ast.Statement) -> None:
    match statement:
        case ast.Assign():
            _assign(b, statement)
        case ast.Evaluate():
            b.emit(ir.Do(expr(b, statement.value), b.span(statement)))
        case ast.If():
            _if(b, statement)
        case ast.For():
            _for(b, statement)
        case ast.While():
            _while(b, statement)
        case ast.Break():
            b.emit(ir.Stop())
        case ast.Continue():
            b.emit(ir.Again())
        case ast.Print():
            b.emit(ir.Print(expr(b, statement.value), b.span(statement)))
        case ast.Cancel():
            effects.cancel(b, statement)
        case ast.Finish():
            value = ir.Const(None) if statement.value is None else expr(b, statement.value)
            b.emit(ir.End("finish", value, b.span(statement)))
        case ast.Fail():
            b.emit(ir.End("fail", expr(b, statement.value), b.span(statement)))
        case ast.Yield() | ast.Wake():
            effects.event(b, statement)
        case ast.Labelled():
            _statement(b, statement.statement)
        case _:
            assert_never(statement)


def _assign(b: Builder, node: ast.Assign) -> None:
    name, at = node.target.name, b.span(node)
    if name in b.scope.projected:
        steps = [step.index for step in node.target.steps if isinstance(step, ast.IndexStep)]
        for value in operands(b, [*steps, node.value]):
            b.emit(ir.Do(value, at))
        message = f"`{name}` is a read-only projected binding; assign to another name"
        b.emit(ir.Reject("type_error", message, at))
        return
    if node.target.steps:
        _put(b, node)
        return
    added = grows(node)
    if added is not None and name not in b.scope.functions:
        _grow(b, node, added)
        return
    b.disown(escaping(node.value))
    value = expr(b, node.value)
    slot = b.variable(name)
    b.bound.add(slot)
    last = b.out[-1] if b.out else None
    if isinstance(last, ir.Perform) and isinstance(value, ir.Var) and value.slot == last.slot in b.active:
        b.active.remove(value.slot)
        last.slot = slot
        return
    b.emit(ir.Let(slot, value, at, _fresh(b, node.value)))


def _fresh(b: Builder, node: ast.Expr) -> bool:
    """Whether nobody else can hold the container that `node` evaluates to."""
    match node:
        case ast.ListLiteral() | ast.RecordLiteral() | ast.Comprehension() | ast.Chain():
            return True
        case ast.Call():
            return node.name in FRESH and node.name not in b.scope.functions
        case ast.Await() | ast.Unwrap(ast.Await() | ast.OperationCall()):
            return True
        case _:
            return False


def _put(b: Builder, node: ast.Assign) -> None:
    at = b.span(node.target)
    indexes = [step.index for step in node.target.steps if isinstance(step, ast.IndexStep)]
    b.disown(escaping(node.value))
    for step in indexes:
        b.disown(escaping(step))
    *values, value = operands(b, [*indexes, node.value])
    waiting = iter(values)
    path: list[ir.Expr] = [
        ir.Const(step.name) if isinstance(step, ast.FieldStep) else next(waiting)
        for step in node.target.steps
    ]
    slot = b.variable(node.target.name)
    sure = slot in b.bound
    b.bound.add(slot)
    b.emit(ir.Put(slot, path, value, at, sure))


def _grow(b: Builder, node: ast.Assign, added: ast.Expr) -> None:
    """`x = push(x, item)` and `x = x + [items]`: the variable is read before the item is evaluated."""
    at = b.span(node.value)
    slot = b.variable(node.target.name)
    if slot not in b.bound:
        b.emit(ir.Do(b.read(node.target.name, at), at))
    b.disown(escaping(added))
    if isinstance(node.value, ast.Call):
        b.size_bytes += ITEM_COST
        b.emit(ir.Push(slot, expr(b, added), at))
    else:
        assert isinstance(added, ast.ListLiteral)
        b.size_bytes += ITEM_COST * len(added.items)
        b.emit(ir.Extend(slot, operands(b, added.items), at))


def _if(b: Builder, node: ast.If, *, result: bool = False) -> None:
    """A ladder; a long one goes in groups, so that what is generated for it nests no deeper than a group."""
    if len(node.arms) <= MAX_LADDER:
        _arms(b, node, 0, result=result)
        return
    at = b.span(node)
    chosen = b.store(ir.Const(False), at)
    for first in range(0, len(node.arms), MAX_LADDER):
        last = first + MAX_LADDER >= len(node.arms)
        arms = node.arms[first : first + MAX_LADDER]
        group = ast.If(arms, node.otherwise if last else None, start=node.start, end=node.end)
        body: list[ir.Stmt] = []
        before, done = set(b.bound), len(b.sites)
        with b.filling(body), b.at(f"group{first}"):
            _arms(b, group, 0, result=result and last, chosen=chosen.slot, returns=result)
        b.bound = before
        sites = (done + 1, len(b.sites), len(b.sites)) if len(b.sites) > done else (0, 0, 0)
        b.emit(ir.Branch(ir.Opposite(chosen), body, [], at, sites))


def _arms(
    b: Builder, node: ast.If, number: int, *, result: bool, chosen: str | None = None, returns: bool = False
) -> None:
    """The ladder from arm `number` on; what is bound after it is what every arm that ends binds."""
    if number == len(node.arms):
        if node.otherwise is not None:
            with b.at("else"):
                _block(b, node.otherwise.statements, result=result)
        elif result:
            b.emit(ir.End("return", ir.Const(None), 0))
        return
    arm = node.arms[number]
    at = b.span(arm.condition)
    mark = len(b.active)
    b.disown(inside(arm.condition))
    condition = expr(b, arm.condition)
    if len(b.active) > mark:
        slot = b.temporary()
        b.emit(ir.Let(slot, ir.Truth(condition), at))
        b.active.remove(slot)
        b.forget(mark)
        condition = ir.Var(slot)
    then: list[ir.Stmt] = []
    otherwise: list[ir.Stmt] = []
    before, first = set(b.bound), len(b.sites)
    with b.filling(then), b.at(f"then{number}"):
        if chosen is not None:
            b.emit(ir.Let(chosen, ir.Const(True), at))
        _block(b, arm.body.statements, result=result or returns)
    after_then, middle = b.bound, len(b.sites)
    b.bound = before
    with b.filling(otherwise):
        _arms(b, node, number + 1, result=result, chosen=chosen, returns=returns)
    if _leaves(then):
        pass
    elif _leaves(otherwise):
        b.bound = after_then
    else:
        b.bound &= after_then
    sites = (first + 1, middle, len(b.sites)) if len(b.sites) > first else (0, 0, 0)
    b.emit(ir.Branch(condition, then, otherwise, at, sites))


def _leaves(statements: list[ir.Stmt]) -> bool:
    return any(isinstance(statement, ir.End | ir.Stop | ir.Again | ir.Reject) for statement in statements)


def _while(b: Builder, node: ast.While) -> None:
    at = b.span(node.condition)
    b.loops = True
    body: list[ir.Stmt] = []
    first, size, before = len(b.sites), b.size_bytes, set(b.bound)
    b.size_bytes = 0
    if b.scan.heavy(node.condition):
        condition: ir.Expr = ir.Const(True)
        with b.filling(body), b.at("while"):
            mark = len(b.active)
            b.disown(inside(node.condition))
            slot = b.temporary()
            b.emit(ir.Let(slot, ir.Truth(expr(b, node.condition)), at))
            b.active.remove(slot)
            b.forget(mark)
            b.emit(ir.Branch(ir.Var(slot), [], [ir.Stop()], at))
    else:
        condition = expr(b, node.condition)
        before = set(b.bound)
    with b.filling(body), b.at("do"):
        _block(b, node.body.statements)
    b.bound = before
    sites = (first + 1, len(b.sites)) if len(b.sites) > first else (0, 0)
    b.emit(ir.Loop(condition, body, at, b.size_bytes, sites))
    b.size_bytes = size


def _for(b: Builder, node: ast.For) -> None:
    b.loops = True
    at = b.span(node.iterable)
    mark = len(b.active)
    kept: list[ir.Var] = []
    b.disown(escaping(node.iterable))
    iterable, ranged = iteration(b, node.iterable)
    if len(b.active) > mark:
        kept = [b.store(value, at) for value in iterable]
        for value in kept:
            b.active.remove(value.slot)
        b.forget(mark)
        iterable = list(kept)
    if node.name in b.scope.projected:
        message = f"`{node.name}` is a read-only projected binding; use another loop variable"
        b.emit(ir.Reject("type_error", message, at))
    loop = b.loop_number()
    slot = b.variable(node.name)
    b.restores.append((f"s{loop}", slot))
    body: list[ir.Stmt] = []
    before, size, first = set(b.bound), b.size_bytes, len(b.sites)
    b.size_bytes = 0
    b.bound.add(slot)
    b.active += [f"q{loop}", f"i{loop}", f"s{loop}"]
    with b.filling(body), b.at("do"):
        _block(b, node.body.statements)
    del b.active[mark:]
    b.bound = before
    sites = (first + 1, len(b.sites)) if len(b.sites) > first else (0, 0)
    b.emit(ir.Each(loop, slot, iterable, body, at, ranged, True, b.size_bytes, sites))
    b.size_bytes = size
    if kept:
        b.emit(ir.Forget([value.slot for value in kept]))
