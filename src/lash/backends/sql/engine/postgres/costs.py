"""What scripts cost on a network: statements and waits, by the operation that they are of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lash.backends.sql.engine.postgres.connections import Traffic


@dataclass(slots=True)
class ScriptCost:
    """What the scripts of one operation have cost, whole attempts only."""

    runs: int = 0
    round_trips: int = 0
    most_round_trips: int = 0
    """Of any one run."""
    statements: int = 0

    def note(self, traffic: Traffic) -> None:
        """Count one run."""
        self.runs += 1
        self.round_trips += traffic.round_trips
        self.most_round_trips = max(self.most_round_trips, traffic.round_trips)
        self.statements += traffic.statements


def name_of(script: Callable[..., Any]) -> str:
    """Return the operation that a script is of: where it was written."""
    name = str(getattr(script, "__qualname__", type(script).__qualname__))
    return name.partition(".<locals>")[0]
