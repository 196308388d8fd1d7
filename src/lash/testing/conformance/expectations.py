"""How a case says what it expects. A claim that does not hold is an `AssertionError` with the claim's words.

Not `assert`: that is switched off by `python -O`, and without pytest it says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from lash.values import Json, canonical_json, plain

T = TypeVar("T")

WAIT_S = (
    30.0  # what a wake-up may take on a machine that is busy with other things; the seed gives one or two
)


def expect(condition: object, claim: str) -> None:
    """Fail with `claim` unless the condition holds."""
    if not condition:
        raise AssertionError(claim)


def expect_equal(actual: object, expected: object, claim: str) -> None:
    """Fail unless both are equal."""
    if actual == expected:
        return
    raise AssertionError(f"{claim}: expected {_shown(expected)}, got {_shown(actual)}")


def expect_json(actual: Json, expected: Json, claim: str) -> None:
    """Fail unless both are the same JSON: 1, 1.0 and true are three values (rule R-1)."""
    if canonical_json(plain(actual)) != canonical_json(plain(expected)):
        raise AssertionError(f"{claim}: expected {_shown(expected)}, got {_shown(actual)}")


def expect_present(value: T | None, claim: str) -> T:
    """Return the value, failing when it is None."""
    if value is None:
        raise AssertionError(f"{claim}: got nothing")
    return value


def expect_only(found: Sequence[T], claim: str) -> T:
    """Return the only item, failing when there is none or more than one."""
    if len(found) != 1:
        raise AssertionError(f"{claim}: expected exactly one, got {_shown(found)}")
    return found[0]


def expect_kind(value: object, kind: type[T], claim: str) -> T:
    """Return the value, failing when it is of another kind."""
    if not isinstance(value, kind):
        raise AssertionError(f"{claim}: expected {kind.__name__}, got {_shown(value)}")
    return value


@contextmanager
def refused(code: str | None, claim: str, *, says: str = "") -> Iterator[None]:
    """Fail unless the block is refused.

    Args:
        code: The code that the refusal must have; None where any coded refusal will do.
        claim: What the refusal protects.
        says: Text that the message must contain.
    """
    try:
        yield
    except Exception as error:
        found = getattr(error, "code", None)
        if isinstance(error, AssertionError):
            raise
        if not isinstance(found, str):
            raise AssertionError(f"{claim}: refused without a code, by {_shown(error)}") from error
        if code is not None and found != code:
            raise AssertionError(f"{claim}: expected {code}, refused as {_shown(error)}") from error
        if says not in str(error):
            raise AssertionError(f"{claim}: {str(error)!r} does not say {says!r}") from error
    else:
        raise AssertionError(f"{claim}: expected {code or 'a refusal'}, but it was accepted")


def wait_ms() -> int:
    """Return how long a wake-up may take, in milliseconds."""
    return round(WAIT_S * 1000)


async def soon(awaitable: Awaitable[T], claim: str) -> T:
    """Return what the awaitable gives, failing when that takes longer than a wake-up may take."""
    try:
        async with asyncio.timeout(WAIT_S):
            return await awaitable
    except TimeoutError:
        raise AssertionError(f"{claim}: nothing happened within {WAIT_S:g} s") from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 600 else text[:600] + "…"
