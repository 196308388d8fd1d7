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
    """A set of kinds with what is known about its numbers, and about the items of its lists (None: no lists)."""

    mask: int
    bits: int = 0
    natural: bool = True
    whole: bool = True
    item: Kinds | None = None

    def join(self, other: Kinds) -> Kinds:
        """The kinds of a value that is one or the other."""
        both = self.item is not None and other.item is not None
        item = self.item.join(other.item) if both else self.item or other.item  # type: ignore[union-attr,arg-type]  # as tested
        return Kinds(
            self.mask | other.mask,
            max(self.bits, other.bits),
            self.natural and other.natural,
            self.whole and other.whole,
            item,
        )

    def only(self, mask: int) -> bool:
        """Whether no kind outside `mask` is possible."""
        return not self.mask & ~mask

    def integer(self) -> bool:
        """Whether it is a Python int, without a doubt."""
        return self.only(NUM) and self.whole and self.bits < UNBOUNDED

    def holding(self, item: Kinds) -> Kinds:
        """The same where `item` was put into it, if it is a list."""
        return (
            self
            if self.item is ANY
            else self._replace(item=item if self.item is None else self.item.join(item))
        )

    def flat(self, depth: int = 3) -> Kinds:
        """The same with items described to `depth` only, so that a list put into itself ends somewhere."""
        if self.item is None:
            return self
        return self._replace(item=ANY if depth == 0 else self.item.flat(depth - 1))


ANY: Final = Kinds(127, UNBOUNDED, False, False, Kinds(127, UNBOUNDED, False, False))
NUMBER: Final = Kinds(NUM, UNBOUNDED, False, False)
COUNT: Final = Kinds(NUM, 23, True)
_BOOL: Final = Kinds(BOOL)
_STR: Final = Kinds(STR)
_LIST: Final = Kinds(LIST, item=ANY)
_TEXTS: Final = Kinds(LIST, item=_STR)
_REC: Final = Kinds(REC)

_BUILTINS: Final[dict[str, Kinds]] = {
    "len": COUNT,
    "find": COUNT.join(Kinds(NULL)),
    **dict.fromkeys(("empty", "contains", "starts_with", "ends_with"), _BOOL),
    **dict.fromkeys(("to_string", "join", "trim", "format", "replace", "lower", "upper", "to_json"), _STR),
    **dict.fromkeys(("values", "push", "sort", "sort_by", "unique"), _LIST),
    **dict.fromkeys(("keys", "split"), _TEXTS),
    "grep_text": Kinds(LIST, item=_REC),
    **dict.fromkeys(("to_int", "to_float", "ceil_div", "floor_div", "round", "sum"), NUMBER),
    "abs": Kinds(NUM, UNBOUNDED, True, False),
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
                return Kinds(NUM, max(1, self.of(node.operand).bits), False, False)
            case ir.Concat() | ir.Template():
                return _STR
            case ir.Opposite() | ir.Both() | ir.Truth():
                return _BOOL
            case ir.Choice():
                return self.of(node.then).join(self.of(node.otherwise))
            case ir.Default():
                left = self.of(node.left)
                return left._replace(mask=left.mask & ~NULL).join(self.of(node.right))
            case ir.Items():
                made = Kinds(LIST, item=Kinds(0))
                for item in node.items:
                    made = made.holding(self.of(item))
                return made.flat()
            case ir.At():
                target = self.of(node.target)
                if target.only(LIST) and target.item is not None:
                    return target.item.join(Kinds(NULL))
                return ANY
            case ir.Fields() | ir.Schema() | ir.Wrapped():
                return _REC
            case ir.Builtin() if node.name == "range":
                return Kinds(LIST, item=self._counted(node.args))
            case ir.Builtin():
                return _BUILTINS.get(node.name, ANY)
            case _:
                return ANY

    def _binary(self, node: ir.Binary) -> Kinds:
        if node.op in ("==", "!=", "<", "<=", ">", ">=", "in"):
            return _BOOL
        a, b = self.of(node.left), self.of(node.right)
        both = a.only(NUM) and b.only(NUM)
        if node.op == "+" and not both:
            return self._joined(a, b)
        natural, whole = both and a.natural and b.natural, both and a.whole and b.whole
        match node.op:
            case "+" | "-" if both:
                return _bounded(max(a.bits, b.bits) + 1, natural=natural and node.op == "+", whole=whole)
            case "*" if both:
                return _bounded(a.bits + b.bits, natural=natural, whole=whole)
            case "%" if both and a.bits < UNBOUNDED and isinstance(node.right, ir.Const) and node.right.value:
                return Kinds(NUM, min(a.bits, b.bits) if b.natural else a.bits, a.natural, whole)
            case _:
                return Kinds(NUM, UNBOUNDED, natural and node.op != "-", False)

    def _joined(self, a: Kinds, b: Kinds) -> Kinds:
        if a.only(STR) or b.only(STR):
            return _STR
        if a.only(LIST) and b.only(LIST):
            return a.join(b)
        return Kinds(NUM | STR | LIST, UNBOUNDED, False, False, ANY)

    def _statements(self, statements: list[ir.Stmt]) -> None:
        for node in statements:
            match node:
                case ir.Let():
                    self._assign(node.slot, self.of(node.value))
                case ir.Put():
                    put = self.of(node.value) if len(node.path) == 1 else ANY
                    self._assign(node.slot, Kinds(0, item=put))
                case ir.Extend():
                    added = self.of(ir.Items(node.items))
                    self._assign(node.slot, self._joined(self.slots.get(node.slot, ANY), added))
                case ir.Push():
                    self._assign(node.slot, Kinds(LIST, item=self.of(node.item)))
                case ir.Collect():
                    self._assign(node.slot, Kinds(LIST, item=self.of(node.item)))
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
            over = self.of(node.iterable[0])
            return over.item if over.item is not None and over.only(LIST) else ANY
        return self._counted(node.iterable)

    def _counted(self, args: list[ir.Expr]) -> Kinds:
        """The numbers of a `range`."""
        if len(args) == 1:
            return Kinds(NUM, 20, True)
        start = self.of(args[0])
        step = args[2] if len(args) == 3 else ir.Const(1)
        rising = isinstance(step, ir.Const) and type(step.value) is int and 0 < step.value < 2**20
        if not (start.only(NUM) and rising):
            return Kinds(NUM, 63, False)
        return Kinds(NUM, min(63, max(start.bits, 41) + 1), start.natural)

    def _assign(self, slot: str, kinds: Kinds) -> None:
        known = self.slots.get(slot)
        if known is None:
            self.slots[slot] = kinds
            return
        self.slots[slot] = (
            _widened(known, known.join(kinds)).flat() if self._widen else known.join(kinds).flat()
        )


def _widened(known: Kinds, joined: Kinds) -> Kinds:
    """`joined` without a bound that is still growing."""
    item = joined.item
    if item is not None and known.item is not None:
        item = _widened(known.item, item)
    bits = UNBOUNDED if joined.bits > known.bits else joined.bits
    return joined._replace(bits=bits, whole=joined.whole and bits < UNBOUNDED, item=item)


def _bounded(bits: int, *, natural: bool, whole: bool) -> Kinds:
    """An arithmetic result: beyond 64 bits an int becomes a float."""
    return Kinds(NUM, bits, natural, whole) if bits <= 63 else Kinds(NUM, UNBOUNDED, natural, False)


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
            return Kinds(NUM, 62 if small else UNBOUNDED, value > 0, False)
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
