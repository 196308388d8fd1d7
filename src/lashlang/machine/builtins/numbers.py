"""Builtins on numbers (lashlang.md 6)."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

from lashlang.machine.fault import type_error, value_error
from lashlang.machine.meter import Meter
from lashlang.machine.values import MAX_ITEMS, Value, fit, kind, to_index, to_number, whole


def to_int(h: Meter, value: Value) -> int | float:
    """`to_int(x)`: number coercion, then truncation toward zero; NaN and infinities stay."""
    number = to_number(value, "a number for `to_int`")
    return number if type(number) is int or not math.isfinite(number) else fit(int(number))


def to_float(h: Meter, value: Value) -> int | float:
    """`to_float(x)`: number coercion."""
    return to_number(value, "a number for `to_float`")


def ceil_div(h: Meter, a: Value, b: Value) -> int | float:
    """`ceil_div(a, b)`: the exact quotient, rounded up."""
    x, y = _quotient("ceil_div", a, b)
    return fit(-(-x // y))


def floor_div(h: Meter, a: Value, b: Value) -> int | float:
    """`floor_div(a, b)`: the exact quotient, rounded down."""
    x, y = _quotient("floor_div", a, b)
    return fit(x // y)


def _quotient(name: str, a: Value, b: Value) -> tuple[int, int]:
    x = whole(a, f"the first argument of `{name}`")
    y = whole(b, f"the second argument of `{name}`")
    if y == 0:
        raise value_error(f"`{name}` cannot divide by zero")
    return x, y


def spread(args: tuple[Value, ...]) -> range:
    """The numbers of `range(…)`, checked but not made."""
    numbers = [whole(arg, f"argument {at} of `range`") for at, arg in enumerate(args, 1)]
    if len(numbers) == 3 and numbers[2] == 0:
        raise value_error("the step of `range` must not be 0")
    if any(abs(number) > 2**62 for number in numbers):
        raise value_error(f"`range` of more than {MAX_ITEMS} items")
    made = range(*numbers)
    if len(made) > MAX_ITEMS:
        raise value_error(f"`range` of {len(made)} items; at most {MAX_ITEMS} are possible")
    return made


def range_list(h: Meter, *args: Value) -> list[Value]:
    """`range(end)`, `range(start, end)`, `range(start, end, step)`."""
    made = spread(args)
    h.items(len(made))
    return list[Value](made)


def round_number(h: Meter, value: Value, digits: Value = 0) -> int | float:
    """`round(x[, digits])`: half away from zero."""
    number = to_number(value, "a number for `round`")
    places = to_index(digits, "the digits of `round`")
    if not math.isfinite(number) or abs(places) > 300:
        return number
    if type(number) is int and places >= 0:
        return number
    step = Decimal(1).scaleb(-places)
    exact = Decimal(repr(number))
    if exact.adjusted() + places > 25:
        return number
    rounded = exact.quantize(step, rounding=ROUND_HALF_UP)
    return fit(int(rounded)) if places <= 0 else float(rounded)


def absolute(h: Meter, value: Value) -> int | float:
    """`abs(x)`."""
    return fit(abs(to_number(value, "a number for `abs`")))


def total(h: Meter, items: Value) -> int | float:
    """`sum(list)`: of numbers only; 0 for an empty list."""
    if type(items) is not list:
        raise type_error(f"`sum` requires a list, got {kind(items)}")
    h.work(len(items))
    result: int | float = 0
    for at, item in enumerate(items):
        if type(item) is not int and type(item) is not float:
            raise type_error(f"`sum` requires numbers, but item {at} is {kind(item)}")
        result = fit(result + item)
    return result
