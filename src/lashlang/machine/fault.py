"""The two ways in which a running program stops short.

A `Fault` is a mistake of the program: `try` turns it into a wrapper record. A `Halt` is a bound of the host (fuel,
memory, time, cancellation, size): no construct of the language may catch it, which is why it is not a `Fault`.
Both carry a code and a text only; the driver adds the position and turns them into the public error.
"""

from __future__ import annotations


class Fault(Exception):
    """A run-time error of the program itself: `code` is one of lashlang.md 7.9."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Halt(Exception):
    """A bound that the host set was reached; not catchable inside the language."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def type_error(message: str) -> Fault:
    """The wrong kind of value (lashlang.md 7.9)."""
    return Fault("type_error", message)


def value_error(message: str) -> Fault:
    """The right kind of value, but not one that can be used (lashlang.md 7.9)."""
    return Fault("value_error", message)
