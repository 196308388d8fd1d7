"""The state of lowering one body: slots, spans, the statement list being filled, and what is known to be bound.

Order is everything here: whatever is appended to `out` runs in that order, so an operand that must be evaluated before
a later statement is pinned to a temporary first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from lashlang.machine import ir
from lashlang.machine.lowering.scan import Scan, mutated
from lashlang.machine.values import Value
from lashlang.syntax import ast


class Scope:
    """What a body can refer to beside its variables: the same for all bodies of one program."""

    def __init__(
        self,
        functions: Iterable[str],
        projected: frozenset[str],
        process_value: Callable[[str], Value],
    ) -> None:
        self.functions = frozenset(functions)
        self.projected = projected
        self.process_value = process_value


class Builder:
    """One body under construction."""

    def __init__(self, scope: Scope, kind: Literal["main", "process", "fn"], name: str) -> None:
        self.scope = scope
        self.kind = kind
        self.name = name
        self.scan = Scan()
        self.out: list[ir.Stmt] = []
        self.where = name
        self.bound: set[str] = set()
        self.mutated: frozenset[str] = frozenset()
        self.variables: list[str] = []
        self.sites: list[ir.Site] = []
        self.spans: list[tuple[int, int]] = [(-1, -1)]
        self.active: list[str] = []
        self.size_bytes = 0
        self.calls_fn = False
        self.loops = False
        self.ends = 0
        self.restores: list[tuple[str, str]] = []
        self._slot_of: dict[str, str] = {}
        self._hidden: dict[str, list[str]] = {}
        self._extra: list[str] = []
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._span_of: dict[tuple[int, int], int] = {}
        self._loop_count = 0

    # --- slots ---

    def variable(self, name: str) -> str:
        """The slot of a variable of the body."""
        slot = self._slot_of.get(name)
        if slot is None:
            slot = self._slot_of[name] = f"v{len(self.variables)}"
            self.variables.append(name)
            self._names[slot] = f"v:{name}"
        return slot

    def read(self, name: str, at: int) -> ir.Expr:
        """A read of `name`: of a comprehension variable if one is in scope, else of a variable."""
        hidden = self._hidden.get(name)
        if hidden:
            return ir.Var(hidden[-1])
        slot = self.variable(name)
        sure = slot in self.bound
        self.bound.add(slot)
        return ir.Var(slot, at, sure)

    def is_projected(self, name: str) -> bool:
        """Whether `name` is a read-only binding of the host here."""
        return name in self.scope.projected and not self._hidden.get(name)

    def is_part(self, value: ir.Expr) -> bool:
        """Whether `value` may be projected: a binding itself, or a step into one."""
        if isinstance(value, ir.Reach):
            return True
        if not isinstance(value, ir.Var) or value.slot[0] != "v":
            return False
        return self.variables[int(value.slot[1:])] in self.scope.projected

    @contextmanager
    def hiding(self, name: str) -> Iterator[str]:
        """A comprehension variable: `name` means its slot inside the block."""
        slot = self._new("c")
        self._hidden.setdefault(name, []).append(slot)
        try:
            yield slot
        finally:
            self._hidden[name].pop()

    def temporary(self) -> str:
        """A new temporary, in use until the current statement ends."""
        slot = self._new("t")
        self.active.append(slot)
        return slot

    def loop_number(self) -> int:
        """A new loop: its `q`, `i` and `s` slots become part of the body."""
        number = self._loop_count
        self._loop_count += 1
        for prefix in "qis":
            slot = f"{prefix}{number}"
            self._extra.append(slot)
            self._names[slot] = f"{prefix}:{self.where}#{self._ordinal(prefix)}"
        return number

    @property
    def slot_count(self) -> int:
        """How many slots there are beside the variables."""
        return len(self._extra)

    def holders_since(self, count: int) -> list[str]:
        """The temporaries and loop sources made since there were `count` slots."""
        return [slot for slot in self._extra[count:] if slot[0] in "tq"]

    def _new(self, prefix: str) -> str:
        slot = f"{prefix}{len(self._extra)}"
        self._extra.append(slot)
        self._names[slot] = f"{prefix}:{self.where}#{self._ordinal(prefix)}"
        return slot

    def _ordinal(self, prefix: str) -> int:
        key = f"{prefix}:{self.where}"
        self._counts[key] = self._counts.get(key, -1) + 1
        return self._counts[key]

    # --- emission ---

    def emit(self, statement: ir.Stmt) -> None:
        """Append a statement to the list being filled."""
        self.ends += isinstance(statement, ir.End)
        self.out.append(statement)

    @contextmanager
    def filling(self, statements: list[ir.Stmt]) -> Iterator[None]:
        """Append to `statements` inside the block."""
        outer, self.out = self.out, statements
        try:
            yield
        finally:
            self.out = outer

    def span(self, node: ast.Expr | ast.Statement | ast.Target | ast.Block) -> int:
        """The number of the place of `node`."""
        place = (node.start, node.end)
        number = self._span_of.get(place)
        if number is None:
            number = self._span_of[place] = len(self.spans)
            self.spans.append(place)
        return number

    def store(self, value: ir.Expr, at: int) -> ir.Var:
        """Evaluate `value` now, into a temporary."""
        slot = self.temporary()
        self.emit(ir.Let(slot, value, at))
        return ir.Var(slot)

    def pin(self, value: ir.Expr, at: int) -> ir.Expr:
        """`value` in a form that later statements of the same expression cannot move."""
        if isinstance(value, ir.Const) or (isinstance(value, ir.Var) and value.sure):
            return value
        return self.store(value, at)

    def forget(self, mark: int) -> None:
        """Temporaries made since `mark` are no longer in use."""
        slots = [slot for slot in self.active[mark:] if slot[0] == "t"]
        del self.active[mark:]
        if slots:
            self.emit(ir.Forget(slots))

    def disown(self, names: Iterable[str]) -> None:
        """The containers of `names` become reachable from elsewhere."""
        shared = sorted({self.variable(name) for name in names if name in self.mutated})
        if shared:
            self.emit(ir.Disown(shared))

    def site(self, kind: ir.EffectKind, at: int, **facts: object) -> ir.Site:
        """A new place where the body can wait."""
        number = self._ordinal("site")
        site = ir.Site(f"{self.where}#{number}", kind, at, **facts)  # type: ignore[arg-type]  # fields of Site
        site.slots = tuple(self.active)
        self.sites.append(site)
        return site

    @contextmanager
    def at(self, step: str) -> Iterator[None]:
        """Statements inside the block are below `step` in the tree."""
        outer, self.where = self.where, f"{self.where}.{step}"
        try:
            yield
        finally:
            self.where = outer

    def finish(self, statements: list[ir.Stmt], params: list[str]) -> ir.Body:
        """The finished body."""
        variables = [f"v{number}" for number in range(len(self.variables))]
        owners = sorted(self._slot_of[name] for name in self.mutated if name in self._slot_of)
        flags = [f"o{slot[1:]}" for slot in owners]
        for flag, slot in zip(flags, owners, strict=True):
            self._names[flag] = f"o:{self._names[slot][2:]}"
        return ir.Body(
            kind=self.kind,
            name=self.name,
            params=params,
            statements=statements,
            variables=self.variables,
            slots=[*variables, *self._extra, *flags],
            slot_names=self._names,
            owners=owners,
            sites=self.sites,
            spans=self.spans,
            restores=self.restores,
            size_bytes=self.size_bytes,
            calls_fn=self.calls_fn,
            loops=self.loops,
            ends=self.ends,
        )

    def prepare(self, statements: Iterable[ast.Statement], params: Mapping[str, object] | list[str]) -> None:
        """Declare parameters (bound from the start) and find what the body changes in place."""
        self.mutated = frozenset(mutated(statements))
        for name in params:
            self.bound.add(self.variable(name))
