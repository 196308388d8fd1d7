"""What a variable's type becomes when something is assigned to a path into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lashlang.check.relations import ANY, DICT, union
from lashlang.syntax import FieldStep, IndexStep, Text, TypeExpr, TypeField, TypeList, TypeObject

if TYPE_CHECKING:
    from lashlang.check.checker import Checker


def written(
    checker: Checker, ty: TypeExpr, steps: tuple[FieldStep | IndexStep, ...], value: TypeExpr
) -> TypeExpr:
    """The type of a variable of type `ty` after `value` has been stored at the end of `steps`."""
    if not steps:
        return value
    ty = checker.relations.structure(ty)
    step, rest = steps[0], steps[1:]
    key = _constant_key(step)
    if isinstance(ty, TypeObject):
        return _written_field(checker, ty, key, rest, value) if key is not None else DICT
    if isinstance(ty, TypeList) and key is None:
        return TypeList(union((ty.item, written(checker, ty.item, rest, value))))
    return ty if ty == DICT else ANY


def _constant_key(step: FieldStep | IndexStep) -> str | None:
    if isinstance(step, FieldStep):
        return step.name
    return step.index.value if isinstance(step.index, Text) else None


def _written_field(
    checker: Checker,
    ty: TypeObject,
    key: str,
    rest: tuple[FieldStep | IndexStep, ...],
    value: TypeExpr,
) -> TypeObject:
    old = ty.field(key)
    new = TypeField(key, written(checker, old.ty if old is not None else ANY, rest, value))
    if old is None:
        return TypeObject((*ty.fields, new))
    return TypeObject(tuple(new if field.name == key else field for field in ty.fields))
