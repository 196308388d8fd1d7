"""Lowering expressions: syntax in, a pure intermediate expression out, statements for the rest on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lashlang.machine import ir
from lashlang.machine.builtins import TABLE
from lashlang.machine.builtins.text import check_slots, template_parts
from lashlang.machine.fault import Fault
from lashlang.machine.lowering import effects
from lashlang.machine.lowering.builder import Builder
from lashlang.machine.lowering.dispatch import LOWER, expr, operands
from lashlang.machine.lowering.scan import MAX_RUN
from lashlang.machine.projection import LAZY
from lashlang.machine.schema import schema_of, type_names
from lashlang.machine.sizes import ENTRY_COST, ITEM_COST, LIST_COST, RECORD_COST
from lashlang.machine.values import Resource, Value
from lashlang.syntax import ast
from lashlang.validate import TYPE_KEY

_TEXT_RESULTS: Final = frozenset(
    {"to_string", "join", "trim", "format", "lower", "upper", "replace", "to_json"}
)


def _list(b: Builder, node: ast.ListLiteral) -> ir.Expr:
    items = operands(b, node.items)
    b.size_bytes += LIST_COST + ITEM_COST * len(items)
    return ir.Items(items)


def _record(b: Builder, node: ast.RecordLiteral) -> ir.Expr:
    values = operands(b, [entry.value for entry in node.entries])
    b.size_bytes += RECORD_COST + ENTRY_COST * len(values)
    return ir.Fields([entry.key for entry in node.entries], values)


def _type(b: Builder, node: ast.TypeLiteral) -> ir.Expr:
    at = b.span(node)
    names = type_names(node.ty)
    return ir.Schema(node.ty, names, [b.read(name, at) for name in names], at)


def _negate(b: Builder, node: ast.Negate) -> ir.Expr:
    if isinstance(node.value, ast.Number) and node.value.value != 0:
        return ir.Const(-node.value.value)
    return ir.Negative(expr(b, node.value), b.span(node))


def _chain(b: Builder, node: ast.Chain) -> ir.Expr:
    at = b.span(node)
    values = operands(b, node.operands)
    if all(operator == "+" for operator in node.operators):
        return _sum(b, node.operands, values, at)
    result = values[0]
    for number, (operator, value) in enumerate(zip(node.operators, values[1:], strict=True), 1):
        if operator == "not in":
            result = ir.Opposite(ir.Binary("in", result, value, at))
        else:
            result = ir.Binary(operator, result, value, at)
        if number % MAX_RUN == 0:
            result = b.store(result, at)
    return result


def _sum(b: Builder, nodes: Sequence[ast.Expr], values: list[ir.Expr], at: int) -> ir.Expr:
    """A chain of `+`: from the first text on it is one concatenation."""
    result = values[0]
    text = _is_text(nodes[0])
    for number in range(1, len(values)):
        if text or _is_text(nodes[number]):
            return ir.Concat(_spliced([result, *values[number:]]), at)
        result = ir.Binary("+", result, values[number], at)
        if number % MAX_RUN == 0:
            result = b.store(result, at)
    return result


def _spliced(parts: list[ir.Expr]) -> list[ir.Expr]:
    """Parts of a concatenation, a first part that is itself a joined text replaced by what it is made of."""
    first = parts[0]
    if isinstance(first, ir.Concat):
        return [*first.parts, *parts[1:]]
    slots = [part for part in first.parts if type(part) is int] if isinstance(first, ir.Template) else None
    if isinstance(first, ir.Template) and slots == list(range(len(first.args))):
        made = [ir.Const(part) if type(part) is str else first.args[part] for part in first.parts]  # type: ignore[index]  # a number where it is no text
        return [*made, *parts[1:]] if made and _starts_as_text(first) else parts
    return parts


def _starts_as_text(template: ir.Template) -> bool:
    """Whether the first two parts hold a text, so that adding them up joins them."""
    return any(type(part) is str for part in template.parts[:2])


def _is_text(node: ast.Expr) -> bool:
    return isinstance(node, ast.Text) or (isinstance(node, ast.Call) and node.name in _TEXT_RESULTS)


def _logic(b: Builder, node: ast.Logic) -> ir.Expr:
    if node.operator == "??":
        return _default(b, node)
    every = node.operator == "and"
    if not b.scan.heavy(node):
        first = expr(b, node.operands[0])
        bound = set(b.bound)
        rest = [expr(b, operand) for operand in node.operands[1:]]
        b.bound = bound
        return ir.Both(every, [first, *rest])
    slot = b.temporary()
    at = b.span(node)
    b.emit(ir.Let(slot, ir.Truth(expr(b, node.operands[0])), at))
    for operand in node.operands[1:]:
        body = _arm(b, operand, slot, at, truth=True)
        test: ir.Expr = ir.Var(slot)
        _branch(b, test if every else ir.Opposite(test), body, [], at)
    return ir.Var(slot)


def _default(b: Builder, node: ast.Logic) -> ir.Expr:
    at = b.span(node)
    if not b.scan.heavy(node):
        first = expr(b, node.operands[0])
        bound = set(b.bound)
        result = first
        for operand in node.operands[1:]:
            result = ir.Default(result, expr(b, operand))
        b.bound = bound
        return result
    slot = b.temporary()
    b.emit(ir.Let(slot, expr(b, node.operands[0]), at))
    for operand in node.operands[1:]:
        body = _arm(b, operand, slot, at)
        _branch(b, ir.Binary("==", ir.Var(slot), ir.Const(None), at), body, [], at)
    return ir.Var(slot)


def _ternary(b: Builder, node: ast.Ternary) -> ir.Expr:
    condition = expr(b, node.condition)
    if not (b.scan.heavy(node.then) or b.scan.heavy(node.otherwise)):
        bound = set(b.bound)
        then = expr(b, node.then)
        after, b.bound = b.bound, bound
        otherwise = expr(b, node.otherwise)
        b.bound &= after
        return ir.Choice(condition, then, otherwise)
    at = b.span(node)
    slot = b.temporary()
    first = len(b.sites)
    then_body = _arm(b, node.then, slot, at)
    middle = len(b.sites)
    else_body = _arm(b, node.otherwise, slot, at)
    sites = (first + 1, middle, len(b.sites)) if len(b.sites) > first else (0, 0, 0)
    b.emit(ir.Branch(condition, then_body, else_body, at, sites))
    return ir.Var(slot)


def _arm(b: Builder, node: ast.Expr, slot: str, at: int, *, truth: bool = False) -> list[ir.Stmt]:
    """Statements that evaluate `node` into `slot`, without changing what is known to be bound after them."""
    body: list[ir.Stmt] = []
    bound = set(b.bound)
    with b.filling(body):
        value = expr(b, node)
        b.emit(ir.Let(slot, ir.Truth(value) if truth else value, at))
    b.bound = bound
    return body


def _branch(b: Builder, test: ir.Expr, then: list[ir.Stmt], otherwise: list[ir.Stmt], at: int) -> None:
    """Emit a branch whose `then` was lowered just now; effects inside are those made since it began."""
    sites = _sites_in(then)
    span = (sites[0], sites[-1], sites[-1]) if sites else (0, 0, 0)
    b.emit(ir.Branch(test, then, otherwise, at, span))


def _sites_in(statements: list[ir.Stmt]) -> list[int]:
    found: list[int] = []
    for statement in statements:
        match statement:
            case ir.Perform():
                found.append(statement.site)
            case ir.Branch() | ir.Loop() | ir.Each() | ir.Attempt() if statement.sites[0]:
                found += [statement.sites[0], statement.sites[-1]]
            case _:
                pass
    return found


def _call(b: Builder, node: ast.Call) -> ir.Expr:
    at = b.span(node)
    projected = node.name in LAZY and len(node.args) > 0 and _is_projected(b, node.args[0])
    args = operands(b, node.args, reading=projected)
    if node.name in b.scope.functions:
        b.calls_fn = True
        return ir.FnCall(node.name, args, at)
    _, least, most = TABLE[node.name]
    if node.name == "validate" and len(args) == 2 and isinstance(node.args[1], ast.TypeLiteral):
        ty = node.args[1].ty
        if not type_names(ty):  # nobody can get hold of this schema, so one will do for all evaluations
            args[1] = ir.Const({TYPE_KEY: schema_of(ty, {})})
    if node.name == "format" and args and isinstance(node.args[0], ast.Text):
        try:
            parts = template_parts(node.args[0].value)
            check_slots(parts, len(args) - 1)
        except Fault:
            return ir.Builtin("format", args, at)
        return ir.Template(parts, args[1:], at)
    fits = least <= len(args) <= most
    return ir.Builtin(node.name if fits else f"!{node.name}", args, at, projected and fits)


def _comprehension(b: Builder, node: ast.Comprehension) -> ir.Expr:
    at = b.span(node)
    slot = b.temporary()
    b.size_bytes += LIST_COST
    b.emit(ir.Let(slot, ir.Items([]), at))
    _clauses(b, node, 0, slot)
    return ir.Var(slot)


def _clauses(b: Builder, node: ast.Comprehension, number: int, slot: str) -> None:
    at = b.span(node)
    if number == len(node.clauses):
        b.size_bytes += ITEM_COST
        b.emit(ir.Collect(slot, expr(b, node.element), at))
        return
    clause = node.clauses[number]
    body: list[ir.Stmt] = []
    if isinstance(clause, ast.IfClause):
        condition = expr(b, clause.condition)
        bound = set(b.bound)
        with b.filling(body):
            _clauses(b, node, number + 1, slot)
        b.bound = bound
        _branch(b, condition, body, [], at)
        return
    b.loops = True
    iterable, ranged = iteration(b, clause.iterable)
    loop = b.loop_number()
    bound, size, first, mark = set(b.bound), b.size_bytes, len(b.sites), len(b.active)
    b.size_bytes = 0
    with b.hiding(clause.name) as variable, b.filling(body):
        b.active += [f"q{loop}", f"i{loop}", variable]
        _clauses(b, node, number + 1, slot)
        b.forget(mark)
    b.bound = bound
    sites = (first + 1, len(b.sites)) if len(b.sites) > first else (0, 0)
    b.emit(
        ir.Each(loop, variable, iterable, body, b.span(clause.iterable), ranged, False, b.size_bytes, sites)
    )
    b.size_bytes = size


def iteration(b: Builder, node: ast.Expr) -> tuple[list[ir.Expr], bool]:
    """What a loop runs over: the arguments of a `range`, or one expression."""
    if isinstance(node, ast.Call) and node.name == "range" and 1 <= len(node.args) <= 3:
        return operands(b, node.args), True
    if _is_projected(b, node):
        return [ir.Rows(expr(b, node, reading=True), b.span(node))], False
    return [expr(b, node)], False


def _is_projected(b: Builder, node: ast.Expr) -> bool:
    """Whether `node` is a projected binding, or a read of fields and items of one."""
    while isinstance(node, ast.Field | ast.Index):
        node = node.target
    return isinstance(node, ast.Name) and b.is_projected(node.name)


def _try(b: Builder, node: ast.Try) -> ir.Expr:
    at = b.span(node)
    slot = b.temporary()
    body: list[ir.Stmt] = []
    bound, first, slots = set(b.bound), len(b.sites), b.slot_count
    b.size_bytes += RECORD_COST + 2 * ENTRY_COST
    with b.filling(body):
        b.emit(ir.Let(slot, ir.Wrapped(expr(b, node.value)), at))
    b.bound = bound
    sites = (first + 1, len(b.sites)) if len(b.sites) > first else (0, 0)
    b.emit(ir.Attempt(slot, body, at, b.holders_since(slots), sites))
    return ir.Var(slot)


def _unwrap(b: Builder, node: ast.Unwrap) -> ir.Expr:
    fused = effects.fused(b, node.value)
    return fused if fused is not None else ir.Opened(expr(b, node.value), b.span(node))


def _index(b: Builder, node: ast.Index) -> ir.Expr:
    projected = _is_projected(b, node)
    target, at = operands(b, [node.target, node.index], reading=projected)
    return ir.Reach(target, at, b.span(node), False) if projected else ir.At(target, at, b.span(node))


def _field(b: Builder, node: ast.Field) -> ir.Expr:
    if _is_projected(b, node):
        return ir.Reach(expr(b, node.target, reading=True), ir.Const(node.name), b.span(node), True)
    return ir.Read(expr(b, node.target), node.name, b.span(node))


def _written_out(value: Value) -> ir.Expr:
    """A constant with containers, made anew at each evaluation: what a frame brings back is no constant either, and
    what is shared must not depend on whether the program was ever parked.
    """
    match value:
        case dict():
            return ir.Fields(list(value), [_written_out(item) for item in value.values()])
        case list():
            return ir.Items([_written_out(item) for item in value])
        case _:
            return ir.Const(value)


def _host_value(b: Builder, node: ast.HostValue) -> ir.Expr:
    b.size_bytes += RECORD_COST + 2 * ENTRY_COST
    return ir.Fields(["$lash_host_value_type", "value"], [ir.Const(node.type_name), expr(b, node.argument)])


LOWER |= {
    ast.Null: lambda b, n: ir.Const(None),
    ast.Bool: lambda b, n: ir.Const(n.value),
    ast.Number: lambda b, n: ir.Const(n.value),
    ast.Text: lambda b, n: ir.Const(n.value),
    ast.Name: lambda b, n: b.read(n.name, b.span(n)),
    ast.ListLiteral: _list,
    ast.RecordLiteral: _record,
    ast.Comprehension: _comprehension,
    ast.TypeLiteral: _type,
    ast.Negate: _negate,
    ast.Not: lambda b, n: ir.Opposite(expr(b, n.value)),
    ast.Try: _try,
    ast.Chain: _chain,
    ast.Logic: _logic,
    ast.Ternary: _ternary,
    ast.Field: _field,
    ast.Index: _index,
    ast.Unwrap: _unwrap,
    ast.Call: _call,
    ast.Authority: lambda b, n: ir.Const(Resource(n.resource_type, n.path)),
    ast.ProcessValue: lambda b, n: _written_out(b.scope.process_value(n.name)),
    ast.HostValue: _host_value,
    ast.TriggerEvent: lambda b, n: _written_out({"$lash.trigger.event": True}),
}
