"""The result of linking: a program whose names are resolved, and what was learnt on the way."""

from __future__ import annotations

import msgspec

from lashlang.check.requirements import Requirements
from lashlang.errors import Diagnostic
from lashlang.syntax import FnDecl, ProcessDecl, Program, TypeExpr


class ProcessSignature(msgspec.Struct, frozen=True):
    """What a process takes, what it gives, and the signals it declares (None: any)."""

    name: str
    params: tuple[tuple[str, TypeExpr], ...]
    output: TypeExpr
    signals: tuple[tuple[str, TypeExpr], ...] | None = None


class FunctionSignature(msgspec.Struct, frozen=True):
    """What a `fn` takes and gives."""

    name: str
    params: tuple[tuple[str, TypeExpr], ...]
    output: TypeExpr


class LinkedProgram(msgspec.Struct, frozen=True):
    """A program that fits a surface.

    `program` has `Authority`, `ProcessValue`, `HostValue`, `OperationCall` and `TriggerEvent` nodes in
    place of the names they resolve. `types` holds the declared types, `globals` the types that foreground
    variables have at the end; both are what is known, not what is enforced.
    """

    program: Program
    requirements: Requirements
    processes: dict[str, ProcessSignature]
    functions: dict[str, FunctionSignature]
    types: dict[str, TypeExpr]
    globals: dict[str, TypeExpr]
    warnings: tuple[Diagnostic, ...] = ()

    def process(self, name: str) -> ProcessDecl | None:
        """The linked declaration of the process `name`, or None."""
        found = (item for item in self.program.items if isinstance(item, ProcessDecl) and item.name == name)
        return next(found, None)

    def function(self, name: str) -> FnDecl | None:
        """The linked declaration of the function `name`, or None."""
        found = (item for item in self.program.items if isinstance(item, FnDecl) and item.name == name)
        return next(found, None)
