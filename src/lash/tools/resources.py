"""Live objects for tools (a pool, a client), found by type and never persisted.

They are looked up when the runtime opens, so that a missing one stops the start and not a turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

from lash.errors import LashError

T = TypeVar("T")


class ResourceMark:
    """What `Resource[T]` leaves in an annotation."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Resource"


RESOURCE = ResourceMark()

Resource: TypeAlias = Annotated[T, RESOURCE]
"""`db: Resource[Pool]` is a `Pool` to the type checker, and to lash a live object that no model fills in."""


class Resources:
    """Live objects by the type that tools ask for.

    Args:
        given: A mapping from type to object (the type may be a base class, a Protocol or a `NewType`,
            whatever tools name in their annotations), or objects, each under its own class.

    Raises:
        LashError: `resource_ambiguous` when two objects of a list share a class.
    """

    __slots__ = ("_by_type",)

    def __init__(self, given: Mapping[Any, object] | Iterable[object] = ()) -> None:  # keys are any type form
        self._by_type: dict[Any, object] = {}
        if isinstance(given, Mapping):
            self._by_type.update(given)
            return
        for item in given:
            kind = type(item)
            if kind in self._by_type:
                raise _ambiguous(kind, [kind, kind])
            self._by_type[kind] = item

    def get(self, kind: type[T]) -> T:
        """Return the object for a type: the one given under exactly that type, or the only one of a subclass.

        Raises:
            LashError: `resource_missing`, `resource_ambiguous`.
        """
        if kind in self._by_type:
            return self._by_type[kind]  # type: ignore[return-value]  # what the caller gave for that type
        fitting = [key for key in self._by_type if _is_subclass(key, kind)]
        if len(fitting) > 1:
            raise _ambiguous(kind, fitting)
        if not fitting:
            name = type_name(kind)
            raise LashError(
                "resource_missing",
                f"no {name} was given: pass it as lash.open(…, resources={{{name}: …}})",
                type=name,
            )
        return self._by_type[fitting[0]]  # type: ignore[return-value]  # an object of a subclass of `kind`

    def __contains__(self, kind: object) -> bool:
        """Whether something was given under exactly this type."""
        return kind in self._by_type

    def __len__(self) -> int:
        return len(self._by_type)


def type_name(kind: object) -> str:
    """Return how a type is called in messages."""
    return getattr(kind, "__qualname__", None) or getattr(kind, "__name__", None) or str(kind)


def _is_subclass(key: object, kind: object) -> bool:
    if not (isinstance(key, type) and isinstance(kind, type)):
        return False
    try:
        return issubclass(key, kind)
    except TypeError:  # a Protocol that is not runtime-checkable matches only its exact key
        return False


def _ambiguous(kind: object, fitting: list[Any]) -> LashError:
    names = sorted(type_name(key) for key in fitting)
    return LashError(
        "resource_ambiguous",
        f"{len(names)} objects fit {type_name(kind)} ({', '.join(names)}): "
        "give one of them under exactly that type, or tell them apart with a NewType",
        type=type_name(kind),
        candidates=names,
    )
