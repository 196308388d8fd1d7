"""The decisions of the contracts, pure: small facts in, a verdict out. No I/O, no clock, no identity.

Every backend asks these and only stores; so a rule is written once. One module a noun.
"""

from lash.rules import blobs, commits, graph, journal, leases, ledger, manifest, queue, storable, turns

__all__ = [
    "blobs",
    "commits",
    "graph",
    "journal",
    "leases",
    "ledger",
    "manifest",
    "queue",
    "storable",
    "turns",
]
