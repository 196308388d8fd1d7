"""Linking rules of declarations: collected first, so that order does not matter, then linked in written
order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lashlang.check.builtin_types import BUILTINS
from lashlang.check.linked import FunctionSignature, ProcessSignature
from lashlang.check.relations import ANY, NULL, union
from lashlang.check.scope import Scope
from lashlang.check.statements import link_block
from lashlang.check.suggestions import hint_for_name
from lashlang.syntax import (
    Declaration,
    FnDecl,
    Param,
    ProcessDecl,
    TypeDecl,
    TypeExpr,
    TypeRef,
    format_type,
    walk,
    without_offsets,
)

if TYPE_CHECKING:
    from lashlang.check.checker import Checker


def collect(checker: Checker) -> None:
    """Learns every declaration of the program and checks names, parameters and the types that are written."""
    for decl in checker.program.items:
        match decl:
            case TypeDecl(name=name):
                if _fresh(checker, decl, name in checker.types, "type"):
                    checker.types[name] = without_offsets(decl.ty)
            case ProcessDecl(name=name):
                checker.require("processes", (decl.start, decl.start + len("process")))
                if _fresh(checker, decl, name in checker.process_decls, "process"):
                    checker.process_decls[name] = decl
            case FnDecl(name=name):
                if name in BUILTINS:
                    span = _name_span(decl)
                    hint = "choose another name"
                    checker.error("function_shadows_builtin", span, f"`{name}` is a builtin", hint=hint)
                if _fresh(checker, decl, name in checker.fn_decls, "fn"):
                    checker.fn_decls[name] = decl
    for item in checker.program.items:
        if isinstance(item, TypeDecl | ProcessDecl | FnDecl):
            _check_written_types(checker, item)
    for process in checker.process_decls.values():
        signals = None
        if process.signals is not None:
            signals = tuple((signal.name, without_offsets(signal.ty)) for signal in process.signals)
        output = _declared(process.returns)
        checker.processes[process.name] = ProcessSignature(
            process.name, _params(process.params), output, signals
        )
    for fn in checker.fn_decls.values():
        checker.functions[fn.name] = FunctionSignature(fn.name, _params(fn.params), _declared(fn.returns))


def link_declaration(checker: Checker, decl: Declaration) -> Declaration:
    """Links one declaration's body."""
    match decl:
        case TypeDecl():
            return decl
        case ProcessDecl():
            return _link_process(checker, decl)
        case FnDecl():
            return _link_function(checker, decl)


def _declared(ty: TypeExpr | None) -> TypeExpr:
    return ANY if ty is None else without_offsets(ty)


def _params(params: tuple[Param, ...]) -> tuple[tuple[str, TypeExpr], ...]:
    return tuple((param.name, _declared(param.ty)) for param in params)


def _name_span(decl: TypeDecl | ProcessDecl | FnDecl) -> tuple[int, int]:
    return (decl.name_at, decl.name_at + len(decl.name)) if decl.name_at >= 0 else decl.span


def _fresh(checker: Checker, decl: TypeDecl | ProcessDecl | FnDecl, known: bool, what: str) -> bool:
    if known:
        first = next(
            item for item in checker.program.items if isinstance(item, type(decl)) and item.name == decl.name
        )
        related = (("it is first declared here", _name_span(first)),)
        message = f"the {what} `{decl.name}` is declared twice"
        checker.error("duplicate_declaration", _name_span(decl), message, related=related)
    return not known


# --- Types as written ---------------------------------------------------------------------------------


def _check_written_types(checker: Checker, decl: TypeDecl | ProcessDecl | FnDecl) -> None:
    if isinstance(decl, TypeDecl):
        _check_type(checker, decl.ty)
        return
    seen: set[str] = set()
    is_process = isinstance(decl, ProcessDecl)
    for param in decl.params:
        if param.name in seen:
            code = "duplicate_process_param" if is_process else "duplicate_function_param"
            span = (param.start, param.start + len(param.name))
            checker.error(code, span, f"the parameter `{param.name}` is declared twice")
        seen.add(param.name)
        if param.ty is not None:
            _check_type(checker, param.ty)
    if decl.returns is not None:
        _check_type(checker, decl.returns)
    if isinstance(decl, ProcessDecl):
        for signal in decl.signals or ():
            _check_type(checker, signal.ty)


def _check_type(checker: Checker, ty: TypeExpr) -> None:
    """Reports names in `ty` that name no type, and records those that the host has to know."""
    surface = checker.surface
    for node in walk(ty):
        if not isinstance(node, TypeRef) or node.name in checker.types:
            continue
        if node.name in surface.resource_types:
            checker.needs.resource_type(node.name)
        elif node.name in surface.data_types:
            checker.needs.data_type(node.name)
        elif not surface.is_opaque(node.name):
            known = [*checker.types, *surface.resource_types, *surface.data_types]
            hint = _FOREIGN_TYPES.get(node.name) or hint_for_name(node.name, known)
            hint = hint or f"declare it: type {node.name.rpartition('.')[2]} = {{ … }}"
            checker.error("unknown_type", node, f"there is no type `{node.name}`", hint=hint)


_FOREIGN_TYPES = {
    "String": "write str",
    "Str": "write str",
    "text": "write str",
    "Int": "write int",
    "Integer": "write int",
    "Float": "write float",
    "Number": "write float",
    "double": "write float",
    "Bool": "write bool",
    "Boolean": "write bool",
    "Any": "write any",
    "unknown": "write any",
    "None": "write null",
    "void": "write null",
    "Dict": "write dict",
    "map": "write dict",
    "Map": "write dict",
    "record": "write dict",
    "Record": "write dict",
    "array": "write list[any]",
    "Array": "write list[any]",
    "List": "write list[any]",
}


# --- Bodies -------------------------------------------------------------------------------------------


def _link_process(checker: Checker, decl: ProcessDecl) -> ProcessDecl:
    outer, checker.scope = checker.scope, Scope("process")
    checker.process, checker.outputs = decl, []
    for name, ty in _params(decl.params):
        checker.scope.bind(name, ty)
    body, _ = link_block(checker, decl.body)
    if checker.scope.reachable:
        checker.outputs.append(NULL)
        _check_falling_off(checker, decl)
    output = union(checker.outputs) if checker.outputs else ANY
    checker.scope, checker.process = outer, None
    first = checker.process_decls.get(decl.name) is decl
    if first and decl.returns is None:
        known = checker.processes[decl.name]
        checker.processes[decl.name] = ProcessSignature(known.name, known.params, output, known.signals)
    return ProcessDecl(
        decl.name,
        decl.params,
        body,
        decl.returns,
        decl.signals,
        decl.label,
        decl.name_at,
        start=decl.start,
        end=decl.end,
    )


def _check_falling_off(checker: Checker, decl: ProcessDecl) -> None:
    if decl.returns is None:
        return
    declared = without_offsets(decl.returns)
    if checker.relations.assignable(NULL, declared):
        return
    wanted = format_type(declared)
    message = f"the process `{decl.name}` can end without `finish`, which gives null and not {wanted}"
    hint = f"finish on every path, or declare: -> {format_type(declared)} | null"
    related = (("the type is declared here", decl.returns.span),)
    checker.error(
        "incompatible_process_return", (decl.body.end - 1, decl.body.end), message, hint=hint, related=related
    )


def _link_function(checker: Checker, decl: FnDecl) -> FnDecl:
    outer, checker.scope = checker.scope, Scope("fn")
    for name, ty in _params(decl.params):
        checker.scope.bind(name, ty)
    body, ty = link_block(checker, decl.body)
    checker.scope = outer
    known = checker.functions[decl.name]
    if decl.returns is None:
        if checker.fn_decls.get(decl.name) is decl:
            checker.functions[decl.name] = FunctionSignature(known.name, known.params, ty)
    else:
        declared = without_offsets(decl.returns)
        if not checker.relations.assignable(ty, declared):
            want, have = format_type(declared), format_type(ty)
            message = f"the function `{decl.name}` gives {want}, but its last value is {have}"
            place = decl.body.statements[-1] if decl.body.statements else decl.body
            related = (("the type is declared here", decl.returns.span),)
            checker.error("incompatible_function_return", place, message, related=related)
    return FnDecl(decl.name, decl.params, body, decl.returns, decl.name_at, start=decl.start, end=decl.end)
