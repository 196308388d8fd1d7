"""Subjects from the factory of one contract: `make()`, or `make(clock)`, sync or async."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from lash.testing.conformance.case import Case, Feature
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.runner import Missing, Opened
from lash.testing.conformance.trial import Declared, Reopenable

Make = Callable[..., Any]  # a user's factory: its result is checked by the cases


class FactorySource:
    """A `Source` over a factory of one contract.

    Args:
        make: The factory.
        declared: What the caller expects its subjects to report.
        offers: Features that the caller vouches for.
        reopenable: Whether `make` returns a `Reopenable`.
    """

    def __init__(
        self,
        make: Make,
        *,
        declared: Declared | None = None,
        offers: frozenset[Feature] = frozenset(),
        reopenable: bool = False,
    ) -> None:
        self._make = make
        self._declared = declared or Declared()
        self._reopenable = reopenable
        clock = {Feature.CLOCK} if clock_parameter(make) is not None else set()
        second = {Feature.SECOND_HANDLE} if reopenable else set()
        self.features = offers | clock | second

    async def missing(self, case: Case) -> Missing | None:
        """Return None: the caller has chosen the cases for what its factory makes."""
        return None

    async def open(self, case: Case, clock: KitClock) -> Opened:
        """Return a fresh subject."""
        made = await call_factory(self._make, clock)
        if not self._reopenable:
            return Opened(subject=made, declared=self._declared)
        if not isinstance(made, Reopenable):
            raise TypeError(f"a reopenable factory returns Reopenable(open, reopen), got {made!r}")
        return Opened(subject=made.open, reopened=made.reopen, declared=self._declared)


async def call_factory(make: Make, clock: KitClock) -> Any:
    """Call a factory, with the clock if it takes one parameter, and await what it returns if need be."""
    name = clock_parameter(make)
    if name is None:
        made = make()
    elif name:
        made = make(**{name: clock})
    else:
        made = make(clock)
    return await made if inspect.isawaitable(made) else made


def clock_parameter(make: Make) -> str | None:
    """Return how a factory takes the clock: "" by position, a name by keyword, None not at all.

    A parameter called `clock` takes it wherever it stands; otherwise the only required parameter does.
    Optional parameters of other names are the factory's own business.
    """
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        return None
    for parameter in parameters:
        if parameter.name == "clock" and parameter.kind is not parameter.POSITIONAL_ONLY:
            return "clock"
    required = [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return "" if len(required) == 1 else None
