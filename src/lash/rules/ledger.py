"""The usage ledger: what counts once, and how it adds up (rule R-29, contract 5 B-15)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from lash.errors import LashError
from lash.values import TokenLedgerEntry, TokenUsage

COUNT_MAX = 2**63 - 1


def fresh_deltas(deltas: Iterable[TokenLedgerEntry], counted: Collection[str]) -> list[TokenLedgerEntry]:
    """Return the deltas that are not counted yet: each key once, entries without a key always.

    Args:
        deltas: What a commit brings, in its order.
        counted: The keys, of those in `deltas`, that the session has counted before.
    """
    seen = set(counted)
    fresh: list[TokenLedgerEntry] = []
    for delta in deltas:
        if delta.key is not None:
            if delta.key in seen:
                continue
            seen.add(delta.key)
        fresh.append(delta)
    return fresh


def merge_ledger(entries: Iterable[TokenLedgerEntry]) -> tuple[TokenLedgerEntry, ...]:
    """Return one entry for each (source, model), in first-seen order, without those that are all zero.

    Merging what was merged before with what is new gives the same as merging all of it: that is why an entry
    without tokens does not count as seen.

    Raises:
        LashError: `monotonic_counter_overflow` when a sum no longer fits in 64 bits.
    """
    totals: dict[tuple[str, str], TokenUsage] = {}
    for entry in entries:
        if entry.usage.is_zero:
            continue
        label = (entry.source, entry.model)
        total = entry.usage if label not in totals else totals[label] + entry.usage
        if max(msgspec.structs.astuple(total)) > COUNT_MAX:
            raise LashError(
                "monotonic_counter_overflow",
                f"the usage of {entry.model!r} under {entry.source!r} no longer fits in 64 bits",
                source=entry.source,
                model=entry.model,
            )
        totals[label] = total
    return tuple(
        TokenLedgerEntry(source=source, model=model, usage=usage) for (source, model), usage in totals.items()
    )
