"""Linking rules of what reads into a value: fields, indexes, unwrapping; and module paths, which look like fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from lashlang.check.relations import ANY, NULL
from lashlang.check.suggestions import hint_for_name
from lashlang.syntax import (
    Authority,
    Expr,
    Field,
    Index,
    Name,
    Node,
    Text,
    TypeAny,
    TypeExpr,
    TypeObject,
    TypeRef,
    Unwrap,
)

if TYPE_CHECKING:
    from lashlang.check.checker import Checker

Linked = tuple[Expr, TypeExpr]


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


READS: Final[dict[type, Callable[[Checker, Any], Linked]]] = {  # Any: each rule takes its own node class
    Field: _field,
    Index: _index,
    Unwrap: _unwrap,
}
"""Node class to its rule, for reads."""
