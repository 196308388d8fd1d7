"""Prints the matrix anew: `python -m tests.contract.mutants > tests/contract/mutants/matrix.txt`."""

from . import MUTANTS
from .matrix import caught_by, run_mutant

for name, one in MUTANTS.items():
    print(f"{name}: {' '.join(caught_by(run_mutant(one)))}", flush=True)
