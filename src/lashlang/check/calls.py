"""Linking rules of calls: builtins, functions, host operations, value constructors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lashlang.check.builtin_types import BUILTINS
from lashlang.check.registrations import TRIGGER_OPERATIONS
from lashlang.check.relations import ANY, ANY_WRAPPER, NULL, union, wrapper
from lashlang.check.suggestions import hint_for_function, hint_for_method, listed, nearest
from lashlang.syntax import (
    Authority,
    Call,
    Expr,
    HostValue,
    MethodCall,
    OperationCall,
    RecordLiteral,
    TypeExpr,
    TypeList,
    TypeObject,
    format_type,
)

if TYPE_CHECKING:
    from lashlang.check.checker import Checker
    from lashlang.check.findings import Span

Linked = tuple[Expr, TypeExpr]


# --- Builtins and functions ---------------------------------------------------------------------------


def _call(checker: Checker, node: Call) -> Linked:
    args, types = checker.exprs(node.args)
    linked = node if args is node.args else Call(node.name, args, start=node.start, end=node.end)
    name = node.name
    if name in checker.fn_decls:
        return linked, _function(checker, node, types)
    builtin = BUILTINS.get(name)
    if builtin is None:
        _unknown_function(checker, node)
        return linked, ANY
    if len(args) < builtin.fewest or (builtin.most is not None and len(args) > builtin.most):
        message = f"`{name}` is called with {_count(len(args))}"
        checker.warning("builtin_arity", node, message, hint=f"write: {name}({builtin.params})")
    return linked, builtin.result(types)


def _function(checker: Checker, node: Call, types: list[TypeExpr]) -> TypeExpr:
    decl = checker.fn_decls[node.name]
    signature = checker.functions.get(node.name)
    if len(types) != len(decl.params):
        wanted = ", ".join(param.name for param in decl.params)
        message = f"`{node.name}` takes {_count(len(decl.params))}, not {len(types)}"
        checker.error("function_arity", node, message, hint=f"write: {node.name}({wanted})")
    elif signature is not None:
        for (param, wanted_type), ty, arg in zip(signature.params, types, node.args, strict=True):
            if not checker.relations.assignable(ty, wanted_type):
                want, have = format_type(wanted_type), format_type(ty)
                message = f"the parameter `{param}` of `{node.name}` is {want}, not {have}"
                checker.error("incompatible_function_argument", arg, message)
    return signature.output if signature is not None else ANY


def _unknown_function(checker: Checker, node: Call) -> None:
    name = node.name
    span = (node.start, node.start + len(name))
    operations = [
        f"{path}.{local}"
        for path, module in checker.surface.modules.items()
        for local, target in module.operations.items()
        if name in (local, target)
    ]
    if operations:
        message = f"`{name}` is an operation of the host, not a function"
        checker.error("bare_tool_call", span, message, hint=f"write: await {operations[0]}({{ … }})?")
        return
    if name in checker.process_decls:
        hint = f"start it: start {name}(…)"
        checker.error("unknown_builtin", span, f"`{name}` is a process, not a function", hint=hint)
        return
    hint = hint_for_function(name, [*checker.fn_decls, *BUILTINS])
    checker.error("unknown_builtin", span, f"there is no function `{name}`", hint=hint)


# --- Operations and constructors ----------------------------------------------------------------------


def _method(checker: Checker, node: MethodCall) -> Linked:
    path = checker.module_path(node.receiver)
    if path is not None and not checker.is_local(path[0].name):
        made = _constructor(checker, node, [*path[1], node.operation])
        if made is not None:
            return made
    if not checker.pure(node, "calling a host operation"):
        checker.exprs(node.args)
        return node, ANY
    receiver, ty = _receiver(checker, node, path)
    authority = checker.authority_of(ty)
    if authority is None:
        checker.exprs(node.args)
        if receiver is not None:
            _no_receiver(checker, node, path)
        return node, ANY
    assert receiver is not None
    return _operation(checker, node, receiver, authority)


def _receiver(
    checker: Checker, node: MethodCall, path: tuple[Expr, list[str]] | None
) -> tuple[Expr | None, TypeExpr]:
    """The linked receiver; None when linking it has reported an error that explains everything."""
    unbound = path is not None and not checker.is_local(path[1][0])
    if unbound and path is not None and path[1][0] != "trigger":
        known = path[1][0] in checker.module_roots or path[1][0] in checker.process_decls
        if not known and checker.scope.place != "main":
            _no_receiver(checker, node, path)
            return None, ANY
    before = checker.errors.count()
    receiver, ty = checker.expr(node.receiver)
    if checker.errors.count() > before:
        return None, ANY
    return receiver, ty


def _no_receiver(checker: Checker, node: MethodCall, path: tuple[Expr, list[str]] | None) -> None:
    """Reports a receiver that is no module authority."""
    surface, operation = checker.surface, node.operation
    if path is None:
        hint = hint_for_method(operation, BUILTINS)
        message = f"`.{operation}(…)` needs a module in front of it, not a value"
        checker.error("unresolved_receiver", node.receiver, message, hint=hint)
        return
    dotted = ".".join(path[1])
    if checker.is_local(path[1][0]):
        hint = hint_for_method(operation, BUILTINS)
        if path[1][0] in checker.module_roots:
            hint = f"the variable `{path[1][0]}` hides the module of that name; rename the variable"
        checker.error("unresolved_receiver", node.receiver, f"`{dotted}` is a value, not a module", hint=hint)
        return
    below = [name for name in surface.modules if name.startswith(dotted + ".")]
    offering = [f"{name}.{operation}" for name in below if operation in surface.modules[name].operations]
    if offering:
        message = f"`{dotted}` is not a module, only the beginning of one"
        hint = f"write one of: {listed(offering)}"
        checker.error("ambiguous_module_operation", node.receiver, message, hint=hint)
        return
    hint = _module_hint(checker, dotted, operation)
    checker.error("unresolved_receiver", node.receiver, f"there is no module `{dotted}`", hint=hint)


def _module_hint(checker: Checker, dotted: str, operation: str) -> str:
    modules = checker.surface.modules
    offering = [f"{path}.{operation}" for path, module in modules.items() if operation in module.operations]
    if len(offering) == 1:
        return f"did you mean `{offering[0]}`?"
    close = nearest(dotted, modules)
    if close is not None:
        return f"did you mean `{close}`?"
    method = hint_for_method(operation, BUILTINS)
    if method:
        return method
    return f"modules here: {listed(modules)}" if modules else "this host offers no modules"


def _operation(checker: Checker, node: MethodCall, receiver: Expr, authority: str) -> Linked:
    operations = checker.surface.resource_types[authority]
    typed = operations.get(node.operation)
    host: str | None = None
    name = f"{authority}.{node.operation}"
    if isinstance(receiver, Authority):
        host = checker.surface.modules[receiver.path].operations.get(node.operation)
        name = f"{receiver.path}.{node.operation}"
        if host is None:
            typed = None
            operations = {
                known: operations[known] for known in checker.surface.modules[receiver.path].operations
            }
    if typed is None:
        close = nearest(node.operation, operations)
        hint = f"did you mean `{close}`?" if close else f"it has {listed(operations) or 'no operations'}"
        span = (node.name_at, node.name_at + len(node.operation)) if node.name_at >= 0 else node.span
        what = receiver.path if isinstance(receiver, Authority) else authority
        message = f"`{what}` has no operation `{node.operation}`"
        checker.error("unknown_resource_operation", span, message, hint=hint)
        checker.exprs(node.args)
        return node, ANY
    special = TRIGGER_OPERATIONS.get(host or "")
    if special is not None:
        args, output = special(checker, node)
    else:
        args, types = checker.exprs(node.args)
        _check_input(checker, node, name, types, typed.input)
        output = typed.output
    if isinstance(receiver, Authority):
        checker.needs.module(receiver.path, node.operation)
    else:
        checker.needs.resource_type(authority, node.operation)
    linked = OperationCall(
        receiver, node.operation, args, authority, host, node.name_at, start=node.start, end=node.end
    )
    return linked, ANY_WRAPPER if output == ANY else wrapper(output)


def _check_input(
    checker: Checker, node: MethodCall, name: str, types: list[TypeExpr], wanted: TypeExpr
) -> None:
    if wanted == ANY:
        return
    given = types[0] if len(types) == 1 else TypeList(union(types)) if types else NULL
    if checker.relations.assignable(given, wanted):
        return
    arg = node.args[0] if len(node.args) == 1 else None
    span, reason = _mismatch(checker, node if arg is None else arg, given, wanted)
    if not types:
        reason = "there is none"
    hint = f"it takes {format_type(wanted)}"
    message = f"`{name}` cannot take this argument: {reason}"
    checker.error("incompatible_operation_input", span, message, hint=hint)


def _mismatch(checker: Checker, arg: Expr, given: TypeExpr, wanted: TypeExpr) -> tuple[Span, str]:
    """The smallest part of `arg` that does not fit, and why."""
    target = checker.relations.structure(wanted)
    if isinstance(arg, RecordLiteral) and isinstance(target, TypeObject) and isinstance(given, TypeObject):
        for field in target.fields:
            have = given.field(field.name)
            if have is None:
                if not field.optional:
                    return arg.span, f"the field `{field.name}` is missing"
            elif not checker.relations.assignable(have.ty, field.ty):
                entry = next(entry for entry in reversed(arg.entries) if entry.key == field.name)
                span, reason = _mismatch(checker, entry.value, have.ty, field.ty)
                return span, reason if reason[0] == "t" else f"`{field.name}` {reason}"
    return arg.span, f"is {format_type(given)} where {format_type(wanted)} is wanted"


def _constructor(checker: Checker, node: MethodCall, segments: list[str]) -> Linked | None:
    if segments[0] not in checker.constructor_roots:
        return None
    path = ".".join(segments)
    made = checker.surface.constructors.get(path)
    if made is None:
        return None
    checker.needs.constructor(path)
    args, types = checker.exprs(node.args)
    if len(args) != 1:
        message = f"`{path}` takes one argument, not {len(args)}"
        hint = f"write: {path}({format_type(made.input)})"
        checker.error("incompatible_constructor_input", node, message, hint=hint)
        return node, made.output
    if not checker.relations.assignable(types[0], made.input):
        span, reason = _mismatch(checker, node.args[0], types[0], made.input)
        hint = f"it takes {format_type(made.input)}"
        message = f"`{path}` cannot take this argument: {reason}"
        checker.error("incompatible_constructor_input", span, message, hint=hint)
    return HostValue(path, made.type_name, args[0], start=node.start, end=node.end), made.output


def _count(number: int) -> str:
    return "no arguments" if number == 0 else "1 argument" if number == 1 else f"{number} arguments"


CALLS: Final[dict[type, Callable[[Checker, Any], Linked]]] = {  # Any: each rule takes its own node class
    Call: _call,
    MethodCall: _method,
}
"""Node class to its rule, for calls."""
