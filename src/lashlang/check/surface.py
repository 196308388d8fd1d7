"""What a host offers to a program: modules with operations, types, constructors, trigger sources, abilities.

A surface is immutable and compares by content. Build one with `SurfaceBuilder`, or with
`HostSurface.from_host` from the `host` object of a corpus case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NoReturn, TypeVar

import msgspec

from lashlang.errors import LangError
from lashlang.syntax import TypeAny, TypeExpr, TypeObject, TypeRef

_V = TypeVar("_V")

Ability = Literal["processes", "sleep", "process_signals", "triggers"]
Feature = Literal["label_annotations"]

ABILITIES: Final[tuple[Ability, ...]] = ("process_signals", "processes", "sleep", "triggers")
FEATURES: Final[tuple[Feature, ...]] = ("label_annotations",)


class OperationType(msgspec.Struct, frozen=True, array_like=True):
    """What an operation of an authority type takes and gives."""

    input: TypeExpr
    output: TypeExpr


class ModuleInstance(msgspec.Struct, frozen=True):
    """A module that a program names by its dotted path.

    `operations` maps the name in the program to the name at the host.
    """

    path: str
    resource_type: str
    operations: dict[str, str]


class Constructor(msgspec.Struct, frozen=True):
    """A pure function of the host that tags a value, such as `timer.Schedule({…})`."""

    type_name: str
    input: TypeExpr
    output: TypeExpr


class HostSurface(msgspec.Struct, frozen=True):
    """Everything that `check` may resolve a name to. All maps are ordered by name.

    `resource_types` maps an authority type to its operations, `data_types` a qualified name to an object
    type, `trigger_sources` the type of a source value to the data type of its events.
    """

    modules: dict[str, ModuleInstance] = {}
    resource_types: dict[str, dict[str, OperationType]] = {}
    data_types: dict[str, TypeObject] = {}
    constructors: dict[str, Constructor] = {}
    trigger_sources: dict[str, str] = {}
    abilities: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()

    @classmethod
    def from_host(cls, host: Mapping[str, object] | None) -> HostSurface:
        """The surface of a corpus case's `host` object (docs/language/surface.md).

        Args:
            host: may have `tools`, `abilities`, `surface: "fixture"`; other keys do not concern linking.

        Raises:
            LangError: `surface_conflict` for an unknown ability or surface.
        """
        from lashlang.check.host_case import surface_of_case  # the case format builds on this module

        return surface_of_case(host or {})

    @classmethod
    def with_everything_on(cls) -> HostSurface:
        """No modules, but every ability and feature: enough to link a program that calls nothing."""
        return cls(abilities=frozenset(ABILITIES), features=frozenset(FEATURES))

    def is_opaque(self, name: str) -> bool:
        """Whether `name` is the output type of a constructor, whose inside a program may not read."""
        return name in self.trigger_sources or any(
            isinstance(made.output, TypeRef) and made.output.name == name
            for made in self.constructors.values()
        )

    def merge(self, other: HostSurface) -> HostSurface:
        """Both surfaces in one.

        Raises:
            LangError: `surface_conflict` when they disagree about a name.
        """
        builder = SurfaceBuilder()
        builder.include(self)
        builder.include(other)
        return builder.build()


class SurfaceBuilder:
    """Collects a surface; every method refuses what contradicts an earlier call with `surface_conflict`."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleInstance] = {}
        self._resource_types: dict[str, dict[str, OperationType]] = {}
        self._data_types: dict[str, TypeObject] = {}
        self._constructors: dict[str, Constructor] = {}
        self._trigger_sources: dict[str, str] = {}
        self._abilities: set[str] = set()
        self._features: set[str] = set()

    def operation(
        self,
        path: str,
        name: str,
        *,
        input_type: TypeExpr | None = None,
        output_type: TypeExpr | None = None,
        host_operation: str | None = None,
        resource_type: str | None = None,
    ) -> SurfaceBuilder:
        """Adds operation `name` to the module at `path`.

        Types default to `any`, the authority type to the first path segment in upper camel case, the host's
        name of the operation to `path.name`.
        """
        type_name = resource_type or authority_type(path)
        module = self._modules.setdefault(path, ModuleInstance(path, type_name, {}))
        if module.resource_type != type_name:
            _conflict(f"module `{path}` is a {module.resource_type}, not a {type_name}", name=path)
        target = host_operation or f"{path}.{name}"
        _put(module.operations, name, target, f"operation `{path}.{name}`")
        typed = OperationType(input_type or TypeAny(), output_type or TypeAny())
        _put(
            self._resource_types.setdefault(type_name, {}), name, typed, f"operation `{name}` of {type_name}"
        )
        return self

    def tool(self, name: str) -> SurfaceBuilder:
        """Adds a tool under its host name: `a.b.op` is `op` of module `a.b`, a plain name is one of
        `tools`.
        """
        path, _, local = name.rpartition(".")
        return self.operation(path or "tools", local, host_operation=name)

    def data_type(self, name: str, ty: TypeObject) -> SurfaceBuilder:
        """Adds a named data type; `name` has at least two dotted segments."""
        if "." not in name:
            _conflict(f"data type `{name}` needs a qualified name such as `pkg.{name}`", name=name)
        _put(self._data_types, name, ty, f"data type `{name}`")
        return self

    def constructor(
        self, path: str, input_type: TypeExpr, *, output_type: TypeExpr | None = None
    ) -> SurfaceBuilder:
        """Adds a value constructor; without `output_type` its values are opaque."""
        made = Constructor(path, input_type, output_type or TypeRef(path))
        _put(self._constructors, path, made, f"constructor `{path}`")
        return self

    def trigger_source(
        self, name: str, input_type: TypeExpr, event: str, event_type: TypeObject
    ) -> SurfaceBuilder:
        """Adds a trigger source with its constructor and the data type of its events."""
        _put(self._trigger_sources, name, event, f"trigger source `{name}`")
        return self.data_type(event, event_type).constructor(name, input_type)

    def ability(self, *names: str) -> SurfaceBuilder:
        """Turns abilities or features on."""
        for name in names:
            if name in ABILITIES:
                self._abilities.add(name)
            elif name in FEATURES:
                self._features.add(name)
            else:
                _conflict(
                    f"there is no ability `{name}`; known: {', '.join((*ABILITIES, *FEATURES))}", name=name
                )
        return self

    def include(self, other: HostSurface) -> SurfaceBuilder:
        """Adds all of another surface."""
        for path, module in other.modules.items():
            for name, target in module.operations.items():
                typed = other.resource_types[module.resource_type][name]
                self.operation(
                    path,
                    name,
                    input_type=typed.input,
                    output_type=typed.output,
                    host_operation=target,
                    resource_type=module.resource_type,
                )
        for type_name, operations in other.resource_types.items():
            for name, typed in operations.items():
                mine = self._resource_types.setdefault(type_name, {})
                _put(mine, name, typed, f"operation `{name}` of {type_name}")
        for name, ty in other.data_types.items():
            self.data_type(name, ty)
        for name, made in other.constructors.items():
            _put(self._constructors, name, made, f"constructor `{name}`")
        for name, event in other.trigger_sources.items():
            _put(self._trigger_sources, name, event, f"trigger source `{name}`")
        return self.ability(*sorted(other.abilities | other.features))

    def build(self) -> HostSurface:
        """The surface, its maps ordered by name."""
        modules = {
            path: ModuleInstance(path, module.resource_type, _ordered(module.operations))
            for path, module in sorted(self._modules.items())
        }
        resources = {name: _ordered(operations) for name, operations in sorted(self._resource_types.items())}
        return HostSurface(
            modules=modules,
            resource_types=resources,
            data_types=_ordered(self._data_types),
            constructors=_ordered(self._constructors),
            trigger_sources=_ordered(self._trigger_sources),
            abilities=frozenset(self._abilities),
            features=frozenset(self._features),
        )


def authority_type(path: str) -> str:
    """The default authority type of a module: its first path segment in upper camel case."""
    return "".join(word[:1].upper() + word[1:] for word in path.partition(".")[0].split("_"))


def roots(paths: Iterable[str]) -> frozenset[str]:
    """The first segments of dotted paths."""
    return frozenset([path.partition(".")[0] for path in paths])


def _ordered(mapping: dict[str, _V]) -> dict[str, _V]:
    return dict(sorted(mapping.items()))


def _put(mapping: dict[str, _V], name: str, value: _V, what: str) -> None:
    present = mapping.setdefault(name, value)
    if present != value:
        _conflict(f"{what} is defined twice, and not alike", name=name)


def _conflict(message: str, *, name: str) -> NoReturn:
    raise LangError("surface_conflict", message, name=name)
