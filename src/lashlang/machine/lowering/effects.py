"""Lowering what reaches the host: every effect becomes a `Perform` statement, its arguments evaluated before it."""

from __future__ import annotations

from collections.abc import Sequence

from lashlang.machine import ir
from lashlang.machine.lowering.builder import Builder
from lashlang.machine.lowering.dispatch import LOWER, expr, operands
from lashlang.machine.sizes import ENTRY_COST, RECORD_COST
from lashlang.machine.values import Resource
from lashlang.syntax import ast


def _perform(b: Builder, kind: ir.EffectKind, args: Sequence[ast.Expr], at: int, **facts: object) -> ir.Var:
    values = operands(b, args)
    b.size_bytes += RECORD_COST + 2 * ENTRY_COST
    b.site(kind, at, **facts)
    slot = b.temporary()
    b.emit(ir.Perform(len(b.sites), values, slot, at))
    return ir.Var(slot)


def operation(b: Builder, node: ast.OperationCall, *, fused: bool) -> ir.Expr:
    """`module.operation(args)`, with `?` fused into it or not."""
    receiver = _authority(node.receiver)
    return _perform(
        b,
        "operation",
        node.args if receiver is not None else [node.receiver, *node.args],
        b.span(node),
        receiver=receiver,
        name=node.operation,
        host_operation=node.host_operation,
        resource_type=node.resource_type,
        fused=fused,
    )


def awaiting(b: Builder, node: ast.Await) -> ir.Expr:
    """`await value`: an operation call needs none, a literal with calls in it is one joint effect."""
    match node.value:
        case ast.OperationCall() | ast.Unwrap(ast.OperationCall()):
            return expr(b, node.value)
        case ast.ListLiteral() | ast.RecordLiteral() if _has_members(node.value):
            return _join(b, node.value, b.span(node))
        case _:
            return _perform(b, "await", [node.value], b.span(node))


def fused(b: Builder, node: ast.Expr) -> ir.Expr | None:
    """The value of `node?` where the unwrapping belongs to the effect itself, else None."""
    match node:
        case ast.OperationCall() | ast.Await(ast.OperationCall()):
            call = node if isinstance(node, ast.OperationCall) else node.value
            return operation(b, call, fused=True)  # type: ignore[arg-type]  # as matched
        case ast.Await(ast.ListLiteral() | ast.RecordLiteral()):
            return None
        case ast.Await():
            return _perform(b, "await", [node.value], b.span(node), fused=True)
        case _:
            return None


def _call_of(node: ast.Expr) -> tuple[ast.OperationCall, bool] | None:
    """The operation call that `node` is, and whether its failure aborts."""
    match node:
        case ast.OperationCall():
            return node, False
        case ast.Unwrap(ast.OperationCall() as call):
            return call, True
        case _:
            return None


def _has_members(node: ast.Expr) -> bool:
    match node:
        case ast.ListLiteral():
            return any(_has_members(item) for item in node.items)
        case ast.RecordLiteral():
            return any(_has_members(entry.value) for entry in node.entries)
        case _:
            return _call_of(node) is not None


def _join(b: Builder, node: ast.Expr, at: int) -> ir.Expr:
    """`await [a.op(), h, …]` or `await {k: a.op(), …}`: all arguments first, then one effect."""
    args: list[ast.Expr] = []
    shape = _shape(node, args)
    return _perform(b, "join", args, at, shape=shape)


def _shape(node: ast.Expr, args: list[ast.Expr]) -> object:
    match node:
        case ast.ListLiteral():
            return [_shape(item, args) for item in node.items]
        case ast.RecordLiteral():
            return {entry.key: _shape(entry.value, args) for entry in node.entries}
    found = _call_of(node)
    first = len(args)
    if found is None:
        args.append(node)
        return first
    call, aborts = found
    receiver = _authority(call.receiver)
    if receiver is None:
        args.append(call.receiver)
    own = len(args)
    args += call.args
    numbers = tuple(range(own, len(args)))
    to = first if receiver is None else receiver
    return ir.Member(call.operation, call.host_operation, call.resource_type, to, numbers, aborts)


def _authority(node: ast.Expr) -> Resource | None:
    """The authority that `node` names, if it is one by its spelling."""
    return Resource(node.resource_type, node.path) if isinstance(node, ast.Authority) else None


def start(b: Builder, node: ast.Start) -> ir.Expr:
    """`start process(name: value)`."""
    keys = tuple(argument.name for argument in node.args)
    values = [argument.value for argument in node.args]
    return _perform(b, "start", values, b.span(node), name=node.process, keys=keys)


def sleep(b: Builder, node: ast.Sleep) -> ir.Expr:
    """`sleep for value`, `sleep until value`."""
    return _perform(b, "sleep", [node.value], b.span(node), name=node.mode)


def wait_signal(b: Builder, node: ast.WaitSignal) -> ir.Expr:
    """`wait signal`, `wait_signal("name")`."""
    return _perform(b, "wait_signal", [], b.span(node), name=node.signal or "")


def signal_run(b: Builder, node: ast.SignalRun) -> ir.Expr:
    """`signal run run with payload`, `signal_run(run, "name", payload)`."""
    return _perform(b, "signal_run", [node.run, node.payload], b.span(node), name=node.signal or "")


def cancel(b: Builder, node: ast.Cancel) -> None:
    """`cancel handle`."""
    _perform(b, "cancel", [node.handle], b.span(node))


def event(b: Builder, node: ast.Yield | ast.Wake) -> None:
    """`yield value`, `wake value`."""
    name = "yield" if isinstance(node, ast.Yield) else "wake"
    _perform(b, "event", [node.value], b.span(node), name=name)


LOWER |= {
    ast.Await: awaiting,
    ast.Start: start,
    ast.Sleep: sleep,
    ast.WaitSignal: wait_signal,
    ast.SignalRun: signal_run,
    ast.OperationCall: lambda b, node: operation(b, node, fused=False),
}
