"""The state of one run of the linker, and the services that its rules share.

The rules are functions in `expressions`, `calls`, `effects`, `registrations`, `statements` and
`declarations`; each takes the checker and a node and returns the linked node with its type. A node that is
wrong is reported and has the type `any`, so that one mistake is not reported twice.
"""

from __future__ import annotations

from typing import Final

from lashlang.check.expressions import EXPRESSIONS
from lashlang.check.findings import Findings, Span
from lashlang.check.linked import FunctionSignature, ProcessSignature
from lashlang.check.relations import ANY, Relations
from lashlang.check.requirements import RequirementRecorder
from lashlang.check.scope import Scope
from lashlang.check.surface import HostSurface, roots
from lashlang.syntax import (
    Expr,
    Field,
    FnDecl,
    Name,
    Node,
    ProcessDecl,
    Program,
    TypeExpr,
    TypeRef,
)

_ABILITY_TEXT: Final = {
    "processes": "processes",
    "sleep": "sleep",
    "process_signals": "process signals",
    "triggers": "triggers",
    "label_annotations": "label annotations",
}


class Checker:
    """What the rules know: the program's declarations, the surface, the scope, and where to report."""

    def __init__(self, program: Program, surface: HostSurface) -> None:
        self.program = program
        self.surface = surface
        self.errors = Findings(program.source)
        self.warnings = Findings(program.source)
        self.needs = RequirementRecorder(surface)
        self.relations = Relations(self._unfold)
        self.scope = Scope("main")
        self.types: dict[str, TypeExpr] = {}
        self.process_decls: dict[str, ProcessDecl] = {}
        self.fn_decls: dict[str, FnDecl] = {}
        self.processes: dict[str, ProcessSignature] = {}
        self.functions: dict[str, FunctionSignature] = {}
        self.process: ProcessDecl | None = None
        self.outputs: list[TypeExpr] = []
        self.module_roots = roots(surface.modules)
        self.constructor_roots = roots(surface.constructors)

    def expr(self, node: Expr) -> tuple[Expr, TypeExpr]:
        """Links an expression; returns what takes its place and its type."""
        return EXPRESSIONS[type(node)](self, node)

    def exprs(self, nodes: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], list[TypeExpr]]:
        """Links expressions from left to right; returns the same tuple when nothing changed."""
        linked: list[Expr] = []
        types: list[TypeExpr] = []
        changed = False
        for node in nodes:
            new, ty = EXPRESSIONS[type(node)](self, node)
            linked.append(new)
            types.append(ty)
            changed = changed or new is not node
        return (tuple(linked) if changed else nodes), types

    # --- Reporting ---

    def error(
        self,
        code: str,
        place: Node | Span,
        message: str,
        *,
        hint: str = "",
        related: tuple[tuple[str, Span], ...] = (),
    ) -> None:
        """Reports what keeps the program from running."""
        span = place.span if isinstance(place, Node) else place
        self.errors.report(code, span, message, hint=hint, related=related)

    def warning(self, code: str, place: Node | Span, message: str, *, hint: str = "") -> None:
        """Reports what is legal and probably not meant."""
        span = place.span if isinstance(place, Node) else place
        self.warnings.report(code, span, message, hint=hint, severity="warning")

    def require(self, ability: str, place: Node | Span) -> bool:
        """Whether an ability or feature is on; reports `feature_disabled` when it is not."""
        if ability in self.surface.abilities:
            self.needs.ability(ability)
            return True
        if ability in self.surface.features:
            self.needs.feature(ability)
            return True
        text = _ABILITY_TEXT[ability]
        self.error(
            "feature_disabled",
            place,
            f"{text} are not available here" if text[-1] == "s" else f"{text} is not available here",
        )
        return False

    def pure(self, place: Node, what: str) -> bool:
        """Whether effects are allowed here; reports `impure_function` inside a `fn`."""
        if self.scope.place != "fn":
            return True
        hint = "a fn only computes; do this in a process or in the foreground and pass the value in"
        self.error("impure_function", place, f"{what} is not allowed in a fn", hint=hint)
        return False

    # --- Names ---

    def module_path(self, node: Expr) -> tuple[Name, list[str]] | None:
        """The root and the segments of a dotted chain of plain field reads, or None."""
        segments: list[str] = []
        while isinstance(node, Field):
            segments.append(node.name)
            node = node.target
        if not isinstance(node, Name):
            return None
        segments.append(node.name)
        segments.reverse()
        return node, segments

    def is_local(self, name: str) -> bool:
        """Whether a variable of this name hides modules and declarations."""
        return self.scope.get(name) is not None

    def authority_of(self, ty: TypeExpr) -> str | None:
        """The authority type that `ty` is, or None."""
        ty = self.relations.structure(ty)
        return ty.name if isinstance(ty, TypeRef) and ty.name in self.surface.resource_types else None

    def is_opaque(self, ty: TypeExpr) -> bool:
        """Whether a program may not look into values of type `ty`."""
        return isinstance(ty, TypeRef) and ty.name not in self.types and self.surface.is_opaque(ty.name)

    def _unfold(self, ref: TypeRef) -> TypeExpr | None:
        known = self.types.get(ref.name) or self.surface.data_types.get(ref.name)
        if (
            known is None
            and ref.name not in self.surface.resource_types
            and not self.surface.is_opaque(ref.name)
        ):
            return ANY  # reported as unknown_type where it is written
        return known
