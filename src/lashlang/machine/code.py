"""A linked program that can run: its bodies, lowered and compiled when first needed.

`Code` is immutable in what it means and shared by all its runs. `code_ref` pins it exactly (names and tree paths
included): a frame refers to it, because slots are named after variables and sites after places in the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Final, TypeVar

import msgspec

from lashlang.errors import LangError, locate
from lashlang.hashing import content_hash
from lashlang.machine import codegen, ir, lowering
from lashlang.machine.fault import Halt
from lashlang.machine.hints import hint_for
from lashlang.machine.values import Value
from lashlang.syntax import ast
from lashlang.syntax.traversal import without_offsets

_T = TypeVar("_T")

FRAME_ABI: Final = 1
"""Version of what a frame refers to: site ids, slot names, order of evaluation. Any change of these raises it."""


class CompiledBody:
    """One body in both forms."""

    __slots__ = ("_plans", "body", "generated", "initial", "names", "numbers")

    def __init__(self, body: ir.Body, generated: codegen.Generated) -> None:
        self.body = body
        self.generated = generated
        self.initial = tuple([ir.initial(slot) for slot in body.slots])
        self.numbers = {slot: number for number, slot in enumerate(body.slots)}
        self.names = frozenset(body.variables)
        self._plans: dict[str, list[tuple[int, str]]] = {}

    def plan(self, site: ir.Site, hidden: frozenset[str]) -> list[tuple[int, str]]:
        """What a frame at `site` holds: positions and stable names of the slots in use, without `hidden` variables."""
        plan = self._plans.get(site.id)
        if plan is None:
            held = set(site.slots)
            names = self.body.slot_names
            plan = self._plans[site.id] = [
                (number, names[slot])
                for slot, number in self.numbers.items()
                if (slot[0] in "vo" or slot in held) and not (slot[0] == "v" and names[slot][2:] in hidden)
            ]
        return plan


class Code:
    """A linked program, ready to run.

    Args:
        program: a linked program (no method calls left in it).
        projected: names that the host binds read-only; assigning them is an error.
        process_values: the definition values of the program's processes, for those that it reads as values.
    """

    def __init__(
        self,
        program: ast.Program,
        projected: Iterable[str] = (),
        process_values: dict[str, Value] | None = None,
    ) -> None:
        self.program = program
        self.projected = frozenset(projected)
        self._process_values = process_values or {}
        self._processes = {d.name: d for d in program.declarations if isinstance(d, ast.ProcessDecl)}
        self._compiled: dict[str, CompiledBody] = {}

    @property
    def processes(self) -> tuple[str, ...]:
        """The names of the declared processes, in written order."""
        return tuple(self._processes)

    @cached_property
    def code_ref(self) -> str:
        """The hash of the exact typed form, with names and tree paths."""
        tree = msgspec.to_builtins(without_offsets(self.program))
        return content_hash(["lashlang-code", FRAME_ABI, tree, sorted(self.projected)])

    @cached_property
    def _functions(self) -> list[ir.Body]:
        declared = [d for d in self.program.declarations if isinstance(d, ast.FnDecl)]
        return [_lowered(lowering.fn_body, self._scope, each) for each in declared]

    @cached_property
    def functions(self) -> dict[str, ir.Body]:
        """The bodies of the functions, by name."""
        return {body.name: body for body in self._functions}

    @cached_property
    def _scope(self) -> lowering.Scope:
        names = [d.name for d in self.program.declarations if isinstance(d, ast.FnDecl)]
        return lowering.Scope(names, self.projected, self._process_value)

    def _process_value(self, name: str) -> Value:
        return self._process_values.get(name) or {"$lash_process": True, "process_name": name}

    def entry(self, name: str = "main") -> CompiledBody:
        """The body of the foreground (`main`) or of a process (`process:NAME`).

        Raises:
            LangError: `unknown_process` for a name that is not declared; `nesting_too_deep` for loops nested deeper
                than can be compiled.
        """
        compiled = self._compiled.get(name)
        if compiled is None:
            body = self._body(name)
            compiled = self._compiled[name] = CompiledBody(body, codegen.generate(body, self._functions))
        return compiled

    def _body(self, name: str) -> ir.Body:
        if name == "main":
            return _lowered(lowering.main_body, self._scope, self.program.main)
        declaration = self._processes.get(name.removeprefix("process:"))
        if declaration is None:
            raise LangError("unknown_process", f"the program declares no process `{name}`", process=name)
        return _lowered(lowering.process_body, self._scope, declaration)

    def error(
        self, code: str, message: str, place: tuple[int, int] | None, known: Iterable[str] = ()
    ) -> LangError:
        """A run-time error at a place in this program's source; `known` variables may be suggested."""
        hint = hint_for(code, message, known)
        if place is None or place[0] < 0 or not self.program.source:
            return LangError(code, message, hint=hint)
        return LangError(code, message, location=locate(self.program.source, *place), hint=hint)


def _lowered(lower: Callable[[lowering.Scope, _T], ir.Body], scope: lowering.Scope, syntax: _T) -> ir.Body:
    try:
        return lower(scope, syntax)
    except Halt as halt:
        raise LangError(halt.code, halt.message) from None
