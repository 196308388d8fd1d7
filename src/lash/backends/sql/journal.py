"""The effect journal (contract 2.B): claims, outcomes, and the settlement of unknown ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lash.backends.sql.effect_rows import (
    EffectKey,
    StoredEffect,
    by_key,
    effects_at,
    effects_of_scope,
    key_of,
)
from lash.backends.sql.effect_writes import (
    ONE_MORE_RUN,
    PreparedResult,
    end_line,
    end_lines,
    given_sids,
    prepare_result,
    sid_query,
    start_line,
)
from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.holders import EFFECT_HOLDERS, SESSION_HOLDER
from lash.backends.sql.journal_pages import effects_under_key, page_of_effects
from lash.backends.sql.process_rows import find_process
from lash.backends.sql.retention import EFFECTS, prune
from lash.backends.sql.session_rows import FIND_SESSION, SessionRow, locked_session
from lash.backends.sql.store import Store, json_list
from lash.rules.identifiers import check_text
from lash.rules.journal import (
    EffectDecision,
    check_effect_claim,
    check_settleable,
    decide_effect_claim,
    holds_effect,
)
from lash.rules.leases import NO_LEASE, check_current_lease, expires_at
from lash.rules.process_leases import NO_PROCESS_LEASE, check_live_lease
from lash.rules.storable import check_storable
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

SET_CLAIM = """UPDATE effect SET claim_owner_id = ?, claim_token = ?, claim_expires_at_ms = ?, runs = runs + ?
    WHERE effect_seq = ?"""
_UNKNOWN = PreparedResult(state=EffectState.UNKNOWN, attempts=1, outcome=None, error=None)


class SqlEffectJournal:
    """See `EffectJournal` for the contract."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find_effect(self, scope: EffectScope, replay_key: str) -> EffectRecord | None:
        """Return the line under that key, or None."""
        key = _checked_key(scope, replay_key)

        async def script(tx: Tx) -> EffectRecord | None:
            line = await _line(tx, key)
            return None if line is None else line.record()

        return await self._store.read(script)

    async def load_effects(self, scope: EffectScope) -> list[EffectRecord]:
        """Return every line of a scope, in the order in which the effects were started."""
        check_text(scope.key, what="effect scope")

        async def script(tx: Tx) -> list[EffectRecord]:
            return [line.record() for line in await effects_of_scope(tx, scope)]

        return await self._store.read(script)

    async def claim_effect(
        self, identity: EffectIdentity, *, owner_id: str, ttl_ms: int, sleep_ms: int | None = None
    ) -> EffectClaimAnswer:
        """Take the right to run an effect, or find out why not."""
        expires_at(0, ttl_ms)  # refuses a negative time to live
        key = _checked_identity(identity)
        check_text(owner_id, what="owner id")
        token = self._store.new_id("token")

        async def script(tx: Tx) -> EffectClaimAnswer:
            self._store.foresee_owners(tx, EFFECT_HOLDERS, json_list([key.key_hash]))
            rows, sids = await tx.read(effects_at([key]), sid_query(key.session_id))
            line = by_key([key], rows).get(key)
            dead = await self._store.dead_among(tx, [None if line is None else line.claim_owner_id])
            decision = decide_effect_claim(None if line is None else line.row, identity, tx.now_ms, dead)
            due_at_ms = None if sleep_ms is None else expires_at(tx.now_ms, sleep_ms)
            claim = EffectClaim(
                scope=identity.scope,
                replay_key=identity.replay_key,
                owner_id=owner_id,
                claim_token=token,
                expires_at_ms=expires_at(tx.now_ms, ttl_ms),
                due_at_ms=due_at_ms if line is None else line.due_at_ms,
            )
            if line is None:
                numbers = await given_sids(tx, {key.session_id: sids})
                await start_line(tx, numbers[key.session_id], key, identity, due_at_ms=due_at_ms, claim=claim)
                return claim
            return await _claim_known(tx, line, claim, decision)

        return await self._store.run(script, durable=identity.at_most_once)

    async def renew_effect_claim(self, claim: EffectClaim, *, ttl_ms: int) -> EffectClaim:
        """Extend a claim that was not superseded."""
        expires_at(0, ttl_ms)  # refuses a negative time to live
        key = _checked_key(claim.scope, claim.replay_key)

        async def script(tx: Tx) -> EffectClaim:
            line = await _held(tx, key, claim)
            renewed = claim.replace(expires_at_ms=expires_at(tx.now_ms, ttl_ms))
            await _set_claim(tx, line.effect_seq, renewed)
            return renewed

        return await self._store.run(script, durable=False)

    async def release_effect_claim(self, claim: EffectClaim) -> None:
        """Give a claim back without a result; a superseded one is left alone."""
        key = _checked_key(claim.scope, claim.replay_key)

        async def script(tx: Tx) -> None:
            line = await _line(tx, key)
            if line is not None and holds_effect(line.row, claim):
                await tx.write(SET_CLAIM, None, None, 0, 0, line.effect_seq)
                tx.notify(f"effect:{claim.replay_key}")

        await self._store.run(script, durable=False)

    async def record_effect(self, claim: EffectClaim, result: EffectResult) -> None:
        """Store how a claimed effect ended, durably."""
        key = _checked_key(claim.scope, claim.replay_key)
        prepared = prepare_result(result, claim.replay_key)

        async def script(tx: Tx) -> None:
            line = await _held(tx, key, claim)
            await end_line(tx, line.effect_seq, prepared)
            tx.notify(f"effect:{claim.replay_key}")

        await self._store.run(script)

    async def start_effects(
        self,
        identities: Sequence[EffectIdentity],
        *,
        ended: Sequence[tuple[EffectIdentity, EffectResult]] = (),
        lease: SessionLease | ProcessLease | None = None,
    ) -> None:
        """Store the intent to run these effects, durably, and results that came before them."""
        starting = [(_checked_identity(identity), identity) for identity in identities]
        results = _prepared(ended)

        async def script(tx: Tx) -> None:
            known = await _known(tx, [key for key, _ in starting], results, lease)
            ended_now = await end_lines(tx, results, known.lines, known.sids)
            for key, identity in starting:
                line = known.lines.get(key)
                if line is not None:
                    await tx.write(ONE_MORE_RUN, line.effect_seq)
                elif key not in ended_now:
                    await start_line(tx, known.sids[key.session_id], key, identity)
                tx.notify(f"effect:{key.replay_key}")

        await self._store.run(script)

    async def record_effects(
        self,
        results: Sequence[tuple[EffectIdentity, EffectResult]],
        *,
        lease: SessionLease | ProcessLease | None = None,
    ) -> None:
        """Store how effects ended, durably and together; a line that has a result keeps it."""
        prepared = _prepared(results)

        async def script(tx: Tx) -> None:
            known = await _known(tx, [], prepared, lease)
            await end_lines(tx, prepared, known.lines, known.sids)

        await self._store.run(script)

    async def settle_effect(
        self, scope: EffectScope, replay_key: str, result: EffectResult, *, settled_by: str
    ) -> EffectRecord:
        """Store an operator's verdict on an effect whose outcome is unknown."""
        key = _checked_key(scope, replay_key)
        check_text(settled_by, what="operator's name")
        prepared = prepare_result(result, replay_key)

        async def script(tx: Tx) -> EffectRecord:
            self._store.foresee_owners(tx, EFFECT_HOLDERS, json_list([key.key_hash]))
            self._store.foresee_owners(tx, SESSION_HOLDER, scope.session_id)
            rows, sessions = await tx.read(
                effects_at([key]), Query(SessionRow, FIND_SESSION, scope.session_id)
            )
            line = by_key([key], rows).get(key)
            lease = sessions[0].lease if sessions else NO_LEASE
            owners = [lease.owner_id, None if line is None else line.claim_owner_id]
            check_settleable(
                replay_key,
                None if line is None else line.row,
                tx.now_ms,
                session_lease=lease,
                dead_owners=await self._store.dead_among(tx, owners),
            )
            assert line is not None
            await end_line(tx, line.effect_seq, prepared, settled_by=settled_by)
            tx.notify(f"effect:{replay_key}")
            settled = await _line(tx, key)
            assert settled is not None
            return settled.record()

        return await self._store.run(script)

    async def list_effects(
        self, where: EffectFilter, *, after: Json = None, limit: int = 100
    ) -> tuple[list[EffectRecord], Json]:
        """Return a page of lines in the order of their start, and the cursor of the next page."""
        check_storable(where, what="a filter of effects")

        async def script(tx: Tx) -> tuple[list[EffectRecord], Json]:
            return await page_of_effects(tx, where, after, limit)

        return await self._store.read(script)

    async def find_effects_by_key(self, replay_key: str) -> list[EffectRecord]:
        """Return every line under a key, whatever its scope."""
        check_text(replay_key, what="replay key")

        async def script(tx: Tx) -> list[EffectRecord]:
            return await effects_under_key(tx, replay_key)

        return await self._store.read(script)

    async def prune_settled_effects(self, *, ended_before_ms: int, limit: int = 1000) -> int:
        """Delete up to `limit` settled lines that ended before that time; return how many."""

        async def script(tx: Tx) -> int:
            return await prune(tx, EFFECTS, ended_before_ms, limit)

        return await self._store.run(script, durable=False)


async def _claim_known(
    tx: Tx, line: StoredEffect, claim: EffectClaim, decision: EffectDecision
) -> EffectClaimAnswer:
    """Answer a claim of an effect that has a line."""
    if decision is EffectDecision.ANSWER_RECORD:
        return line.record()
    if decision is EffectDecision.ANSWER_BUSY:
        return EffectBusy(owner_id=line.claim_owner_id or "", expires_at_ms=line.claim_expires_at_ms)
    if decision is EffectDecision.BECOME_UNKNOWN:
        await end_line(tx, line.effect_seq, _UNKNOWN)
        tx.notify(f"effect:{claim.replay_key}")
        record = line.record()
        return record.replace(
            state=EffectState.UNKNOWN,
            result=EffectResult(state=EffectState.UNKNOWN),
            ended_at_ms=tx.now_ms,
        )
    await _set_claim(tx, line.effect_seq, claim, more_runs=1)
    return claim


async def _set_claim(tx: Tx, effect_seq: int, claim: EffectClaim, more_runs: int = 0) -> None:
    await tx.write(SET_CLAIM, claim.owner_id, claim.claim_token, claim.expires_at_ms, more_runs, effect_seq)


async def _line(tx: Tx, key: EffectKey) -> StoredEffect | None:
    (rows,) = await tx.read(effects_at([key]))
    return by_key([key], rows).get(key)


class KnownLines(msgspec.Struct, frozen=True):
    """What is stored of some effects, and the numbers of the sessions that they belong to."""

    lines: dict[EffectKey, StoredEffect]
    sids: dict[str | None, int]


async def _known(
    tx: Tx,
    keys: Sequence[EffectKey],
    results: Sequence[tuple[EffectKey, EffectIdentity, PreparedResult]],
    lease: SessionLease | ProcessLease | None,
) -> KnownLines:
    """Check the driver's lease and read what is stored, in one flight; sessions get their numbers here.

    Raises:
        LashError: `session_lease_lost`, `process_lease_lost`.
    """
    asked = list(dict.fromkeys([*keys, *(key for key, _, _ in results)]))
    session_ids = list(dict.fromkeys(key.session_id for key in asked))
    queries: list[Query[Any]] = [effects_at(asked), *(sid_query(session_id) for session_id in session_ids)]
    if lease is not None:
        queries.append(_holder(lease))
    rows, *found = await tx.read(*queries)
    if lease is not None:
        _check_lease(lease, found.pop(), tx.now_ms)
    lines = by_key(asked, rows)
    needed = {key.session_id for key in asked if key not in lines}
    sids = {
        session_id: known
        for session_id, known in zip(session_ids, found, strict=True)
        if session_id in needed
    }
    return KnownLines(lines, await given_sids(tx, sids))


def _holder(lease: SessionLease | ProcessLease) -> Query[Any]:
    """Return the read of what a lease is on."""
    if isinstance(lease, SessionLease):
        return locked_session(lease.session_id)
    return find_process(lease.process_id)


def _check_lease(lease: SessionLease | ProcessLease, rows: list[Any], now_ms: int) -> None:
    if isinstance(lease, SessionLease):
        check_current_lease(lease, rows[0].lease if rows else NO_LEASE)
    else:
        check_live_lease(lease, rows[0].lease if rows else NO_PROCESS_LEASE, now_ms)


async def _held(tx: Tx, key: EffectKey, claim: EffectClaim) -> StoredEffect:
    line = await _line(tx, key)
    check_effect_claim(None if line is None else line.row, claim)
    assert line is not None
    return line


def _prepared(
    results: Sequence[tuple[EffectIdentity, EffectResult]],
) -> list[tuple[EffectKey, EffectIdentity, PreparedResult]]:
    return [
        (_checked_identity(identity), identity, prepare_result(result, identity.replay_key))
        for identity, result in results
    ]


def _checked_identity(identity: EffectIdentity) -> EffectKey:
    for text in (identity.envelope_hash, identity.effect_id, identity.label):
        check_text(text, what=f"effect {identity.replay_key!r}")
    return _checked_key(identity.scope, identity.replay_key)


def _checked_key(scope: EffectScope, replay_key: str) -> EffectKey:
    check_text(replay_key, what="replay key")
    check_text(scope.key, what="effect scope")
    return key_of(scope, replay_key)
