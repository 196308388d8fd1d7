"""Deterministic simulation: workers that crash, stores that fail, clocks that jump, and every promise checked.

One seed gives one run, to the byte. `python -m lash.testing.simulation --seeds 0..500` runs many; `simulate(seed)`
runs one. See docs/simulation.md.
"""

from lash.testing.simulation.bugs import BUGS, Bug
from lash.testing.simulation.chance import Chance, SeededIds, SimulatedClock
from lash.testing.simulation.loop import SimulatedLoop, SimulationStuck
from lash.testing.simulation.simulation import SimulationResult, simulate
from lash.testing.simulation.workloads import WORKLOADS

__all__ = [
    "BUGS",
    "WORKLOADS",
    "Bug",
    "Chance",
    "SeededIds",
    "SimulatedClock",
    "SimulatedLoop",
    "SimulationResult",
    "SimulationStuck",
    "simulate",
]
