"""Planted bugs: wrong variants of single parts, which the simulation must find.

Each is selected by its name and put in the place of the right part while one simulation runs. They show that the
checks can fail, and that the faults reach where such bugs live.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lash.backends.memory import MemoryDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A planted bug.

    Attributes:
        name: Says what is wrong.
        plant: Puts the wrong part into a handle of the database.
        workloads: What it is looked for with; empty for the usual mix.
    """

    name: str
    plant: Callable[[MemoryDatabase], None]
    workloads: tuple[str, ...] = ()


BUGS: Final[dict[str, Bug]] = {}


def _bug(name: str, *workloads: str) -> Callable[[Callable[[MemoryDatabase], None]], Any]:
    def add(plant: Callable[[MemoryDatabase], None]) -> Callable[[MemoryDatabase], None]:
        BUGS[name] = Bug(name=name, plant=plant, workloads=workloads)
        return plant

    return add
