"""How many histories a state machine goes through, and on which database.

`LASH_SIMULATION_FACTOR=50` makes every machine go through fifty times as many.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from .worlds import World

KINDS = ("memory", "sqlite", "postgres")
FACTOR = int(os.environ.get("LASH_SIMULATION_FACTOR", "1"))

_EXAMPLES = {"memory": 60, "sqlite": 20, "postgres": 6}


class WorldMachine(RuleBasedStateMachine):
    """A state machine over a world of its own; a subclass for each kind of database is made to be run."""

    kind = "memory"
    new_url: Callable[[], str] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.kind, self.new_url)

    def teardown(self) -> None:
        self.world.close()


def run_machine(
    machine: type[RuleBasedStateMachine], kind: str, request: pytest.FixtureRequest, *, steps: int
) -> None:
    """Go through random histories of a machine on one kind of database."""
    new_url = request.getfixturevalue("postgres_urls") if kind == "postgres" else None
    attributes = {"kind": kind, "new_url": None if new_url is None else staticmethod(new_url)}
    run_state_machine_as_test(
        type(f"{machine.__name__}_{kind}", (machine,), attributes),
        settings=settings(
            max_examples=_EXAMPLES[kind] * FACTOR,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
