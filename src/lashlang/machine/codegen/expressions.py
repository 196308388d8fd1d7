"""Expressions of the intermediate form as Python expressions.

The text of an expression may span lines: whatever can fail starts on a line of its own, below a comment with the
number of its place, so that the line of a traceback is the place in the program. Nothing of the program's text gets
into the Python text except through `repr` of an exact string or number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from lashlang.machine import ir
from lashlang.machine.equality import FREE_TEXT
from lashlang.machine.inference import BOOL, LIST, NULL, NUM, REC, STR, Inference, Kinds
from lashlang.machine.values import I64_MAX, I64_MIN, Value, to_text

_HELPERS: Final = {
    "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "remainder",
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
    "==": "equal", "!=": "not_equal", "in": "is_in",
}  # fmt: skip
_ORDER: Final = frozenset({"<", "<=", ">", ">="})
_WITH_METER: Final = frozenset({"+", "==", "!=", "in", *_ORDER})
_MAX_INLINE_PARTS: Final = 8


class Expressions:
    """Turns expressions of one body into text; constants that have no literal go into `constants`."""

    def __init__(self, inference: Inference, body: ir.Body, constants: list[Value]) -> None:
        self._kinds = inference
        self._body = body
        self._constants = constants
        self._scratch = 0

    def value(self, node: ir.Expr) -> str:
        """Text that evaluates to the value of `node`."""
        return self._EMIT[type(node)](self, node)

    def condition(self, node: ir.Expr) -> str:
        """Text whose Python truth is the truth of `node`."""
        match node:
            case ir.Both():
                return (
                    "(" + (" and " if node.every else " or ").join(map(self.condition, node.operands)) + ")"
                )
            case ir.Opposite():
                return f"(not {self.condition(node.operand)})"
            case ir.Truth():
                return self.condition(node.operand)
        kinds = self._kinds.of(node)
        if kinds.only(BOOL | STR | NULL) or (kinds.only(BOOL | NUM | STR | NULL) and kinds.bits < 64):
            return self.value(node)
        if isinstance(node, ir.Var) and node.sure:
            return f"({node.slot} if type_({node.slot}) is bool_ else truthy({node.slot}))"
        return f"truthy({self.value(node)})"

    def truth(self, node: ir.Expr) -> str:
        """Text that evaluates to the truth of `node` as a bool."""
        if self._kinds.of(node).only(BOOL):
            return self.value(node)
        return f"(not not {self.condition(node)})"

    def scratch(self) -> str:
        """A local name for a value within one statement."""
        self._scratch += 1
        return f"y{self._scratch}"

    def fresh_statement(self) -> None:
        """Scratch names may be used again."""
        self._scratch = 0

    def constant(self, value: Value) -> str:
        """A literal, or the name of a constant that has none."""
        if value is None or type(value) in (bool, str):
            return repr(value)
        if type(value) is int or (type(value) is float and math.isfinite(value)):
            return repr(value) if value > 0 or repr(value) == "0" else f"({value!r})"
        self._constants.append(value)
        return f"k{len(self._constants) - 1}"

    # --- operands ---

    def _atom(self, node: ir.Expr) -> tuple[str, str]:
        """`node` as (text that evaluates it once, name or literal that repeats it afterwards)."""
        if isinstance(node, ir.Const) and (node.value is None or type(node.value) in (bool, int, str)):
            text = self.constant(node.value)
            return text, text
        if isinstance(node, ir.Var) and node.sure:
            return node.slot, node.slot
        text = self.value(node)
        name = self.scratch()
        return f"({name} := {text})", name

    def _var(self, node: ir.Var) -> str:
        if node.sure:
            return node.slot
        return f"({node.slot} if {node.slot} is not U else \n#{node.at}\nundefined({self._name(node.slot)}))"

    def _name(self, slot: str) -> str:
        return repr(self._body.variables[int(slot[1:])])

    def _helper(self, at: int, call: str) -> str:
        return f"\n#{at}\n{call}"

    # --- operators ---

    def _binary(self, node: ir.Binary) -> str:
        a, b = self._kinds.of(node.left), self._kinds.of(node.right)
        if node.op in ("==", "!="):
            return self._equality(node, a, b)
        if node.op in _ORDER:
            return self._ordering(node, a, b)
        if node.op in ("+", "-", "*"):
            return self._arithmetic(node, a, b)
        positive = isinstance(node.right, ir.Const) and type(node.right.value) is int and node.right.value > 0
        if node.op == "%" and positive:
            if a.only(NUM) and a.natural:
                return f"({self.value(node.left)} % {self.value(node.right)})"
            first, name = self._atom(node.left)
            number = self.value(node.right)
            call = self._helper(node.at, f"remainder({name}, {number})")
            if a.integer():
                return f"({name} % {number} if {first} >= 0 else {call})"
            return f"({name} % {number} if type_({first}) is int_ and {name} >= 0 else {call})"
        return self._call(node)

    def _call(self, node: ir.Binary, left: str | None = None, right: str | None = None) -> str:
        args = f"{left or self.value(node.left)}, {right or self.value(node.right)}"
        meter = "h, " if node.op in _WITH_METER else ""
        return self._helper(node.at, f"{_HELPERS[node.op]}({meter}{args})")

    def _fitted(self, text: str, *, natural: bool = False) -> str:
        name = self.scratch()
        if natural:
            return f"({name} if ({name} := {text}) <= {I64_MAX} else float_({name}))"
        return f"({name} if {I64_MIN} <= ({name} := {text}) <= {I64_MAX} else float_({name}))"

    def _arithmetic(self, node: ir.Binary, a: Kinds, b: Kinds) -> str:
        if a.only(NUM) and b.only(NUM):
            text = f"({self.value(node.left)} {node.op} {self.value(node.right)})"
            made = self._kinds.of(node)
            return text if made.bits <= 63 else self._fitted(text, natural=made.natural)
        if not (a.mask & NUM and b.mask & NUM):
            return self._call(node)
        left, x = self._atom(node.left)
        right, y = self._atom(node.right)
        quick = self._fitted(f"{x} {node.op} {y}")
        tests = self._both_int((left, x, a), (right, y, b))
        return f"({quick} if {tests} else {self._call(node, x, y)})"

    def _both_int(self, left: tuple[str, str, Kinds], right: tuple[str, str, Kinds]) -> str:
        """A test that both operands are ints (numbers that inference knows need none), evaluating each once.

        The right operand is evaluated even when the left one fails the test: bitwise `&` of two bools.
        """
        (one, x, a), (two, y, b) = left, right
        if a.only(NUM) and one == x:
            return f"type_({two}) is int_"
        if b.only(NUM) and two == y:
            return f"type_({one}) is int_"
        if two == y:
            return f"type_({one}) is int_ and type_({y}) is int_"
        if one == x:
            return f"type_({two}) is int_ and type_({x}) is int_"
        return f"(type_({one}) is int_) & (type_({two}) is int_)"

    def _ordering(self, node: ir.Binary, a: Kinds, b: Kinds) -> str:
        texts = a.only(STR) and b.only(STR) and _compared_for_free(node)
        if texts or (a.only(NUM) and b.only(NUM)):
            return f"({self.value(node.left)} {node.op} {self.value(node.right)})"
        if not (a.mask & NUM and b.mask & NUM):
            return self._call(node)
        left, x = self._atom(node.left)
        right, y = self._atom(node.right)
        tests = self._both_int((left, x, a), (right, y, b))
        return f"({x} {node.op} {y} if {tests} else {self._call(node, x, y)})"

    def _equality(self, node: ir.Binary, a: Kinds, b: Kinds) -> str:
        for one, other in ((node.left, node.right), (node.right, node.left)):
            literal = isinstance(one, ir.Const) and (one.value is None or type(one.value) is bool)
            if literal and not isinstance(other, ir.Const):
                negated = " not" if node.op == "!=" else ""
                return f"({self.value(other)} is{negated} {self.value(one)})"
        simple = NUM | STR | NULL
        plain = (a.only(simple) and b.only(simple)) or (a.only(BOOL) and b.only(BOOL))
        plain = plain or a.only(STR) or b.only(STR) or _not_a_bool(node.left) or _not_a_bool(node.right)
        if plain and (not (a.mask & STR and b.mask & STR) or _compared_for_free(node)):
            return f"({self.value(node.left)} {node.op} {self.value(node.right)})"
        return self._call(node)

    def _negative(self, node: ir.Negative) -> str:
        return self._helper(node.at, f"negate({self.value(node.operand)})")

    # --- text ---

    def _concat(self, node: ir.Concat) -> str:
        return self._joined(node.parts, node.at)

    def _template(self, node: ir.Template) -> str:
        count = sum(type(part) is int for part in node.parts)
        if count > _MAX_INLINE_PARTS or len(node.args) != count or not node.parts:
            self._constants.append(node.parts)
            args = "".join(f"{self.value(arg)}, " for arg in node.args)
            return self._helper(node.at, f"fill(h, k{len(self._constants) - 1}, ({args}))")
        in_order = [part for part in node.parts if type(part) is int] == list(range(count))
        if not in_order:
            self._constants.append(node.parts)
            args = "".join(f"{self.value(arg)}, " for arg in node.args)
            return self._helper(node.at, f"fill(h, k{len(self._constants) - 1}, ({args}))")
        parts = [ir.Const(part) if type(part) is str else node.args[part] for part in node.parts]  # type: ignore[index]  # a number where it is no text
        return self._joined(parts, node.at)

    def _joined(self, parts: list[ir.Expr], at: int) -> str:
        """The texts of `parts` as one string: by `+` when they are few, by a helper that sums first otherwise."""
        dynamic = [part for part in parts if not _is_literal(part)]
        if len(dynamic) > _MAX_INLINE_PARTS or len(parts) < 2:
            return self._helper(at, f"concat(h, {', '.join(map(self.value, parts))})")
        moved = not all(map(_still, dynamic[1:]))
        first: list[str] = []
        then: list[str] = []
        pieces = [self._piece(part, at, first, then, moved=moved) for part in parts]
        text = "f'" + "".join(pieces) + "'"
        if first or then:
            text = f"({', '.join([*first, *then, text])})[-1]"
        return self._helper(at, f"made(h, {text})")

    def _piece(self, part: ir.Expr, at: int, first: list[str], then: list[str], *, moved: bool) -> str:
        """`part` inside a formatted string: escaped text, or the name of a local that holds a text or an int.

        What must be evaluated before goes to `first`, what turns it into text to `then`, so that no value is turned
        into text before all were evaluated.
        """
        if isinstance(part, ir.Const) and _is_literal(part):
            return _inside_quotes(to_text(part.value))
        kinds = self._kinds.of(part)
        known = kinds.only(STR) or kinds.integer()
        if isinstance(part, ir.Var) and part.sure:
            name = part.slot
        elif known or moved:
            name = self.scratch()
            first.append(f"{name} := {self.value(part)}")
        else:
            once, name = self._atom(part)
            return self._converted(once, name, at, first)
        return "{" + name + "}" if known else self._converted(name, name, at, then)

    def _converted(self, once: str, name: str, at: int, where: list[str]) -> str:
        text = self.scratch()
        other = self._helper(at, f"stringify(h, {name})")
        where.append(f"{text} := ({name} if type_({once}) is str_ or type_({name}) is int_ else {other})")
        return "{" + text + "}"

    # --- containers ---

    def _items(self, node: ir.Items) -> str:
        return "[" + ", ".join(map(self.value, node.items)) + "]"

    def _fields(self, node: ir.Fields) -> str:
        pairs = zip(node.keys, node.values, strict=True)
        return "{" + ", ".join(f"{key!r}: {self.value(value)}" for key, value in pairs) + "}"

    def _read(self, node: ir.Read) -> str:
        key = repr(node.name)
        if isinstance(node.target, ir.Const):
            return self._helper(node.at, f"field({self.value(node.target)}, {key})")
        once, name = self._atom(node.target)
        if self._kinds.of(node.target).only(REC):
            return f"({name}[{key}] if {key} in {once} else None)"
        call = self._helper(node.at, f"field({name}, {key})")
        return f"({name}[{key}] if type_({once}) is dict_ and {key} in {name} else {call})"

    def _reach(self, node: ir.Reach) -> str:
        by = "reach_field" if node.by_name else "reach_index"
        return self._helper(node.at, f"{by}(h, {self.value(node.target)}, {self.value(node.step)})")

    def _index(self, node: ir.At) -> str:
        target, xs = self._atom(node.target)
        place, i = self._atom(node.index)
        kinds = self._kinds.of(node.index)
        constant = isinstance(node.target, ir.Const)
        if kinds.only(STR) and not constant and (target == xs or place == i):
            if self._kinds.of(node.target).only(REC):
                return f"({xs}[{i}] if {place} in {target} else None)"
            if place == i:
                call = self._helper(node.at, f"index({xs}, {i})")
                return f"({xs}[{i}] if type_({target}) is dict_ and {i} in {xs} else {call})"
        if constant or kinds.only(STR | NULL | BOOL | LIST | REC) or (target != xs and place != i):
            return self._helper(node.at, f"index({target}, {place})")
        low = "" if kinds.natural and kinds.only(NUM) else f"-len_({xs}) <= "
        a_list, an_int = self._kinds.of(node.target).only(LIST), kinds.integer()
        tests: list[str] = []
        if target != xs:
            tests.append(f"{target} is not U" if a_list else f"type_({target}) is list_")
        if place != i:
            tests.append(f"{place} is not U" if an_int else f"type_({place}) is int_")
        if target == xs and not a_list:
            tests.append(f"type_({xs}) is list_")
        if place == i and not an_int:
            tests.append(f"type_({i}) is int_")
        tests.append(f"{low}{i} < len_({xs})")
        return f"({xs}[{i}] if {' and '.join(tests)} else {self._helper(node.at, f'index({xs}, {i})')})"

    # --- calls ---

    def _builtin(self, node: ir.Builtin) -> str:
        if node.projected:
            args = ", ".join(map(self.value, node.args))
            return self._helper(node.at, f"projected_call(h, {node.name!r}, b_{node.name}, {args})")
        if node.name == "len" and isinstance(node.args[0], ir.Var) and node.args[0].sure:
            name = node.args[0].slot
            call = self._helper(node.at, f"b_len(h, {name})")
            return f"(len_({name}) if type_({name}) is list_ or type_({name}) is str_ else {call})"
        args = "".join(f", {self.value(arg)}" for arg in node.args)
        if node.name[0] == "!":
            return self._helper(node.at, f"arity_error(h, {node.name[1:]!r}{args})")
        return self._helper(node.at, f"b_{node.name}(h{args})")

    def _fn(self, node: ir.FnCall) -> str:
        args = "".join(f", {self.value(arg)}" for arg in node.args)
        return self._helper(node.at, f"fn_{node.name}(h{args})")

    def _schema(self, node: ir.Schema) -> str:
        self._constants += [node.ty, node.names]
        ty, names = len(self._constants) - 2, len(self._constants) - 1
        args = "".join(f", {self.value(arg)}" for arg in node.args)
        return self._helper(node.at, f"schema(h, k{ty}, k{names}{args})")

    def _choice(self, node: ir.Choice) -> str:
        return (
            f"({self.value(node.then)} if {self.condition(node.condition)} else {self.value(node.otherwise)})"
        )

    def _both(self, node: ir.Both) -> str:
        return "(" + (" and " if node.every else " or ").join(map(self.truth, node.operands)) + ")"

    def _default(self, node: ir.Default) -> str:
        if isinstance(node.left, ir.Const):
            return self.value(node.right if node.left.value is None else node.left)
        once, name = self._atom(node.left)
        return f"({name} if {once} is not None else {self.value(node.right)})"

    _EMIT: Final[dict[type, Callable[..., str]]] = {
        ir.Const: lambda self, node: self.constant(node.value),
        ir.Var: _var,
        ir.Binary: _binary,
        ir.Concat: _concat,
        ir.Negative: _negative,
        ir.Opposite: lambda self, node: f"(not {self.condition(node.operand)})",
        ir.Both: _both,
        ir.Choice: _choice,
        ir.Default: _default,
        ir.Items: _items,
        ir.Fields: _fields,
        ir.Read: _read,
        ir.At: _index,
        ir.Reach: _reach,
        ir.Whole: lambda self, node: self._helper(node.at, f"whole(h, {self.value(node.operand)})"),
        ir.Rows: lambda self, node: self._helper(node.at, f"rows(h, {self.value(node.operand)})"),
        ir.Opened: lambda self, node: self._helper(node.at, f"unwrap(h, {self.value(node.value)})"),
        ir.Builtin: _builtin,
        ir.Template: _template,
        ir.FnCall: _fn,
        ir.Schema: _schema,
        ir.Wrapped: lambda self, node: f'{{"ok": True, "value": {self.value(node.operand)}}}',
        ir.Truth: lambda self, node: self.truth(node.operand),
    }


def _inside_quotes(text: str) -> str:
    """`text` as it stands between the single quotes of a formatted string."""
    return repr(text + "\"'")[1:-4].replace("{", "{{").replace("}", "}}")


def _is_literal(node: ir.Expr) -> bool:
    """Whether `node` is a constant whose text is known (that of an authority is made and charged when it is needed)."""
    return isinstance(node, ir.Const) and type(node.value) in (str, int, bool, type(None))


def _still(node: ir.Expr) -> bool:
    """Whether evaluating `node` later changes nothing: it cannot fail and charges nothing."""
    return isinstance(node, ir.Const) or (isinstance(node, ir.Var) and node.sure)


def _compared_for_free(node: ir.Binary) -> bool:
    """Whether one side is a literal so short that comparing it is never charged (`equality.FREE_TEXT`)."""
    sides = (side.value for side in (node.left, node.right) if isinstance(side, ir.Const))
    return any(type(value) is str and len(value) <= FREE_TEXT for value in sides)


def _not_a_bool(node: ir.Expr) -> bool:
    """A constant number that no bool compares equal to in Python."""
    return isinstance(node, ir.Const) and type(node.value) in (int, float) and node.value not in (0, 1)
