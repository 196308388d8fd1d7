"""The decisions of the contracts, pure: small facts in, a verdict out. No I/O, no clock, no identity.

Every backend asks these and only stores; so a rule is written once. One module a noun.
"""

from lash.rules import (
    artifacts,
    blobs,
    commits,
    event_schemas,
    event_semantics,
    graph,
    journal,
    leases,
    ledger,
    manifest,
    process_events,
    process_grants,
    process_leases,
    process_projection,
    process_recovery,
    process_registration,
    queue,
    selectors,
    storable,
    triggers,
    turns,
)

__all__ = [
    "artifacts",
    "blobs",
    "commits",
    "event_schemas",
    "event_semantics",
    "graph",
    "journal",
    "leases",
    "ledger",
    "manifest",
    "process_events",
    "process_grants",
    "process_leases",
    "process_projection",
    "process_recovery",
    "process_registration",
    "queue",
    "selectors",
    "storable",
    "triggers",
    "turns",
]
