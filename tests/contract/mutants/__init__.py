"""Deliberately wrong backends: each differs from the memory one in a single behaviour.

The kit must fail each by its named cases, by assertion, and pass it in all the others; `matrix.txt` holds
which. `python -m tests.contract.mutants` prints the matrix anew.
"""

from . import databases, effects, ports, process_events, processes, queue, sessions, stores
from .mutant import MUTANTS, Mutant

__all__ = [
    "MUTANTS",
    "Mutant",
    "databases",
    "effects",
    "ports",
    "process_events",
    "processes",
    "queue",
    "sessions",
    "stores",
]
