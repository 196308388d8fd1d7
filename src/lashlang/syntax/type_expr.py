"""Type expressions: what a program writes after `:` and `->`, what a host says about its operations.

`TypeRun` alone is never written: it is the checker's type of a handle that `start` returned. Equality of
two type expressions includes offsets, so types that are compared are built without them (`without_offsets`).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import force_setattr

from lashlang.syntax.node import Node


class TypeNode(Node, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A type expression."""


class TypeStr(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="str"):
    """Text."""


class TypeInt(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="int"):
    """A whole number."""


class TypeFloat(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="float"):
    """Any number."""


class TypeBool(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="bool"):
    """True or false."""


class TypeDict(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="dict"):
    """A record of unknown fields."""


class TypeAny(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="any"):
    """No promise: consistent with every type, in both directions."""


class TypeNull(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="null"):
    """The value null."""


class TypeEnum(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="enum"):
    """One of a set of texts; a lone string in type position is an enum of one."""

    values: tuple[str, ...]

    def __post_init__(self) -> None:
        force_setattr(self, "values", tuple(self.values))


class TypeList(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="list"):
    """A list whose items all have one type."""

    item: TypeExpr


class TypeField(Node, frozen=True, omit_defaults=True, gc=False, tag="field"):
    """One field of an object type; `optional` means that it may be absent, not that it may be null."""

    name: str
    ty: TypeExpr
    optional: bool = False


class TypeObject(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="object"):
    """A record with known fields, in written order."""

    fields: tuple[TypeField, ...]

    def __post_init__(self) -> None:
        force_setattr(self, "fields", tuple(self.fields))

    def field(self, name: str) -> TypeField | None:
        """The field called `name`, or None."""
        return next((field for field in self.fields if field.name == name), None)


class TypeRef(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="ref"):
    """A name: a declared type, an authority type, a named data type, or (in `Type {…}`) a variable."""

    name: str


class TypeUnion(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="union"):
    """One of several types, flat, at least two."""

    options: tuple[TypeExpr, ...]

    def __post_init__(self) -> None:
        force_setattr(self, "options", tuple(self.options))


class TypeProcess(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="process"):
    """A process definition, as in `Process<In, Out>`; `inputs` counts its parameters (1 as written)."""

    input: TypeExpr
    output: TypeExpr
    inputs: int = 1


class TypeTriggerHandle(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="trigger_handle"):
    """The handle of a registered trigger whose events have type `event`."""

    event: TypeExpr


class TypeRun(TypeNode, frozen=True, omit_defaults=True, gc=False, tag="run"):
    """A running process: the name of its declaration and the type of its `finish` values."""

    process: str
    output: TypeExpr


TypeExpr = (
    TypeStr
    | TypeInt
    | TypeFloat
    | TypeBool
    | TypeDict
    | TypeAny
    | TypeNull
    | TypeEnum
    | TypeList
    | TypeObject
    | TypeRef
    | TypeUnion
    | TypeProcess
    | TypeTriggerHandle
    | TypeRun
)


def object_type(fields: Iterable[tuple[str, TypeExpr]]) -> TypeObject:
    """An object type with all of `fields` required."""
    return TypeObject(tuple(TypeField(name, ty) for name, ty in fields))
