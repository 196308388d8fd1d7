"""The effect journal (contract 2.B): claims, outcomes, and the settlement of unknown ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from lash.backends.memory.effect_table import StoredEffect
from lash.backends.memory.tables import Tables
from lash.rules.journal import (
    EffectDecision,
    check_effect_claim,
    check_settleable,
    decide_effect_claim,
    holds_effect,
)
from lash.rules.leases import check_current_lease, expires_at
from lash.rules.process_leases import check_live_lease
from lash.rules.storable import storable_bytes
from lash.values import (
    EffectBusy,
    EffectClaim,
    EffectClaimAnswer,
    EffectFilter,
    EffectIdentity,
    EffectRecord,
    EffectResult,
    EffectScope,
    EffectState,
    Json,
    ProcessLease,
    SessionLease,
)

_UNKNOWN = EffectResult(state=EffectState.UNKNOWN)


class MemoryEffectJournal:
    """See `EffectJournal` for the contract."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def find_effect(self, scope: EffectScope, replay_key: str) -> EffectRecord | None:
        """Return the line under that key, or None."""
        line = self._tables.effects.find(scope.key, replay_key)
        return None if line is None else line.record()

    async def load_effects(self, scope: EffectScope) -> list[EffectRecord]:
        """Return every line of a scope, in the order in which the effects were started."""
        return [line.record() for line in self._tables.effects.of_scope(scope.key)]

    async def claim_effect(
        self, identity: EffectIdentity, *, owner_id: str, ttl_ms: int, sleep_ms: int | None = None
    ) -> EffectClaimAnswer:
        """Take the right to run an effect, or find out why not."""
        tables, now_ms = self._tables, self._tables.clock.now_ms()
        expiry = expires_at(now_ms, ttl_ms)
        line = tables.effects.find(identity.scope.key, identity.replay_key)
        row = None if line is None else line.row
        decision = decide_effect_claim(row, identity, now_ms, tables.dead_owners)
        if line is None:
            line = tables.effects.started(identity, now_ms, sleep_ms=sleep_ms)
        elif decision is EffectDecision.ANSWER_RECORD:
            return line.record()
        elif decision is EffectDecision.ANSWER_BUSY:
            return EffectBusy(
                owner_id=line.row.claim_owner_id or "", expires_at_ms=line.row.claim_expires_at_ms
            )
        elif decision is EffectDecision.BECOME_UNKNOWN:
            return self._become_unknown(line, now_ms).record()
        else:
            line = msgspec.structs.replace(line, runs=line.runs + 1)
        claim = EffectClaim(
            scope=identity.scope,
            replay_key=identity.replay_key,
            owner_id=owner_id,
            claim_token=tables.ids.new("token"),
            expires_at_ms=expiry,
            due_at_ms=line.due_at_ms,
        )
        tables.effects.put(line.claimed_by(claim))
        return claim

    async def renew_effect_claim(self, claim: EffectClaim, *, ttl_ms: int) -> EffectClaim:
        """Extend a claim that was not superseded."""
        expiry = expires_at(self._tables.clock.now_ms(), ttl_ms)
        line = self._held(claim)
        renewed = claim.replace(expires_at_ms=expiry)
        self._tables.effects.put(line.claimed_by(renewed))
        return renewed

    async def release_effect_claim(self, claim: EffectClaim) -> None:
        """Give a claim back without a result; a superseded one is left alone."""
        line = self._tables.effects.find(claim.scope.key, claim.replay_key)
        if line is not None and holds_effect(line.row, claim):
            self._tables.effects.put(line.unclaimed())
            self._announce(claim.replay_key)

    async def record_effect(self, claim: EffectClaim, result: EffectResult) -> None:
        """Store how a claimed effect ended."""
        line = self._held(claim)
        body = storable_bytes(result, what=f"result of effect {claim.replay_key!r}")
        self._tables.effects.put(line.ended(result.state, body, self._tables.clock.now_ms()))
        self._announce(claim.replay_key)

    async def start_effects(
        self,
        identities: Sequence[EffectIdentity],
        *,
        ended: Sequence[tuple[EffectIdentity, EffectResult]] = (),
        lease: SessionLease | ProcessLease | None = None,
    ) -> None:
        """Store the intent to run these effects, before they run, and results that came before them."""
        self._check_lease(lease)
        now_ms = self._tables.clock.now_ms()
        lines = self._tables.effects.with_results(ended, now_ms)
        for identity in identities:
            key = (identity.scope.key, identity.replay_key)
            known = lines.get(key) or self._tables.effects.find(*key)
            lines[key] = (
                self._tables.effects.started(identity, now_ms, offset=len(lines))
                if known is None
                else msgspec.structs.replace(known, runs=known.runs + 1)
            )
        self._put(lines.values())

    async def record_effects(
        self,
        results: Sequence[tuple[EffectIdentity, EffectResult]],
        *,
        lease: SessionLease | ProcessLease | None = None,
    ) -> None:
        """Store how effects ended, together; a line that has a result keeps it."""
        self._check_lease(lease)
        self._put(self._tables.effects.with_results(results, self._tables.clock.now_ms()).values())

    async def settle_effect(
        self, scope: EffectScope, replay_key: str, result: EffectResult, *, settled_by: str
    ) -> EffectRecord:
        """Store an operator's verdict on an effect whose outcome is unknown."""
        now_ms = self._tables.clock.now_ms()
        line = self._tables.effects.find(scope.key, replay_key)
        check_settleable(
            replay_key,
            None if line is None else line.row,
            now_ms,
            session_lease=None if scope.session_id is None else self._tables.lease(scope.session_id),
            dead_owners=self._tables.dead_owners,
        )
        assert line is not None
        body = storable_bytes(result, what=f"verdict on effect {replay_key!r}")
        ended = line.ended(result.state, body, now_ms, settled_by=settled_by)
        self._tables.effects.put(ended)
        self._announce(replay_key)
        return ended.record()

    async def list_effects(
        self, where: EffectFilter, *, after: Json = None, limit: int = 100
    ) -> tuple[list[EffectRecord], Json]:
        """Return a page of lines in the order of their start, and the cursor of the next page."""
        matching = [
            line
            for line in self._tables.effects.all_lines()
            if (after is None or line.number > after) and _matches(line, where)
        ]
        page = matching[:limit]
        more = page[-1].number if page and len(matching) > limit else None
        return [line.record() for line in page], more

    async def find_effects_by_key(self, replay_key: str) -> list[EffectRecord]:
        """Return every line under a key, whatever its scope."""
        return [line.record() for line in self._tables.effects.all_lines() if line.replay_key == replay_key]

    async def prune_settled_effects(self, *, ended_before_ms: int, limit: int = 1000) -> int:
        """Delete up to `limit` settled lines that ended before that time; return how many."""
        old = [
            line
            for line in self._tables.effects.all_lines()
            if line.row.settled and (line.ended_at_ms or line.started_at_ms) < ended_before_ms
        ]
        return self._tables.effects.remove(old[:limit])

    def _put(self, lines: Iterable[StoredEffect]) -> None:
        for line in lines:
            self._tables.effects.put(line)
            self._announce(line.replay_key)

    def _become_unknown(self, line: StoredEffect, now_ms: int) -> StoredEffect:
        body = storable_bytes(_UNKNOWN, what="unknown outcome")
        ended = line.ended(EffectState.UNKNOWN, body, now_ms)
        self._tables.effects.put(ended)
        self._announce(line.replay_key)
        return ended

    def _held(self, claim: EffectClaim) -> StoredEffect:
        line = self._tables.effects.find(claim.scope.key, claim.replay_key)
        check_effect_claim(None if line is None else line.row, claim)
        assert line is not None
        return line

    def _check_lease(self, lease: SessionLease | ProcessLease | None) -> None:
        match lease:
            case SessionLease():
                check_current_lease(lease, self._tables.lease(lease.session_id))
            case ProcessLease():
                row = self._tables.processes.lease(lease.process_id)
                check_live_lease(lease, row, self._tables.clock.now_ms())
            case None:
                pass

    def _announce(self, replay_key: str) -> None:
        self._tables.hub.publish(f"effect:{replay_key}")


def _matches(line: StoredEffect, where: EffectFilter) -> bool:
    if where.state is not None and line.row.state != where.state:
        return False
    if where.settled is not None and line.row.settled is not where.settled:
        return False
    if where.session_id is None and where.turn_id is None:
        return True
    scope = line.record().identity.scope
    return (where.session_id is None or scope.session_id == where.session_id) and (
        where.turn_id is None or scope.turn_id == where.turn_id
    )
