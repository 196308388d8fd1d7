"""Linking and types: does a program fit a host, and what does it mean there.

Invariant: nothing here runs a program or knows a value; a linked program is data.
"""

from lashlang.check.builtin_types import BUILTINS, BuiltinType
from lashlang.check.linked import FunctionSignature, LinkedProgram, ProcessSignature
from lashlang.check.linker import Resolver, called_paths, check
from lashlang.check.lints import lint
from lashlang.check.relations import Relations
from lashlang.check.requirements import Requirements
from lashlang.check.surface import (
    ABILITIES,
    FEATURES,
    Constructor,
    HostSurface,
    ModuleInstance,
    OperationType,
    SurfaceBuilder,
    authority_type,
)
from lashlang.errors import Diagnostic, LinkError

__all__ = [
    "ABILITIES",
    "BUILTINS",
    "FEATURES",
    "BuiltinType",
    "Constructor",
    "Diagnostic",
    "FunctionSignature",
    "HostSurface",
    "LinkError",
    "LinkedProgram",
    "ModuleInstance",
    "OperationType",
    "ProcessSignature",
    "Relations",
    "Requirements",
    "Resolver",
    "SurfaceBuilder",
    "authority_type",
    "called_paths",
    "check",
    "lint",
]
