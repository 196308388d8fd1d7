"""lashlang: a small sandboxed language in which a model composes many tool calls.

    result = lashlang.run("submit await tools.add({ a: 1, b: 2 })?", {"add": lambda p: p["a"] + p["b"]})
    assert result.value == 3

`parse` makes a tree of a text, `check` links it to what a host offers, `run` runs it; a program that waits for its host
is data (`Frame`) that another process can resume. The package knows nothing of who embeds it.

A large value of the host need not be copied in: bind a name to a `Projected` (reference, kind, length) and hand in
a `resolver`, a function of a `Reading` (`whole`, `field`, `item`, `part`, `keys`). The program reads it like a value
of its own and cannot assign it; a frame keeps the reference alone, and a resumed run resolves it again.

Nothing is imported before it is named. The name `check` is the function; its package of the same name is reached only
as `from lashlang.check import …`, which is why binding it here is refused.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lashlang.artifact import (
        Exports,
        ModuleArtifact,
        ModuleArtifactError,
        SourceMap,
        placed,
        source_map,
    )
    from lashlang.check import HostSurface, LinkedProgram, Requirements, SurfaceBuilder, check
    from lashlang.errors import Diagnostic, LangError, LinkError, Location, ParseError
    from lashlang.graph import GraphEdge, GraphNode, ProcessGraph, map_main, map_process
    from lashlang.identity import ContentHash, ModuleRef, ProcessRef, RequiredSurfaceRef
    from lashlang.machine.code import Code
    from lashlang.machine.drivers import Recorded, Recorder, Replay, RunResult, each
    from lashlang.machine.effects import LATER, Effect, Failed, HostError, Ok, Outcome
    from lashlang.machine.execution import Execution
    from lashlang.machine.frame import Frame, pack_values, unpack_values
    from lashlang.machine.loop_driver import drive
    from lashlang.machine.meter import Limits
    from lashlang.machine.projection import Reading, Resolver
    from lashlang.machine.scripted_host import ScriptedHost
    from lashlang.machine.values import Image, Projected, Resource
    from lashlang.running import compile_program, host_of_tools, run, run_async, surface_of_tools
    from lashlang.syntax import (
        Program,
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
        TypeRef,
        TypeStr,
        TypeUnion,
        format_program,
        parse,
    )
    from lashlang.triggers import EventBinding, FixedBinding, TriggerInputTemplate

_HOMES: Final = {
    "lashlang.artifact": ("Exports", "ModuleArtifact", "ModuleArtifactError", "SourceMap", "placed", "source_map"),
    "lashlang.check": ("HostSurface", "LinkedProgram", "Requirements", "SurfaceBuilder", "check"),
    "lashlang.errors": ("Diagnostic", "LangError", "LinkError", "Location", "ParseError"),
    "lashlang.graph": ("GraphEdge", "GraphNode", "ProcessGraph", "map_main", "map_process"),
    "lashlang.identity": ("ContentHash", "ModuleRef", "ProcessRef", "RequiredSurfaceRef"),
    "lashlang.machine.code": ("Code",),
    "lashlang.machine.drivers": ("Recorded", "Recorder", "Replay", "RunResult", "each"),
    "lashlang.machine.effects": ("LATER", "Effect", "Failed", "HostError", "Ok", "Outcome"),
    "lashlang.machine.execution": ("Execution",),
    "lashlang.machine.frame": ("Frame", "pack_values", "unpack_values"),
    "lashlang.machine.loop_driver": ("drive",),
    "lashlang.machine.meter": ("Limits",),
    "lashlang.machine.projection": ("Reading", "Resolver"),
    "lashlang.machine.scripted_host": ("ScriptedHost",),
    "lashlang.machine.values": ("Image", "Projected", "Resource"),
    "lashlang.running": ("compile_program", "host_of_tools", "run", "run_async", "surface_of_tools"),
    "lashlang.syntax": (
        "Program", "TypeAny", "TypeBool", "TypeDict", "TypeEnum", "TypeExpr", "TypeField", "TypeFloat", "TypeInt",
        "TypeList", "TypeNull", "TypeObject", "TypeRef", "TypeStr", "TypeUnion", "format_program", "parse",
    ),
    "lashlang.triggers": ("EventBinding", "FixedBinding", "TriggerInputTemplate"),
}  # fmt: skip
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "LATER",
    "Code",
    "ContentHash",
    "Diagnostic",
    "Effect",
    "EventBinding",
    "Execution",
    "Exports",
    "Failed",
    "FixedBinding",
    "Frame",
    "GraphEdge",
    "GraphNode",
    "HostError",
    "HostSurface",
    "Image",
    "LangError",
    "Limits",
    "LinkError",
    "LinkedProgram",
    "Location",
    "ModuleArtifact",
    "ModuleArtifactError",
    "ModuleRef",
    "Ok",
    "Outcome",
    "ParseError",
    "ProcessGraph",
    "ProcessRef",
    "Program",
    "Projected",
    "Reading",
    "Recorded",
    "Recorder",
    "Replay",
    "RequiredSurfaceRef",
    "Requirements",
    "Resolver",
    "Resource",
    "RunResult",
    "ScriptedHost",
    "SourceMap",
    "SurfaceBuilder",
    "TriggerInputTemplate",
    "TypeAny",
    "TypeBool",
    "TypeDict",
    "TypeEnum",
    "TypeExpr",
    "TypeField",
    "TypeFloat",
    "TypeInt",
    "TypeList",
    "TypeNull",
    "TypeObject",
    "TypeRef",
    "TypeStr",
    "TypeUnion",
    "check",
    "compile_program",
    "drive",
    "each",
    "format_program",
    "host_of_tools",
    "map_main",
    "map_process",
    "pack_values",
    "parse",
    "placed",
    "run",
    "run_async",
    "source_map",
    "surface_of_tools",
    "unpack_values",
]


class _Door(ModuleType):
    """The package itself: its names stay what they are when submodules are imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'lashlang' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


sys.modules[__name__].__class__ = _Door
