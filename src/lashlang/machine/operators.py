"""The operators of the language on values whose kinds are not known (lashlang.md 2.3 to 2.5).

Generated code calls these where inference could not prove the kinds; the plain interpreter always calls them. So an
inlined form may only be used where it gives the same answer as the function here.
"""

from __future__ import annotations

import math
from typing import Final

from lashlang.machine.equality import FREE_TEXT, equal
from lashlang.machine.fault import type_error
from lashlang.machine.meter import Meter
from lashlang.machine.texts import stringify
from lashlang.machine.values import Value, fit, kind, to_number, truthy

_INF: Final = float("inf")
_NAN: Final = float("nan")


def add(h: Meter, a: Value, b: Value) -> Value:
    """`a + b`: numbers add, text concatenates, lists join, everything else is coerced to numbers."""
    t = type(a)
    u = type(b)
    if (t is int or t is float) and (u is int or u is float):
        return fit(a + b)
    if t is str or u is str:
        return concat(h, a, b)
    if t is list and u is list:
        h.items(len(a) + len(b))
        return a + b
    return fit(to_number(a, _operand("+")) + to_number(b, _operand("+")))


def concat(h: Meter, *parts: Value) -> str:
    """The texts of `parts` joined; the length is known before anything is built."""
    texts = [part if type(part) is str else stringify(h, part) for part in parts]
    h.text(sum(map(len, texts)))
    return "".join(texts)


def subtract(a: Value, b: Value) -> Value:
    """`a - b` after number coercion."""
    return fit(to_number(a, _operand("-")) - to_number(b, _operand("-")))


def multiply(a: Value, b: Value) -> Value:
    """`a * b` after number coercion."""
    return fit(to_number(a, _operand("*")) * to_number(b, _operand("*")))


def divide(a: Value, b: Value) -> Value:
    """`a / b`: exact where the quotient is whole, IEEE otherwise, so never an error."""
    x = to_number(a, _operand("/"))
    y = to_number(b, _operand("/"))
    if y == 0:
        if x == 0 or x != x:
            return _NAN
        return math.copysign(_INF, x) * math.copysign(1.0, y)
    if type(x) is int and type(y) is int:
        whole, rest = divmod(x, y)
        return x / y if rest else fit(whole)
    return x / y


def remainder(a: Value, b: Value) -> Value:
    """`a % b` with the sign of the dividend (C `fmod`); NaN where that has no answer."""
    x = to_number(a, _operand("%"))
    y = to_number(b, _operand("%"))
    if y == 0 or x != x or y != y or x in (_INF, -_INF):
        return _NAN
    if type(x) is int and type(y) is int:
        rest = abs(x) % abs(y)
        return -rest if x < 0 else rest
    return math.fmod(x, y)


def negate(a: Value) -> Value:
    """`-a` after number coercion. The negative of an integer zero is the float -0.0, as IEEE has it."""
    number = to_number(a, "a number after `-`")
    return fit(-number) if number else -float(number)


def less(h: Meter, a: Value, b: Value) -> bool:
    """`a < b`: two strings by code point, everything else as numbers."""
    if type(a) is str and type(b) is str:
        _charge(h, a, b)
        return a < b
    return to_number(a, _operand("<")) < to_number(b, _operand("<"))


def less_equal(h: Meter, a: Value, b: Value) -> bool:
    """`a <= b`."""
    if type(a) is str and type(b) is str:
        _charge(h, a, b)
        return a <= b
    return to_number(a, _operand("<=")) <= to_number(b, _operand("<="))


def greater(h: Meter, a: Value, b: Value) -> bool:
    """`a > b`."""
    if type(a) is str and type(b) is str:
        _charge(h, a, b)
        return a > b
    return to_number(a, _operand(">")) > to_number(b, _operand(">"))


def greater_equal(h: Meter, a: Value, b: Value) -> bool:
    """`a >= b`."""
    if type(a) is str and type(b) is str:
        _charge(h, a, b)
        return a >= b
    return to_number(a, _operand(">=")) >= to_number(b, _operand(">="))


def not_equal(h: Meter, a: Value, b: Value) -> bool:
    """`a != b`."""
    return not equal(h, a, b)


def is_false(a: Value) -> bool:
    """`not a`."""
    return not truthy(a)


def is_in(h: Meter, needle: Value, haystack: Value) -> bool:
    """`needle in haystack`: an item of a list, a key of a record, a part of a string; null holds nothing."""
    t = type(haystack)
    if t is list:
        h.work(len(haystack))
        return any(equal(h, item, needle) for item in haystack)
    if haystack is None:
        return False
    if t is dict or t is str:
        if type(needle) is not str:
            raise type_error(f"`in` needs a string on the left of a {kind(haystack)}, got {kind(needle)}")
        h.work(len(haystack) >> 6 if t is str else 0)
        return needle in haystack
    raise type_error(f"`in` needs a list, record or string on the right, got {kind(haystack)}")


def _charge(h: Meter, a: str, b: str) -> None:
    """Charge the comparison of two long texts."""
    size = min(len(a), len(b))
    if size > FREE_TEXT:
        h.work(size >> 6)


def _operand(symbol: str) -> str:
    return f"a number for `{symbol}`"
