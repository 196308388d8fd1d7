"""Deliberately wrong backends: each differs from the memory one in a single behaviour.

The kit must fail each by its named cases, by assertion, and pass it in all the others; `matrix.txt` holds
which. `python -m tests.contract.mutants` prints the matrix anew.
"""

from . import (
    attachments,
    bad_input,
    checkpoints,
    commit_checks,
    commits,
    damaged_data,
    databases,
    effect_journals,
    effects,
    graphs,
    host_events,
    lash_classes,
    manifests,
    ports,
    process_ends,
    process_events,
    process_grants,
    process_leases,
    processes,
    queue,
    queue_claims,
    queue_joins,
    reads,
    second_handles,
    starts,
)
from .mutant import MUTANTS, Mutant

__all__ = [
    "MUTANTS",
    "Mutant",
    "attachments",
    "bad_input",
    "checkpoints",
    "commit_checks",
    "commits",
    "damaged_data",
    "databases",
    "effect_journals",
    "effects",
    "graphs",
    "host_events",
    "lash_classes",
    "manifests",
    "ports",
    "process_ends",
    "process_events",
    "process_grants",
    "process_leases",
    "processes",
    "queue",
    "queue_claims",
    "queue_joins",
    "reads",
    "second_handles",
    "starts",
]
