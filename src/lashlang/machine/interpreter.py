"""The plain interpreter of the intermediate form: slow, obvious, and what generated code is tested against.

It walks the nodes and calls the same helpers, so it decides nothing by itself: order, charges and ownership come from
the form. It cannot park; effects are answered by a `perform` that returns at once. `lash` never runs programs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import assert_never

from lashlang.machine import access, ir, operators, projection
from lashlang.machine.border import to_host
from lashlang.machine.builtins import TABLE, arity_error
from lashlang.machine.builtins.numbers import spread
from lashlang.machine.builtins.text import fill
from lashlang.machine.codegen import failed, reject, say, undefined
from lashlang.machine.equality import equal
from lashlang.machine.fault import Fault
from lashlang.machine.meter import Meter
from lashlang.machine.schema import schema
from lashlang.machine.values import IDLE, UNSET, Value, truthy


class _Stop(Exception):
    pass


class _Again(Exception):
    pass


class _Ended(Exception):
    def __init__(self, how: str, value: Value) -> None:
        self.how = how
        self.value = value


class Interpreter:
    """Runs one body. `slots` is what it holds, also after a failure; `place` is where the failure was."""

    def __init__(
        self,
        meter: Meter,
        body: ir.Body,
        functions: Mapping[str, ir.Body],
        perform: Callable[..., Value],
        values: Mapping[str, Value],
        stack: list[Interpreter] | None = None,
    ) -> None:
        self.h = meter
        self.body = body
        self.functions = functions
        self.perform = perform
        self.place: tuple[int, int] | None = None
        self.slots: dict[str, Value] = {slot: ir.initial(slot) for slot in body.slots}
        self.slots.update({f"v{body.variables.index(name)}": value for name, value in values.items()})
        self.stack = stack if stack is not None else []

    def run(self) -> tuple[str, Value]:
        """Run to the end: how it ended (`finish`, `fail`, `return`, `end`) and with which value."""
        self.stack.append(self)
        if not self.stack[:-1]:
            self.h.roots = self._roots
        try:
            if self.body.kind == "fn":
                self.h.enter()
            if self.body.size_bytes:
                self._charge(self.body.size_bytes)
            self._block(self.body.statements)
        except _Ended as ended:
            return ended.how, ended.value
        else:
            return "end", None
        finally:
            self.stack.pop()

    def _roots(self) -> Iterator[Value]:
        for frame in self.stack:
            yield from (value for slot, value in frame.slots.items() if slot[0] in "vtqs")

    def _charge(self, size_bytes: int) -> None:
        self.h.m -= size_bytes
        if self.h.m < 0:
            self.h.m = self.h.grab(self.h.m)

    @contextmanager
    def _at(self, at: int) -> Iterator[None]:
        """Faults and halts inside are placed at `at`, unless they were placed further in."""
        try:
            yield
        except (_Stop, _Again, _Ended):
            raise
        except Exception:
            if self.place is None:
                self.place = self.body.spans[at]
            raise

    # --- statements ---

    def _block(self, statements: list[ir.Stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: ir.Stmt) -> None:
        match node:
            case ir.Let():
                self._set(node.slot, self._value(node.value), owned=node.owned)
            case ir.Put():
                self._put(node)
            case ir.Push():
                self._grow(node.slot, node.at, self._value(node.item), access.push)
            case ir.Extend():
                self._grow(node.slot, node.at, [self._value(item) for item in node.items], access.extend)
            case ir.Collect():
                self.slots[node.slot].append(self._value(node.item))
            case ir.Forget():
                self.slots.update(dict.fromkeys(node.slots))
            case ir.Disown():
                self.slots.update(dict.fromkeys([f"o{slot[1:]}" for slot in node.slots], False))
            case ir.Do():
                self._value(node.value)
            case ir.Reject():
                with self._at(node.at):
                    reject(node.code, node.message)
            case ir.Print():
                value = self._value(node.value)
                with self._at(node.at):
                    say(self.h, value)
            case ir.Branch():
                self._block(node.then if self._test(node.condition) else node.otherwise)
            case ir.Loop():
                self._loop(node)
            case ir.Each():
                self._each(node)
            case ir.Stop():
                raise _Stop
            case ir.Again():
                raise _Again
            case ir.Attempt():
                self._attempt(node)
            case ir.Perform():
                args = [self._value(arg) for arg in node.args]
                with self._at(node.at):
                    result = self.perform(node.site, *args)
                if node.slot is not None:
                    self._set(node.slot, result, owned=True)
            case ir.End():
                value = self._value(node.value)
                if node.how == "return":
                    self.h.leave(value)
                else:
                    with self._at(node.at):
                        value = to_host(self.h, value)
                raise _Ended(node.how, value)
            case _:
                assert_never(node)

    def _set(self, slot: str, value: Value, *, owned: bool) -> None:
        self.slots[slot] = value
        if slot in self.body.owners:
            self.slots[f"o{slot[1:]}"] = owned

    def _put(self, node: ir.Put) -> None:
        path = tuple([self._value(step) for step in node.path])
        value = self._value(node.value)
        flag = f"o{node.slot[1:]}"
        with self._at(node.at):
            if self.slots[node.slot] is UNSET:
                undefined(self.body.variables[int(node.slot[1:])])
            self.slots[node.slot] = access.store(self.h, self.slots[node.slot], path, value, self.slots[flag])
        self.slots[flag] = True

    def _grow(self, slot: str, at: int, added: Value, grow: Callable[..., Value]) -> None:
        flag = f"o{slot[1:]}"
        with self._at(at):
            self.slots[slot] = grow(self.h, self.slots[slot], added, self.slots[flag])
        self.slots[flag] = True

    def _turn(self, size_bytes: int, at: int) -> None:
        with self._at(at):
            self.h.f -= 1
            if self.h.f < 0:
                self.h.f = self.h.refill()
            if size_bytes:
                self._charge(size_bytes)

    def _loop(self, node: ir.Loop) -> None:
        try:
            while self._test(node.condition):
                self._turn(node.size_bytes, node.at)
                try:
                    self._block(node.body)
                except _Again:
                    continue
        except _Stop:
            pass

    def _each(self, node: ir.Each) -> None:
        queue, saved = f"q{node.number}", f"s{node.number}"
        args = [self._value(arg) for arg in node.iterable]
        with self._at(node.at):
            lazily = isinstance(node.iterable[0], ir.Rows)
            self.slots[queue] = (
                spread(tuple(args)) if node.ranged else args[0] if lazily else access.iterable(args[0])
            )
        if node.restores:
            self.slots[saved] = self.slots[node.variable]
        try:
            for item in self._items(self.slots[queue], node.at):
                self.slots[node.variable] = item
                self._turn(node.size_bytes, node.at)
                self._set(node.variable, item, owned=False)
                try:
                    self._block(node.body)
                except _Again:
                    continue
        except _Stop:
            pass
        except _Ended:
            self._restore(node, saved)
            raise
        self._restore(node, saved)
        self.slots[queue] = None

    def _items(self, source: Value, at: int) -> Iterator[Value]:
        """The items of a loop's source; those of a projected list can fail to be read."""
        for place in range(len(source)):
            with self._at(at):
                item = source[place]
            yield item

    def _restore(self, node: ir.Each, saved: str) -> None:
        if node.restores:
            self._set(node.variable, self.slots[saved], owned=False)
            self.slots[saved] = IDLE

    def _attempt(self, node: ir.Attempt) -> None:
        calls = self.h.calls if self.body.kind == "fn" else 0
        try:
            self._block(node.body)
        except Fault as fault:
            self.place = None
            for frame in self.stack:
                frame.place = None
            with self._at(node.at):
                self.slots[node.slot] = failed(self.h, fault, calls)
            self.slots.update(dict.fromkeys(node.holders))

    # --- expressions ---

    def _test(self, node: ir.Expr) -> bool:
        return truthy(self._value(node))

    def _value(self, node: ir.Expr) -> Value:
        match node:
            case ir.Const():
                return node.value
            case ir.Var():
                return self._read(node)
            case ir.Both():
                for operand in node.operands:
                    if self._test(operand) is not node.every:
                        return not node.every
                return node.every
            case ir.Choice():
                return self._value(node.then if self._test(node.condition) else node.otherwise)
            case ir.Default():
                left = self._value(node.left)
                return self._value(node.right) if left is None else left
            case ir.Opposite():
                return not self._test(node.operand)
            case ir.Truth():
                return self._test(node.operand)
            case ir.Items():
                return [self._value(item) for item in node.items]
            case ir.Fields():
                values = [self._value(value) for value in node.values]
                return dict(zip(node.keys, values, strict=True))
            case ir.Wrapped():
                return {"ok": True, "value": self._value(node.operand)}
            case _:
                return self._operation(node)

    def _read(self, node: ir.Var) -> Value:
        value = self.slots[node.slot]
        if value is UNSET:
            with self._at(node.at):
                undefined(self.body.variables[int(node.slot[1:])])
        return value

    def _operation(self, node: ir.Expr) -> Value:
        """Expressions that evaluate their operands, then do one thing that can fail."""
        h = self.h
        match node:
            case ir.Binary():
                a, b = self._value(node.left), self._value(node.right)
                with self._at(node.at):
                    return self._binary(node.op, a, b)
            case ir.Concat():
                parts = [self._value(part) for part in node.parts]
                with self._at(node.at):
                    return operators.concat(h, *parts)
            case ir.Template():
                args = tuple([self._value(arg) for arg in node.args])
                with self._at(node.at):
                    return fill(h, node.parts, args)
            case ir.Negative():
                operand = self._value(node.operand)
                with self._at(node.at):
                    return operators.negate(operand)
            case ir.Read():
                target = self._value(node.target)
                with self._at(node.at):
                    return access.field(target, node.name)
            case ir.At():
                target, place = self._value(node.target), self._value(node.index)
                with self._at(node.at):
                    return access.index(target, place)
            case ir.Reach():
                target, step = self._value(node.target), self._value(node.step)
                with self._at(node.at):
                    reach = projection.reach_field if node.by_name else projection.reach_index
                    return reach(h, target, step)
            case ir.Whole() | ir.Rows():
                part = self._value(node.operand)
                with self._at(node.at):
                    return (
                        projection.whole(h, part) if isinstance(node, ir.Whole) else projection.rows(h, part)
                    )
            case ir.Opened():
                wrapper = self._value(node.value)
                with self._at(node.at):
                    return access.unwrap(h, wrapper)
            case ir.Builtin() | ir.FnCall() | ir.Schema():
                arguments = [self._value(arg) for arg in node.args]
                with self._at(node.at):
                    return self._call(node, arguments)
            case _:
                raise TypeError(f"not an operation: {node!r}")

    def _binary(self, op: str, a: Value, b: Value) -> Value:
        match op:
            case "+":
                return operators.add(self.h, a, b)
            case "==":
                return equal(self.h, a, b)
            case "!=":
                return not equal(self.h, a, b)
            case "in":
                return operators.is_in(self.h, a, b)
            case "<" | "<=" | ">" | ">=":
                return _ORDERS[op](self.h, a, b)
            case _:
                return _PLAIN[op](a, b)

    def _call(self, node: ir.Builtin | ir.FnCall | ir.Schema, args: list[Value]) -> Value:
        match node:
            case ir.Schema():
                return schema(self.h, node.ty, node.names, *args)
            case ir.Builtin() if node.name[0] == "!":
                return arity_error(self.h, node.name[1:], *args)
            case ir.Builtin() if node.projected:
                return projection.call(self.h, node.name, TABLE[node.name][0], *args)
            case ir.Builtin():
                return TABLE[node.name][0](self.h, *args)
        body = self.functions[node.name]
        values = dict(zip(body.params, args, strict=True))
        callee = Interpreter(self.h, body, self.functions, self.perform, values, self.stack)
        try:
            return callee.run()[1]
        except Exception:
            self.place = self.place or callee.place
            raise


_PLAIN: dict[str, Callable[[Value, Value], Value]] = {
    "-": operators.subtract,
    "*": operators.multiply,
    "/": operators.divide,
    "%": operators.remainder,
}

_ORDERS: dict[str, Callable[[Meter, Value, Value], bool]] = {
    "<": operators.less,
    "<=": operators.less_equal,
    ">": operators.greater,
    ">=": operators.greater_equal,
}
