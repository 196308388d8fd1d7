"""Modules as they are stored: the linked program, what it needs, and refs that prove both.

An artifact's bytes are canonical JSON; decoding rebuilds every ref from the program and compares. Source text and
places are a side record (`SourceMap`) that never enters the bytes, so that layout does not change a module.
"""

from __future__ import annotations

import json
from typing import Final, NoReturn, Self

import msgspec
from msgspec.structs import force_setattr

from lashlang.check import HostSurface, LinkedProgram, Requirements, check
from lashlang.errors import LangError
from lashlang.hashing import canonical_json
from lashlang.identity import (
    ProcessRef,
    module_ref,
    process_refs,
    surface_ref,
)
from lashlang.machine.values import Value
from lashlang.syntax import ast
from lashlang.syntax.node import Node
from lashlang.syntax.traversal import walk, without_offsets

FORMAT: Final = 1
"""Version of the stored form."""

_FIELDS: Final = frozenset(
    {
        "format", "module_ref", "required_surface_ref", "required_surface", "exports", "canonical_ir", "dependencies",
    }
)  # fmt: skip


class ModuleArtifactError(LangError):
    """Stored bytes are not an artifact (`artifact_codec`), of a newer format, or not what they claim to be."""


class Exports(msgspec.Struct, frozen=True):
    """What other programs may refer to."""

    processes: dict[str, ProcessRef] = {}


class SourceMap(msgspec.Struct, frozen=True):
    """A module's text and the place of every node in it, in the order of a walk; a side record."""

    module_ref: str
    source: str
    spans: tuple[tuple[int, int], ...]
    labels: dict[str, str] = {}


class ModuleArtifact(msgspec.Struct, frozen=True):
    """A linked module with its identities.

    Attributes:
        module_ref: what the module is.
        required_surface_ref: what it needs, as a hash of `required_surface`.
        exports: its processes by name.
        program: the linked program without places.
        dependencies: modules that it refers to; always empty.
    """

    module_ref: str
    required_surface_ref: str
    required_surface: Requirements
    exports: Exports
    program: ast.Program
    dependencies: tuple[str, ...] = ()

    @classmethod
    def from_program(cls, program: ast.Program | LinkedProgram) -> Self:
        """The artifact of a linked program; a parsed one is linked first, against no modules and every ability.

        Raises:
            LinkError: for a parsed program that does not link.
        """
        if not isinstance(program, LinkedProgram):
            program = check(program, HostSurface.with_everything_on())
        return cls._of(without_offsets(program.program), program.requirements)

    @classmethod
    def _of(cls, program: ast.Program, required: Requirements) -> Self:
        surface = surface_ref(required)
        exports = process_refs(program)
        return cls(module_ref(program, surface, exports), surface, required, Exports(exports), program)

    def process_values(self) -> dict[str, Value]:
        """The definition value of each process (lashlang.md 2.1)."""
        return {
            name: {
                "$lash_process": True,
                "process_name": name,
                "module_ref": self.module_ref,
                "process_ref": {"component": ref.component, "pos": ref.pos},
                "required_surface_ref": self.required_surface_ref,
            }
            for name, ref in self.exports.processes.items()
        }

    def verify(self) -> None:
        """Rebuild every ref and compare.

        Raises:
            ModuleArtifactError: `artifact_hash_mismatch` with `field`, `expected` and `actual`.
        """
        rebuilt = self._of(self.program, self.required_surface)
        for field in ("module_ref", "required_surface_ref", "exports"):
            expected, actual = getattr(rebuilt, field), getattr(self, field)
            if expected != actual:
                raise ModuleArtifactError(
                    "artifact_hash_mismatch",
                    f"the module's {field} is {actual}, but its content makes it {expected}",
                    field=field,
                    expected=_shown(expected),
                    actual=_shown(actual),
                )

    def to_store_bytes(self) -> bytes:
        """The canonical bytes; equal artifacts have equal bytes.

        Raises:
            ModuleArtifactError: `artifact_hash_mismatch` when the artifact was tampered with.
        """
        self.verify()
        return canonical_json(
            {
                "format": FORMAT,
                "module_ref": self.module_ref,
                "required_surface_ref": self.required_surface_ref,
                "required_surface": msgspec.to_builtins(self.required_surface),
                "exports": msgspec.to_builtins(self.exports),
                "canonical_ir": msgspec.to_builtins(self.program),
                "dependencies": list(self.dependencies),
            }
        )

    @classmethod
    def from_store_bytes(cls, data: bytes) -> Self:
        """The artifact in `data`.

        Raises:
            ModuleArtifactError: `artifact_codec` for bytes that hold none, `artifact_version` for a newer format,
                `artifact_hash_mismatch` for one that is not what it claims to be.
        """
        fields = _fields(data)
        try:
            artifact = cls(
                msgspec.convert(fields["module_ref"], str),
                msgspec.convert(fields["required_surface_ref"], str),
                msgspec.convert(fields["required_surface"], Requirements),
                msgspec.convert(fields["exports"], Exports),
                msgspec.convert(fields["canonical_ir"], ast.Program),
                tuple(msgspec.convert(fields["dependencies"], list[str])),
            )
        except (msgspec.ValidationError, RecursionError) as error:
            _refuse(str(error) or "it is nested too deeply")
        artifact.verify()
        return artifact


def source_map(program: LinkedProgram) -> SourceMap:
    """The side record of a linked program: what its artifact leaves out, and its labels by place in the walk."""
    nodes = [node for node in walk(program.program) if not isinstance(node, ast.Comment)]
    labels = {str(at): node.title for at, node in enumerate(nodes) if isinstance(node, ast.Label)}
    ref = ModuleArtifact.from_program(program).module_ref
    return SourceMap(str(ref), program.program.source, tuple([_span(node) for node in nodes]), labels)


def placed(artifact: ModuleArtifact, record: SourceMap) -> ast.Program:
    """The program of an artifact with its places put back, so that its errors can point at them.

    Raises:
        ModuleArtifactError: `artifact_hash_mismatch` when the record belongs to another module.
    """
    program = msgspec.convert(msgspec.to_builtins(artifact.program), ast.Program)
    nodes = list(walk(program))
    if record.module_ref != artifact.module_ref or len(nodes) != len(record.spans):
        raise ModuleArtifactError(
            "artifact_hash_mismatch",
            f"the source map belongs to {record.module_ref}, not to {artifact.module_ref}",
            field="source_map",
            expected=artifact.module_ref,
            actual=record.module_ref,
        )
    for node, (start, end) in zip(nodes, record.spans, strict=True):
        force_setattr(node, "start", start)
        force_setattr(node, "end", end)
    force_setattr(program, "source", record.source)
    return program


def _span(node: Node) -> tuple[int, int]:
    return (node.start, node.end)


def _fields(data: bytes) -> dict[str, object]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError, TypeError) as error:
        _refuse(str(error) or "it is nested too deeply")
    if not isinstance(fields, dict):
        _refuse(f"it holds a {type(fields).__name__}")
    version = fields.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ModuleArtifactError(
            "artifact_version",
            f"the artifact has format {version}, this runtime reads format {FORMAT}",
            version=version,
            supported=FORMAT,
        )
    if fields.keys() != _FIELDS or version != FORMAT:
        odd = sorted(fields.keys() ^ _FIELDS)
        _refuse(f"its fields are not those of format {FORMAT}: {', '.join(map(str, odd)) or version}")
    return fields


def _refuse(reason: str) -> NoReturn:
    raise ModuleArtifactError("artifact_codec", f"these bytes hold no module artifact: {reason}") from None


def _shown(value: object) -> object:
    return value if isinstance(value, str) else msgspec.to_builtins(value)
