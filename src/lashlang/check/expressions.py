"""Linking rules of expressions without calls: names, literals, operators, reads.

Every function takes the checker and a node, and returns the node that takes its place with its type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lashlang.check.builtin_types import BUILTINS
from lashlang.check.calls import CALLS
from lashlang.check.effects import EFFECTS
from lashlang.check.narrowing import narrow
from lashlang.check.relations import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    LIST,
    NULL,
    STR,
    union,
    without_null,
    wrapper,
)
from lashlang.check.suggestions import hint_for_name
from lashlang.check.type_values import link_type_literal, type_value
from lashlang.syntax import (
    Authority,
    Bool,
    Chain,
    Comprehension,
    Entry,
    Expr,
    Field,
    ForClause,
    IfClause,
    Index,
    ListLiteral,
    Logic,
    Name,
    Negate,
    Node,
    Not,
    Null,
    Number,
    ProcessValue,
    RecordLiteral,
    Ternary,
    Text,
    Try,
    TypeAny,
    TypeEnum,
    TypeExpr,
    TypeField,
    TypeFloat,
    TypeInt,
    TypeList,
    TypeLiteral,
    TypeObject,
    TypeProcess,
    TypeRef,
    TypeStr,
    TypeTriggerHandle,
    Unwrap,
)

if TYPE_CHECKING:
    from lashlang.check.checker import Checker

Linked = tuple[Expr, TypeExpr]

_FOREIGN_LITERALS: Final = frozenset(("None", "nil", "undefined", "True", "False"))


# --- Literals and names -------------------------------------------------------------------------------


def _null(_checker: Checker, node: Null) -> Linked:
    return node, NULL


def _bool(_checker: Checker, node: Bool) -> Linked:
    return node, BOOL


def _number(_checker: Checker, node: Number) -> Linked:
    return node, INT if isinstance(node.value, int) else FLOAT


def _text(_checker: Checker, node: Text) -> Linked:
    return node, STR


def _name(checker: Checker, node: Name) -> Linked:
    name = node.name
    known = checker.scope.get(name)
    if known is not None:
        return node, known
    if checker.scope.place != "fn":
        if name in checker.process_decls:
            return ProcessValue(name, start=node.start, end=node.end), process_type(checker, name)
        module = checker.surface.modules.get(name)
        if module is not None:
            checker.needs.module(name)
            authority = Authority(name, module.resource_type, start=node.start, end=node.end)
            return authority, TypeRef(module.resource_type)
    if name in checker.types:
        return type_value(checker, node), ANY
    if name in checker.fn_decls:
        hint = f"call it: {name}(…)"
        checker.error("function_as_value", node, f"the function `{name}` is not a value", hint=hint)
        return node, ANY
    if checker.scope.place == "main":
        if name in _FOREIGN_LITERALS:
            message = f"`{name}` is an ordinary variable here, and nothing assigns it"
            checker.warning("foreign_literal", node, message, hint=hint_for_name(name, ()))
        return node, ANY
    return _unknown_name(checker, node)


def _unknown_name(checker: Checker, node: Name) -> Linked:
    name, place = node.name, checker.scope.place
    hint = hint_for_name(name, [*checker.scope.names(), *checker.process_decls, *checker.surface.modules])
    if place == "fn" and (name in checker.module_roots or name in checker.process_decls):
        hint = "a fn sees only its parameters"
    elif not hint and name in BUILTINS:
        hint = f"builtins are no values; call it: {name}({BUILTINS[name].params})"
    elif not hint:
        hint = "it sees only its own parameters and variables; pass the value in as a parameter"
    what = "function" if place == "fn" else "process"
    checker.error("unknown_name", node, f"nothing is called `{name}` inside this {what}", hint=hint)
    return node, ANY


def process_type(checker: Checker, name: str) -> TypeExpr:
    """The type of a process definition read as a value."""
    signature = checker.processes.get(name)
    if signature is None:
        return TypeProcess(ANY, ANY, len(checker.process_decls[name].params))
    params = signature.params
    if len(params) == 1:
        taken = params[0][1]
    else:
        taken = TypeObject(tuple(TypeField(param, ty) for param, ty in params)) if params else NULL
    return TypeProcess(taken, signature.output, len(params))


def _list(checker: Checker, node: ListLiteral) -> Linked:
    items, types = checker.exprs(node.items)
    ty = TypeList(union(types)) if types else LIST
    return (node if items is node.items else ListLiteral(items, start=node.start, end=node.end)), ty


def _record(checker: Checker, node: RecordLiteral) -> Linked:
    entries: list[Entry] = []
    fields: dict[str, TypeField] = {}
    changed = False
    for entry in node.entries:
        value, ty = checker.expr(entry.value)
        fields[entry.key] = TypeField(entry.key, ty)
        if value is not entry.value:
            changed = True
            entry = Entry(entry.key, value, start=entry.start, end=entry.end)
        entries.append(entry)
    linked = RecordLiteral(tuple(entries), start=node.start, end=node.end) if changed else node
    return linked, TypeObject(tuple(fields.values()))


def _comprehension(checker: Checker, node: Comprehension) -> Linked:
    scope = checker.scope
    scope.enter()
    clauses: list[ForClause | IfClause] = []
    for clause in node.clauses:
        match clause:
            case ForClause(name=name, iterable=iterable):
                linked, ty = checker.expr(iterable)
                scope.bind(name, checker.relations.item(ty))
                clauses.append(ForClause(name, linked, start=clause.start, end=clause.end))
            case IfClause(condition=condition):
                linked, ty = checker.expr(condition)
                check_condition(checker, condition, ty)
                narrow(checker, linked, truth=True)
                clauses.append(IfClause(linked, start=clause.start, end=clause.end))
    element, ty = checker.expr(node.element)
    scope.leave()
    return Comprehension(element, tuple(clauses), start=node.start, end=node.end), TypeList(ty)


def _type_literal(checker: Checker, node: TypeLiteral) -> Linked:
    return link_type_literal(checker, node), ANY


# --- Operators ----------------------------------------------------------------------------------------


def _negate(checker: Checker, node: Negate) -> Linked:
    value, ty = checker.expr(node.value)
    result = ty if isinstance(ty, TypeInt | TypeFloat) else ANY
    return (node if value is node.value else Negate(value, start=node.start, end=node.end)), result


def _not(checker: Checker, node: Not) -> Linked:
    value, ty = checker.expr(node.value)
    check_condition(checker, node.value, ty)
    return (node if value is node.value else Not(value, start=node.start, end=node.end)), BOOL


def _try(checker: Checker, node: Try) -> Linked:
    value, ty = checker.expr(node.value)
    return (node if value is node.value else Try(value, start=node.start, end=node.end)), wrapper(ty)


def _chain(checker: Checker, node: Chain) -> Linked:
    operands, types = checker.exprs(node.operands)
    linked = (
        node if operands is node.operands else Chain(operands, node.operators, start=node.start, end=node.end)
    )
    if node.operators[0] not in _ARITHMETIC:
        return linked, BOOL
    ty = types[0]
    for operator, right in zip(node.operators, types[1:], strict=True):
        ty = _arithmetic(operator, ty, right)
    return linked, ty


_ARITHMETIC: Final = frozenset("+-*/%")


def _arithmetic(operator: str, left: TypeExpr, right: TypeExpr) -> TypeExpr:
    if operator == "/":
        return FLOAT
    if operator == "+" and (isinstance(left, TypeStr | TypeEnum) or isinstance(right, TypeStr | TypeEnum)):
        return STR
    if isinstance(left, TypeInt | TypeFloat) and isinstance(right, TypeInt | TypeFloat):
        return INT if isinstance(left, TypeInt) and isinstance(right, TypeInt) else FLOAT
    if operator == "+" and isinstance(left, TypeList) and isinstance(right, TypeList):
        return TypeList(union((left.item, right.item)))
    return ANY


def _logic(checker: Checker, node: Logic) -> Linked:
    scope = checker.scope
    scope.enter()
    operands: list[Expr] = []
    types: list[TypeExpr] = []
    for operand in node.operands:
        linked, ty = checker.expr(operand)
        operands.append(linked)
        types.append(ty)
        if node.operator != "??":
            check_condition(checker, operand, ty)
            narrow(checker, linked, truth=node.operator == "and")
    scope.leave()
    unchanged = all(map(_same, operands, node.operands))
    made = node if unchanged else Logic(node.operator, tuple(operands), start=node.start, end=node.end)
    if node.operator != "??":
        return made, BOOL
    return made, union([without_null(ty) for ty in types[:-1]] + types[-1:])


def _same(left: object, right: object) -> bool:
    return left is right


def _ternary(checker: Checker, node: Ternary) -> Linked:
    scope = checker.scope
    condition, ty = checker.expr(node.condition)
    check_condition(checker, node.condition, ty)
    scope.enter()
    narrow(checker, condition, truth=True)
    then, then_type = checker.expr(node.then)
    scope.leave()
    scope.enter()
    narrow(checker, condition, truth=False)
    otherwise, otherwise_type = checker.expr(node.otherwise)
    scope.leave()
    linked = Ternary(condition, then, otherwise, start=node.start, end=node.end)
    return linked, union((then_type, otherwise_type))


def check_condition(checker: Checker, node: Node, ty: TypeExpr) -> None:
    """Warns about a condition that is always true because of its type."""
    match ty:
        case TypeList():
            hint = "test the number of items: not empty(xs)"
            checker.warning("always_true", node, "a list is true even when it is empty", hint=hint)
        case TypeObject() if ty.field("ok") is not None:
            hint = "test its `ok`: r.ok"
            checker.warning("always_true", node, "a wrapper record is true even when it failed", hint=hint)
        case TypeObject() | TypeProcess() | TypeTriggerHandle():
            hint = "test a field, or: not empty(record)"
            checker.warning("always_true", node, "a record is true even when it is empty", hint=hint)
        case _:
            pass


# --- Reads --------------------------------------------------------------------------------------------


def _field(checker: Checker, node: Field) -> Linked:
    path = checker.module_path(node)
    if path is not None:
        root, segments = path
        if segments[0] == "trigger" and segments[1] == "event":
            return _misplaced_event(checker, node, segments)
        authority = _authority(checker, root, segments, node)
        if authority is not None:
            return authority
    target, ty = checker.expr(node.target)
    if checker.is_opaque(ty):
        _opaque(checker, node, ty, f"the field `{node.name}`")
        return node, ANY
    result = checker.relations.field(ty, node.name)
    if isinstance(result, TypeAny):
        _warn_unknown_field(checker, node, ty)
    return (
        node if target is node.target else Field(target, node.name, start=node.start, end=node.end)
    ), result


def _authority(checker: Checker, root: Name, segments: list[str], node: Field) -> Linked | None:
    """The module instance that all of `segments` name, or None."""
    if segments[0] not in checker.module_roots or checker.is_local(root.name) or checker.scope.place == "fn":
        return None
    module = checker.surface.modules.get(".".join(segments))
    if module is None:
        return None
    checker.needs.module(module.path)
    authority = Authority(module.path, module.resource_type, start=node.start, end=node.end)
    return authority, TypeRef(module.resource_type)


def _misplaced_event(checker: Checker, node: Field, segments: list[str]) -> Linked:
    if len(segments) > 2:
        hint = "map the whole event and read its fields in the process: inputs: { event: trigger.event }"
        message = "`trigger.event` stands for a whole event; its fields cannot be read here"
        checker.error("trigger_event_projection", node, message, hint=hint)
    else:
        hint = "write it as a value of `inputs`: inputs: { event: trigger.event }"
        message = "`trigger.event` has a meaning only as a value of the `inputs` of triggers.register"
        checker.error("trigger_event_outside_inputs", node, message, hint=hint)
    return node, ANY


def _opaque(checker: Checker, node: Node, ty: TypeExpr, what: str) -> None:
    assert isinstance(ty, TypeRef)
    hint = "keep what you need in a variable of your own before you make the value"
    message = f"{what} of a `{ty.name}` cannot be read: the value is opaque"
    checker.error("opaque_host_value_access", node, message, hint=hint)


def _warn_unknown_field(checker: Checker, node: Field, ty: TypeExpr) -> None:
    known = checker.relations.structure(ty)
    if not isinstance(known, TypeObject) or known.field(node.name) is not None:
        return
    names = [field.name for field in known.fields]
    hint = hint_for_name(node.name, names)
    message = f"this record has no field `{node.name}`, so the read gives null"
    checker.warning("unknown_field", node, message, hint=hint)


def _index(checker: Checker, node: Index) -> Linked:
    target, ty = checker.expr(node.target)
    index, index_type = checker.expr(node.index)
    if checker.is_opaque(ty):
        _opaque(checker, node, ty, "the inside")
        return node, ANY
    if index_type == NULL:
        hint = "null counts as the index 0 of a list"
        checker.warning("null_index", node.index, "the index is null", hint=hint)
    if isinstance(node.index, Text):
        result = checker.relations.field(ty, node.index.value)
    else:
        result = checker.relations.item(ty)
    unchanged = target is node.target and index is node.index
    return (node if unchanged else Index(target, index, start=node.start, end=node.end)), result


def _unwrap(checker: Checker, node: Unwrap) -> Linked:
    value, ty = checker.expr(node.value)
    linked = node if value is node.value else Unwrap(value, start=node.start, end=node.end)
    return linked, checker.relations.unwrapped(ty)


EXPRESSIONS: Final[
    dict[type, Callable[[Checker, Any], Linked]]
] = {  # Any: each rule takes its own node class
    Null: _null,
    Bool: _bool,
    Number: _number,
    Text: _text,
    Name: _name,
    ListLiteral: _list,
    RecordLiteral: _record,
    Comprehension: _comprehension,
    TypeLiteral: _type_literal,
    Negate: _negate,
    Not: _not,
    Try: _try,
    Chain: _chain,
    Logic: _logic,
    Ternary: _ternary,
    Field: _field,
    Index: _index,
    Unwrap: _unwrap,
    **CALLS,
    **EFFECTS,
}
"""Node class to its rule."""
