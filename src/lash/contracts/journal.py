"""The effect journal: what `JournaledEffectHost` records in.

Rows are keyed by the whole scope and the replay key (rule R-8). Callers never hold a transaction over the
work itself: they claim, run, record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lash.values import (
    EffectClaim,
    EffectClaimAnswer,
    EffectFilter,
    EffectIdentity,
    EffectRecord,
    EffectResult,
    EffectScope,
    Json,
    ProcessLease,
    SessionLease,
)


class EffectJournal(Protocol):
    """Claims, outcomes, and the settlement of unknown ones."""

    async def find_effect(self, scope: EffectScope, replay_key: str) -> EffectRecord | None:
        """Return the line under that key, or None."""
        ...

    async def load_effects(self, scope: EffectScope) -> list[EffectRecord]:
        """Return every line of a scope, in the order in which the effects were started."""
        ...

    async def claim_effect(
        self, identity: EffectIdentity, *, owner_id: str, ttl_ms: int, sleep_ms: int | None = None
    ) -> EffectClaimAnswer:
        """Take the right to run an effect.

        Needs visibility, not durability: a claim that a power cut undoes has protected nothing.

        Args:
            identity: Which effect.
            owner_id: Who claims. A live claim of the same owner is busy too: claims are per run.
            ttl_ms: How long the claim lasts unless renewed; 0 is legal and expires at once (R-5).
            sleep_ms: For a sleep: its duration. The due time is fixed at the first claim and kept.

        Returns:
            A claim; or the record, when there is a result, an operator's verdict, or another envelope
            under this key (the caller compares hashes); or who is busy with it.
        """
        ...

    async def renew_effect_claim(self, claim: EffectClaim, *, ttl_ms: int) -> EffectClaim:
        """Extend a claim that was not superseded.

        Raises:
            LashError: `effect_replay_lease_lost` when another claimant has it: stop the work.
        """
        ...

    async def release_effect_claim(self, claim: EffectClaim) -> None:
        """Give a claim back without a result (rule R-18). A superseded claim is left alone."""
        ...

    async def record_effect(self, claim: EffectClaim, result: EffectResult) -> None:
        """Store how a claimed effect ended, durably.

        Raises:
            LashError: `effect_replay_lease_lost` when the claim was superseded: the other result stands.
        """
        ...

    async def start_effects(
        self,
        identities: Sequence[EffectIdentity],
        *,
        ended: Sequence[tuple[EffectIdentity, EffectResult]] = (),
        lease: SessionLease | ProcessLease | None = None,
    ) -> None:
        """Store the intent to run these effects, durably, before they run.

        For a scope that one driver has for itself under a lease, so no claim is needed. A line
        that exists already counts one more run.

        Args:
            identities: What is about to run.
            ended: Results that are not stored yet; they go in first, in the same transaction, as
                `record_effects` would store them.
            lease: The lease that the caller drives under: the session's, or the process's.

        Raises:
            LashError: `session_lease_lost` when `lease` is not the session's current one; `process_lease_lost`
                when it is not the process's live one.
        """
        ...

    async def record_effects(
        self,
        results: Sequence[tuple[EffectIdentity, EffectResult]],
        *,
        lease: SessionLease | ProcessLease | None = None,
    ) -> None:
        """Store how effects ended, durably and together; the counterpart of `start_effects`.

        A line that has a result already keeps it.

        Raises:
            LashError: `session_lease_lost`, `process_lease_lost`, as there.
        """
        ...

    async def settle_effect(
        self, scope: EffectScope, replay_key: str, result: EffectResult, *, settled_by: str
    ) -> EffectRecord:
        """Store an operator's verdict on an effect whose outcome is unknown.

        Raises:
            LashError: `effect_unknown_key` when there is no such line; `effect_not_unknown` when it has
                an outcome, or its claim is still live.
        """
        ...

    async def list_effects(
        self, where: EffectFilter, *, after: Json = None, limit: int = 100
    ) -> tuple[list[EffectRecord], Json]:
        """Return a page of lines in the order in which they were started, and the cursor of the next."""
        ...

    async def find_effects_by_key(self, replay_key: str) -> list[EffectRecord]:
        """Return every line under a key, whatever its scope: what an operator types."""
        ...

    async def prune_settled_effects(self, *, ended_before_ms: int, limit: int = 1000) -> int:
        """Delete up to `limit` settled lines that ended before that time; return how many."""
        ...
