"""What kinds a slot can hold, so that generated code may use native operators.

The result only ever removes tests: a program means the same without it. A kind set is a bit mask; for numbers there
is also a bound on the magnitude (`bits`; 64 means none, and then a NaN or an infinity is possible) and whether they
are known not to be negative.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from lashlang.machine import ir

NULL: Final = 1
BOOL: Final = 2
NUM: Final = 4
STR: Final = 8
LIST: Final = 16
REC: Final = 32
OTHER: Final = 64
UNBOUNDED: Final = 64
"""`bits` of a number about whose magnitude nothing is known."""


class Kinds(NamedTuple):
    """A set of kinds with what is known about its numbers."""

    mask: int
    bits: int = 0
    natural: bool = True

    def join(self, other: Kinds) -> Kinds:
        """The kinds of a value that is one or the other."""
        return Kinds(self.mask | other.mask, max(self.bits, other.bits), self.natural and other.natural)

    def only(self, mask: int) -> bool:
        """Whether no kind outside `mask` is possible."""
        return not self.mask & ~mask


ANY: Final = Kinds(127, UNBOUNDED, False)
NUMBER: Final = Kinds(NUM, UNBOUNDED, False)
COUNT: Final = Kinds(NUM, 23, True)
_BOOL: Final = Kinds(BOOL)
_STR: Final = Kinds(STR)
_LIST: Final = Kinds(LIST)
_REC: Final = Kinds(REC)

_BUILTINS: Final[dict[str, Kinds]] = {
    "len": COUNT,
    "find": COUNT.join(Kinds(NULL)),
    **dict.fromkeys(("empty", "contains", "starts_with", "ends_with"), _BOOL),
    **dict.fromkeys(("to_string", "join", "trim", "format", "replace", "lower", "upper", "to_json"), _STR),
    **dict.fromkeys(
        ("keys", "values", "grep_text", "split", "range", "push", "sort", "sort_by", "unique"), _LIST
    ),
    **dict.fromkeys(("to_int", "to_float", "ceil_div", "floor_div", "round", "sum"), NUMBER),
    "abs": Kinds(NUM, UNBOUNDED, True),
    "merge": _REC,
}
_PASSES: Final = 12


class Inference:
    """The kinds of every slot of one body."""

    def __init__(self, body: ir.Body) -> None:
        self.slots: dict[str, Kinds] = {}
        self._widen = False
        for param in body.params:
            self.slots[f"v{body.variables.index(param)}"] = ANY
        for slot in _unsure(body):
            self.slots[slot] = ANY
        for turn in range(_PASSES):
            self._widen = turn > 2
            before = dict(self.slots)
            self._statements(body.statements)
            if before == self.slots:
                break
        else:
            self.slots = dict.fromkeys(body.slots, ANY)

    def of(self, node: ir.Expr) -> Kinds:
        """The kinds of an expression."""
        match node:
            case ir.Const():
                return _constant(node.value)
            case ir.Var():
                return self.slots.get(node.slot, Kinds(0))
            case ir.Binary():
                return self._binary(node)
            case ir.Negative():
                return Kinds(NUM, max(1, self.of(node.operand).bits), False)
            case ir.Concat() | ir.Template():
                return _STR
            case ir.Opposite() | ir.Both() | ir.Truth():
                return _BOOL
            case ir.Choice():
                return self.of(node.then).join(self.of(node.otherwise))
            case ir.Default():
                left = self.of(node.left)
                return Kinds(left.mask & ~NULL, left.bits, left.natural).join(self.of(node.right))
            case ir.Items():
                return _LIST
            case ir.Fields() | ir.Schema() | ir.Wrapped():
                return _REC
            case ir.Builtin():
                return _BUILTINS.get(node.name, ANY)
            case _:
                return ANY

    def _binary(self, node: ir.Binary) -> Kinds:
        if node.op in ("==", "!=", "<", "<=", ">", ">=", "in"):
            return _BOOL
        a, b = self.of(node.left), self.of(node.right)
        if node.op == "+" and not (a.only(NUM) and b.only(NUM)):
            if a.only(STR) or b.only(STR):
                return _STR
            return Kinds(NUM | STR | LIST, UNBOUNDED, False)
        both = a.only(NUM) and b.only(NUM)
        match node.op:
            case "+":
                return _bounded(max(a.bits, b.bits) + 1, a.natural and b.natural)
            case "-":
                return _bounded(max(a.bits, b.bits) + 1 if both else UNBOUNDED, False)
            case "*":
                return _bounded(a.bits + b.bits if both else UNBOUNDED, both and a.natural and b.natural)
            case "%" if both and b.bits < UNBOUNDED and a.bits < UNBOUNDED:
                zero = not isinstance(node.right, ir.Const)
                return Kinds(NUM, UNBOUNDED if zero else min(a.bits, b.bits), a.natural)
            case _:
                return Kinds(NUM, UNBOUNDED, both and a.natural and b.natural)

    def _statements(self, statements: list[ir.Stmt]) -> None:
        for node in statements:
            match node:
                case ir.Let():
                    self._assign(node.slot, self.of(node.value))
                case ir.Put() | ir.Extend():
                    self._assign(node.slot, ANY)
                case ir.Push():
                    self._assign(node.slot, _LIST)
                case ir.Branch():
                    self._statements(node.then)
                    self._statements(node.otherwise)
                case ir.Loop():
                    self._statements(node.body)
                case ir.Each():
                    self._assign(node.variable, self._element(node))
                    self._statements(node.body)
                case ir.Attempt():
                    self._statements(node.body)
                    self._assign(node.slot, _REC)
                case ir.Perform() if node.slot is not None:
                    self._assign(node.slot, ANY)
                case _:
                    pass

    def _element(self, node: ir.Each) -> Kinds:
        if not node.ranged:
            return ANY
        if len(node.iterable) == 1:
            return Kinds(NUM, 20, True)
        start = self.of(node.iterable[0])
        step = node.iterable[2] if len(node.iterable) == 3 else ir.Const(1)
        rising = isinstance(step, ir.Const) and type(step.value) is int and 0 < step.value < 2**20
        if not (start.only(NUM) and rising):
            return Kinds(NUM, 63, False)
        return Kinds(NUM, min(63, max(start.bits, 41) + 1), start.natural)

    def _assign(self, slot: str, kinds: Kinds) -> None:
        known = self.slots.get(slot)
        if known is None:
            self.slots[slot] = kinds
            return
        joined = known.join(kinds)
        if self._widen and joined.bits > known.bits:
            joined = Kinds(joined.mask, UNBOUNDED, joined.natural)
        self.slots[slot] = joined


def _bounded(bits: int, natural: bool) -> Kinds:
    return Kinds(NUM, bits if bits <= 63 else UNBOUNDED, natural)


def _constant(value: object) -> Kinds:
    match value:
        case None:
            return Kinds(NULL)
        case bool():
            return _BOOL
        case int():
            return Kinds(NUM, value.bit_length(), value >= 0)
        case float():
            small = -(2.0**62) < value < 2.0**62
            return Kinds(NUM, 62 if small else UNBOUNDED, value > 0)
        case str():
            return _STR
        case list():
            return _LIST
        case dict():
            return _REC
        case _:
            return Kinds(OTHER)


def _unsure(body: ir.Body) -> Iterator[str]:
    """Variable slots whose value may come from outside the body: read where they may not be set yet."""
    stack: list[object] = [body.statements]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, ir.Var):
            if not node.sure:
                yield node.slot
        elif isinstance(node, ir._Ir):
            if isinstance(node, ir.Put) and not node.sure:
                yield node.slot
            stack.extend(getattr(node, name) for name in node.__struct_fields__)
