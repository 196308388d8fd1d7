"""What a linked program needs of a host, and whether a host has it.

Recorded while linking, kept in the artifact, checked again before a stored program runs: the surface may have
changed since. Only what is used counts, so unused tools never make a difference.
"""

from __future__ import annotations

import msgspec

from lashlang.check.surface import Constructor, HostSurface, ModuleInstance, OperationType
from lashlang.syntax import TypeObject


class Requirements(msgspec.Struct, frozen=True):
    """The used part of a surface, all maps ordered by name and all sets sorted, so that equal needs encode
    equally.
    """

    abilities: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    modules: dict[str, ModuleInstance] = {}
    resource_types: dict[str, dict[str, OperationType]] = {}
    data_types: dict[str, TypeObject] = {}
    constructors: dict[str, Constructor] = {}
    trigger_sources: dict[str, str] = {}

    def missing_from(self, surface: HostSurface) -> tuple[str, ...]:
        """One sentence for each need that `surface` does not meet; empty when it meets all."""
        lacks = [f"ability `{name}` is off" for name in self.abilities if name not in surface.abilities]
        lacks += [f"feature `{name}` is off" for name in self.features if name not in surface.features]
        for path, module in self.modules.items():
            lacks += _module_lacks(path, module, surface.modules.get(path))
        for name, operations in self.resource_types.items():
            have = surface.resource_types.get(name)
            if have is None:
                lacks.append(f"there is no authority type `{name}`")
                continue
            lacks += [
                f"operation `{operation}` of `{name}` is missing or has other types"
                for operation, typed in operations.items()
                if have.get(operation) != typed
            ]
        for what, needed, present in (
            ("data type", self.data_types, surface.data_types),
            ("constructor", self.constructors, surface.constructors),
            ("trigger source", self.trigger_sources, surface.trigger_sources),
        ):
            lacks += [
                f"{what} `{name}` is missing or different"
                for name, value in needed.items()
                if present.get(name) != value
            ]
        return tuple(lacks)

    def satisfied_by(self, surface: HostSurface) -> bool:
        """Whether a program with these needs may run on `surface`."""
        return not self.missing_from(surface)


def _module_lacks(path: str, need: ModuleInstance, have: ModuleInstance | None) -> list[str]:
    if have is None:
        return [f"there is no module `{path}`"]
    if have.resource_type != need.resource_type:
        return [f"module `{path}` is a {have.resource_type}, not a {need.resource_type}"]
    return [
        f"operation `{path}.{name}` is missing or leads elsewhere"
        for name, target in need.operations.items()
        if have.operations.get(name) != target
    ]


class RequirementRecorder:
    """Collects needs while a program is linked."""

    def __init__(self, surface: HostSurface) -> None:
        self._surface = surface
        self._abilities: set[str] = set()
        self._features: set[str] = set()
        self._modules: dict[str, set[str]] = {}
        self._resource_types: dict[str, set[str]] = {}
        self._data_types: set[str] = set()
        self._constructors: set[str] = set()
        self._trigger_sources: set[str] = set()

    def ability(self, name: str) -> None:
        """The program uses an ability."""
        self._abilities.add(name)

    def feature(self, name: str) -> None:
        """The program uses a language feature."""
        self._features.add(name)

    def module(self, path: str, operation: str | None = None) -> None:
        """The program names a module instance, and perhaps one of its operations."""
        used = self._modules.setdefault(path, set())
        if operation is not None:
            used.add(operation)
        self.resource_type(self._surface.modules[path].resource_type, operation)

    def resource_type(self, name: str, operation: str | None = None) -> None:
        """The program names an authority type, and perhaps one of its operations."""
        used = self._resource_types.setdefault(name, set())
        if operation is not None:
            used.add(operation)

    def data_type(self, name: str) -> None:
        """The program names a data type."""
        self._data_types.add(name)

    def constructor(self, path: str) -> None:
        """The program calls a constructor."""
        self._constructors.add(path)

    def trigger_source(self, name: str) -> None:
        """The program registers a trigger with a source of this type."""
        self._trigger_sources.add(name)
        self._data_types.add(self._surface.trigger_sources[name])

    def finish(self) -> Requirements:
        """What was collected."""
        surface = self._surface
        modules = {}
        for path, used in sorted(self._modules.items()):
            instance = surface.modules[path]
            operations = {name: instance.operations[name] for name in sorted(used)}
            modules[path] = ModuleInstance(path, instance.resource_type, operations)
        resources = {
            name: {operation: surface.resource_types[name][operation] for operation in sorted(used)}
            for name, used in sorted(self._resource_types.items())
        }
        return Requirements(
            abilities=tuple(sorted(self._abilities)),
            features=tuple(sorted(self._features)),
            modules=modules,
            resource_types=resources,
            data_types={name: surface.data_types[name] for name in sorted(self._data_types)},
            constructors={name: surface.constructors[name] for name in sorted(self._constructors)},
            trigger_sources={name: surface.trigger_sources[name] for name in sorted(self._trigger_sources)},
        )
