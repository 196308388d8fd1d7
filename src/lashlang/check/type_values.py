"""Types that a program reads as values: `Type {…}` and the names of declared types.

A linked literal holds the schema itself: names of declared types and of the host's data types are replaced
by what they stand for. A name that is left is a variable that holds a Type value when the program runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lashlang.syntax import (
    Name,
    TypeExpr,
    TypeField,
    TypeList,
    TypeLiteral,
    TypeObject,
    TypeProcess,
    TypeRef,
    TypeTriggerHandle,
    TypeUnion,
)
from lashlang.syntax.limits import MAX_NESTING

if TYPE_CHECKING:
    from lashlang.check.checker import Checker
    from lashlang.check.findings import Span

_MAX_PARTS = 2_000


def link_type_literal(checker: Checker, node: TypeLiteral) -> TypeLiteral:
    """`Type {…}` with its names resolved."""
    ty = _Inliner(checker, node.span).inline(node.ty)
    return node if ty is node.ty else TypeLiteral(ty, start=node.start, end=node.end)


def type_value(checker: Checker, node: Name) -> TypeLiteral:
    """The name of a declared type as the value that it stands for."""
    ty = _Inliner(checker, node.span).inline(TypeRef(node.name, start=node.start, end=node.end))
    return TypeLiteral(ty, start=node.start, end=node.end)


class _Inliner:
    """Replaces names in one type, refusing what would never end or grow without bound."""

    def __init__(self, checker: Checker, place: Span) -> None:
        self._checker = checker
        self._place = place
        self._open: list[str] = []
        self._parts = 0
        self._depth = 0
        self._refused = False

    def inline(self, ty: TypeExpr) -> TypeExpr:
        self._parts += 1
        self._depth += 1
        inlined = self._inlined(ty)
        self._depth -= 1
        return inlined

    def _inlined(self, ty: TypeExpr) -> TypeExpr:
        match ty:
            case TypeRef():
                return self._reference(ty)
            case TypeList(item=item):
                new = self.inline(item)
                return ty if new is item else TypeList(new, start=ty.start, end=ty.end)
            case TypeObject(fields=fields):
                made = tuple([self._field(field) for field in fields])
                same = all(new is old for new, old in zip(made, fields, strict=True))
                return ty if same else TypeObject(made, start=ty.start, end=ty.end)
            case TypeUnion(options=options):
                return self._union(ty, tuple([self.inline(option) for option in options]))
            case TypeProcess(input=taken, output=output):
                return TypeProcess(
                    self.inline(taken), self.inline(output), ty.inputs, start=ty.start, end=ty.end
                )
            case TypeTriggerHandle(event=event):
                return TypeTriggerHandle(self.inline(event), start=ty.start, end=ty.end)
            case _:
                return ty

    def _union(self, ty: TypeUnion, options: tuple[TypeExpr, ...]) -> TypeExpr:
        if all(new is old for new, old in zip(options, ty.options, strict=True)):
            return ty
        flat: dict[TypeExpr, None] = {}
        for option in options:
            flat.update(dict.fromkeys(option.options if isinstance(option, TypeUnion) else (option,)))
        return TypeUnion(tuple(flat), start=ty.start, end=ty.end)

    def _field(self, field: TypeField) -> TypeField:
        ty = self.inline(field.ty)
        if ty is field.ty:
            return field
        return TypeField(field.name, ty, field.optional, start=field.start, end=field.end)

    def _reference(self, ref: TypeRef) -> TypeExpr:
        checker, name = self._checker, ref.name
        if checker.is_local(name):
            return ref
        declared = checker.types.get(name)
        if declared is None:
            data = checker.surface.data_types.get(name)
            if data is not None:
                checker.needs.data_type(name)
                return data
            return ref
        if name in self._open or self._parts > _MAX_PARTS or self._depth > MAX_NESTING:
            self._refuse(name)
            return ref
        self._open.append(name)
        inlined = self.inline(declared)
        self._open.pop()
        return inlined

    def _refuse(self, name: str) -> None:
        if self._refused:
            return
        self._refused = True
        if name in self._open:
            message = f"the type `{name}` contains itself, so it cannot be used as a value"
        else:
            message = f"the type `{name}` becomes too large when it is written out as a value"
        hint = "use `any` or `dict` where it repeats"
        self._checker.error("recursive_type_value", self._place, message, hint=hint)
