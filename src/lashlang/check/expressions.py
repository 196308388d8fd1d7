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
from lashlang.check.reads import READS
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
    ForClause,
    IfClause,
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
    **READS,
    **CALLS,
    **EFFECTS,
}
"""Node class to its rule."""
