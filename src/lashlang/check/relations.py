"""How types relate: unions, assignability, what a field, an index, an `await`, a `?` of a type is.

Typing is gradual: `any` is consistent with everything in both directions, so only a mismatch between two
known types is ever reported. Types here carry no offsets, and are bounded in size (`bounded`), because a
variable's type can otherwise double with every assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from lashlang.syntax import (
    TypeAny,
    TypeBool,
    TypeDict,
    TypeEnum,
    TypeExpr,
    TypeField,
    TypeFloat,
    TypeInt,
    TypeList,
    TypeNull,
    TypeObject,
    TypeProcess,
    TypeRef,
    TypeRun,
    TypeStr,
    TypeTriggerHandle,
    TypeUnion,
)

ANY: Final = TypeAny()
STR: Final = TypeStr()
INT: Final = TypeInt()
FLOAT: Final = TypeFloat()
BOOL: Final = TypeBool()
NULL: Final = TypeNull()
DICT: Final = TypeDict()
LIST: Final = TypeList(ANY)

_MAX_OPTIONS: Final = 12
_MAX_SIZE: Final = 100
_MAX_COMPARED: Final = 80

Unfold = Callable[[TypeRef], TypeExpr | None]
"""What a name stands for: its declaration or data type, or None for an authority or opaque type."""


def union(options: Iterable[TypeExpr]) -> TypeExpr:
    """The type of a value that has one of `options`: flat, without repeats, `any` when one is or when too
    many.
    """
    found: dict[TypeExpr, None] = {}
    for option in options:
        for part in option.options if isinstance(option, TypeUnion) else (option,):
            if isinstance(part, TypeAny):
                return ANY
            found[part] = None
    if len(found) == 1:
        return next(iter(found))
    if not found or len(found) > _MAX_OPTIONS:
        return ANY
    return TypeUnion(tuple(found))


def without_null(ty: TypeExpr) -> TypeExpr:
    """`ty` of a value that is known not to be null."""
    if not isinstance(ty, TypeUnion):
        return ANY if isinstance(ty, TypeNull) else ty
    return union(option for option in ty.options if not isinstance(option, TypeNull))


def wrapper(value: TypeExpr) -> TypeObject:
    """What an operation or an awaited handle gives: `{ok, value}` or `{ok, error}`."""
    fields = (TypeField("ok", BOOL), TypeField("value", value, True), TypeField("error", ANY, True))
    return TypeObject(fields)


ANY_WRAPPER: Final = wrapper(ANY)


def bounded(ty: TypeExpr) -> TypeExpr:
    """`ty`, or a rougher type when it has grown too large to be useful."""
    if not isinstance(ty, TypeList | TypeObject | TypeUnion | TypeProcess | TypeRun):
        return ty
    if _size(ty, _MAX_SIZE) > 0:
        return ty
    match ty:
        case TypeList():
            return LIST
        case TypeObject():
            return DICT
        case _:
            return ANY


def _size(ty: TypeExpr, budget: int) -> int:
    """What is left of `budget` after counting the parts of `ty`; not positive when it is not enough."""
    budget -= 1
    parts: Iterable[TypeExpr]
    match ty:
        case TypeList(item=item) | TypeRun(output=item) | TypeTriggerHandle(event=item):
            parts = (item,)
        case TypeObject(fields=fields):
            parts = [field.ty for field in fields]
        case TypeUnion(options=options):
            parts = options
        case TypeProcess(input=taken, output=output):
            parts = (taken, output)
        case _:
            return budget
    for part in parts:
        if budget <= 0:
            return budget
        budget = _size(part, budget)
    return budget


class Relations:
    """Assignability and member types, given what names stand for."""

    def __init__(self, unfold: Unfold) -> None:
        self._unfold = unfold
        self._assuming: set[tuple[TypeExpr, TypeExpr]] = set()
        self._depth = 0

    def structure(self, ty: TypeExpr) -> TypeExpr:
        """`ty` with names looked up until something else than a known name stands there."""
        seen: set[str] = set()
        while isinstance(ty, TypeRef) and ty.name not in seen:
            seen.add(ty.name)
            inner = self._unfold(ty)
            if inner is None:
                return ty
            ty = inner
        return ANY if isinstance(ty, TypeRef) else ty

    def assignable(self, source: TypeExpr, target: TypeExpr) -> bool:
        """Whether a `source` may stand where a `target` is wanted; false only for a definite mismatch."""
        if self._depth >= _MAX_COMPARED:
            return True  # so deep down no difference is definite
        self._depth += 1
        fits = self._fits(source, target)
        self._depth -= 1
        if not self._depth:
            self._assuming.clear()
        return fits

    def _fits(self, source: TypeExpr, target: TypeExpr) -> bool:
        if isinstance(target, TypeAny) or isinstance(source, TypeAny) or source == target:
            return True
        if isinstance(source, TypeRef) or isinstance(target, TypeRef):
            return self._assignable_names(source, target)
        if isinstance(source, TypeUnion):
            return all(self.assignable(option, target) for option in source.options)
        if isinstance(target, TypeUnion):
            return any(self.assignable(source, option) for option in target.options)
        return self._assignable_structures(source, target)

    def _assignable_names(self, source: TypeExpr, target: TypeExpr) -> bool:
        pair = (source, target)
        if pair in self._assuming:
            return True  # a recursive type: equal unless something else shows a difference
        left, right = self.structure(source), self.structure(target)
        if left == source and right == target:
            if isinstance(target, TypeUnion):
                return any(self.assignable(source, option) for option in target.options)
            if isinstance(source, TypeUnion):
                return all(self.assignable(option, target) for option in source.options)
            return False
        self._assuming.add(pair)
        fits = self.assignable(left, right)
        if not fits:
            self._assuming.discard(pair)
        return fits

    def _assignable_structures(self, source: TypeExpr, target: TypeExpr) -> bool:
        match source, target:
            case TypeInt(), TypeFloat():
                return True
            case TypeEnum(), TypeStr():
                return True
            case TypeEnum(values=have), TypeEnum(values=want):
                return set(have) <= set(want)
            case TypeList(item=have), TypeList(item=want):
                return self.assignable(have, want)
            case ((TypeObject() | TypeRun() | TypeTriggerHandle() | TypeProcess()), TypeDict()):
                return True
            case TypeDict(), TypeObject():
                return True
            case TypeObject(), TypeObject(fields=wanted):
                return all(self._field_fits(source.field(field.name), field) for field in wanted)
            case TypeProcess(), TypeProcess():
                same = source.inputs == target.inputs
                return (
                    same
                    and self.assignable(source.input, target.input)
                    and self.assignable(source.output, target.output)
                )
            case TypeTriggerHandle(event=have), TypeTriggerHandle(event=want):
                return self.assignable(have, want)
            case _:
                return False

    def _field_fits(self, have: TypeField | None, want: TypeField) -> bool:
        if have is None:
            return want.optional
        if have.optional and not want.optional:
            return False
        return self.assignable(have.ty, want.ty)

    def field(self, ty: TypeExpr, name: str) -> TypeExpr:
        """The type of `.name`; `any` where nothing is known."""
        ty = self.structure(ty)
        match ty:
            case TypeObject():
                field = ty.field(name)
                return field.ty if field is not None else ANY
            case TypeUnion(options=options):
                return union(
                    self.field(option, name) for option in options if not isinstance(option, TypeNull)
                )
            case _:
                return ANY

    def item(self, ty: TypeExpr) -> TypeExpr:
        """The type of `[i]` and of what a loop over `ty` binds."""
        ty = self.structure(ty)
        match ty:
            case TypeList(item=item):
                return item
            case TypeUnion(options=options):
                return union(self.item(option) for option in options if not isinstance(option, TypeNull))
            case _:
                return ANY

    def awaited(self, ty: TypeExpr) -> TypeExpr:
        """The type of `await` over a value of type `ty`: handles become wrappers, containers are joined."""
        ty = self.structure(ty)
        match ty:
            case TypeRun(output=output):
                return wrapper(output)
            case TypeList(item=item):
                return TypeList(self.awaited(item))
            case TypeObject(fields=fields) if ty.field("ok") is None:
                if ty.field("handle") or ty.field("__handle__"):
                    return ANY_WRAPPER
                joined = [TypeField(field.name, self.awaited(field.ty), field.optional) for field in fields]
                return TypeObject(tuple(joined))
            case TypeObject():
                return ty
            case TypeUnion(options=options):
                return union(self.awaited(option) for option in options)
            case _:
                return ANY

    def unwrapped(self, ty: TypeExpr) -> TypeExpr:
        """The type of `value?`."""
        ty = self.structure(ty)
        match ty:
            case TypeObject() if ty.field("ok") is not None:
                return self.field(ty, "value")
            case TypeUnion(options=options):
                return union(self.unwrapped(option) for option in options)
            case _:
                return ANY
