"""Linking rules of what a program asks its host to do besides operations: await, start, sleep, signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lashlang.check.relations import ANY, NULL
from lashlang.check.suggestions import listed, nearest
from lashlang.syntax import (
    Argument,
    Await,
    Expr,
    OperationCall,
    ProcessDecl,
    SignalRun,
    Sleep,
    Start,
    TypeAny,
    TypeExpr,
    TypeRun,
    Unwrap,
    WaitSignal,
    format_type,
)

if TYPE_CHECKING:
    from lashlang.check.checker import Checker

Linked = tuple[Expr, TypeExpr]


def _await(checker: Checker, node: Await) -> Linked:
    checker.pure(node, "`await`")
    value, ty = checker.expr(node.value)
    linked = node if value is node.value else Await(value, start=node.start, end=node.end)
    if isinstance(value, Unwrap) and isinstance(value.value, OperationCall):
        return linked, ty  # one effect: call and unwrap
    return linked, checker.relations.awaited(ty)


def _start(checker: Checker, node: Start) -> Linked:
    checker.pure(node, "`start`")
    enabled = checker.require("processes", node)
    values, types = checker.exprs(tuple([arg.value for arg in node.args]))
    args = tuple(
        [
            arg if value is arg.value else Argument(arg.name, value, start=arg.start, end=arg.end)
            for arg, value in zip(node.args, values, strict=True)
        ]
    )
    linked = Start(node.process, args, node.name_at, start=node.start, end=node.end)
    decl = checker.process_decls.get(node.process)
    if decl is None:
        if enabled:
            _unknown_process(checker, node)
        return linked, ANY
    _check_arguments(checker, node, decl, types)
    signature = checker.processes.get(node.process)
    return linked, TypeRun(node.process, signature.output if signature is not None else ANY)


def _unknown_process(checker: Checker, node: Start) -> None:
    span = (node.name_at, node.name_at + len(node.process)) if node.name_at >= 0 else node.span
    close = nearest(node.process, checker.process_decls)
    hint = f"did you mean `{close}`?" if close else "a process must be declared in the block that starts it"
    checker.error("unknown_process", span, f"no process is called `{node.process}`", hint=hint)


def _check_arguments(checker: Checker, node: Start, decl: ProcessDecl, types: list[TypeExpr]) -> None:
    params = {param.name: param for param in decl.params}
    seen: set[str] = set()
    for arg, ty in zip(node.args, types, strict=True):
        span = (arg.start, arg.start + len(arg.name))
        if arg.name not in params:
            known = listed(params) or "no parameters"
            message = f"the process `{decl.name}` has no parameter `{arg.name}`"
            checker.error("unexpected_process_argument", span, message, hint=f"it has {known}")
        elif arg.name in seen:
            message = f"the argument `{arg.name}` is given twice"
            checker.error("duplicate_process_argument", span, message)
        else:
            _check_argument(checker, decl, arg, ty)
        seen.add(arg.name)
    missing = [name for name in params if name not in seen]
    if missing:
        wanted = ", ".join(f"{name}: …" for name in params)
        message = f"the process `{decl.name}` also needs {listed(missing)}"
        checker.error("missing_process_argument", node, message, hint=f"write: start {decl.name}({wanted})")


def _check_argument(checker: Checker, decl: ProcessDecl, arg: Argument, ty: TypeExpr) -> None:
    wanted = dict(checker.processes[decl.name].params)[arg.name] if decl.name in checker.processes else ANY
    authority = checker.authority_of(wanted)
    message = f"the parameter `{arg.name}` of `{decl.name}` is {format_type(wanted)}, not {format_type(ty)}"
    if authority is not None:
        if not isinstance(ty, TypeAny) and checker.authority_of(ty) != authority:
            paths = [
                path for path, module in checker.surface.modules.items() if module.resource_type == authority
            ]
            hint = f"pass a module: {listed(paths)}"
            checker.error("incompatible_process_argument", arg.value, message, hint=hint)
    elif not checker.relations.assignable(ty, wanted):
        hint = "parameter types are not enforced when the program runs"
        checker.warning("process_argument_type", arg.value, message, hint=hint)


def _sleep(checker: Checker, node: Sleep) -> Linked:
    checker.pure(node, "`sleep`")
    checker.require("sleep", node)
    value, _ = checker.expr(node.value)
    return (node if value is node.value else Sleep(node.mode, value, start=node.start, end=node.end)), NULL


def _wait_signal(checker: Checker, node: WaitSignal) -> Linked:
    if not checker.pure(node, "waiting for a signal"):
        return node, ANY
    if not checker.require("process_signals", node):
        return node, ANY
    if checker.process is None:
        message = "only a process can wait for a signal"
        hint = "declare a process that waits, start it, and await its handle"
        checker.error("process_lifecycle_outside_process", node, message, hint=hint)
        return node, ANY
    if node.signal is None or checker.process.name not in checker.processes:
        return node, ANY
    signals = checker.processes[checker.process.name].signals
    if signals is None:
        return node, ANY
    declared = dict(signals).get(node.signal)
    if declared is None:
        _unknown_signal(checker, node, checker.process.name, node.signal, dict(signals))
        return node, ANY
    return node, declared


def _signal_run(checker: Checker, node: SignalRun) -> Linked:
    checker.pure(node, "sending a signal")
    checker.require("process_signals", node)
    run, run_type = checker.expr(node.run)
    payload, ty = checker.expr(node.payload)
    linked = SignalRun(run, payload, node.signal, start=node.start, end=node.end)
    known = isinstance(run_type, TypeRun) and run_type.process in checker.processes
    if node.signal is None or not known or not isinstance(run_type, TypeRun):
        return linked, NULL
    signals = checker.processes[run_type.process].signals
    if signals is None:
        return linked, NULL
    declared = dict(signals).get(node.signal)
    if declared is None:
        _unknown_signal(checker, node, run_type.process, node.signal, dict(signals))
    elif not checker.relations.assignable(ty, declared):
        message = f"the signal `{node.signal}` carries {format_type(declared)}, not {format_type(ty)}"
        checker.error("incompatible_signal_payload", node.payload, message)
    return linked, NULL


def _unknown_signal(
    checker: Checker, node: WaitSignal | SignalRun, process: str, signal: str, known: dict[str, TypeExpr]
) -> None:
    hint = f"it declares {listed(known)}" if known else "its `signals {}` declares none"
    message = f"the process `{process}` declares no signal `{signal}`"
    checker.error("unknown_signal", node, message, hint=hint)


EFFECTS: Final[dict[type, Callable[[Checker, Any], Linked]]] = {  # Any: each rule takes its own node class
    Await: _await,
    Start: _start,
    Sleep: _sleep,
    WaitSignal: _wait_signal,
    SignalRun: _signal_run,
}
"""Node class to its rule, for effects."""
