"""Wrong small ports: ingress, leases, catalog, waits."""

from __future__ import annotations

import asyncio
from typing import Any

from lash.errors import LashError
from lash.values import QueuedWorkState

from .mutant import answers, asked, gives, mutant, skipped, value

INGRESS = "lash.backends.memory.ingress"
CLAIMS = "lash.backends.memory.turn_claims"
LEASES = "lash.backends.memory.leases"
CATALOG = "lash.backends.memory.catalog"
WAITS = "lash.backends.memory.waits"
T = f"{INGRESS}:MemoryTurnIngress"

mutant(
    "a turn id takes any content",
    "accepted_turns_are_known_by_their_id",
    (f"{INGRESS}:check_same_content", skipped),
)


def _any_agent(original: Any) -> Any:
    def check(self: Any, draft: Any) -> None:
        session = self._tables.sessions.get(draft.session_id)
        original(self, draft if session is None else draft.replace(agent=session.agent))

    return check


mutant(
    "any agent's input is taken", "only_admitted_sessions_accept_turns", (f"{T}._check_session", _any_agent)
)
mutant(
    "a committed turn has no receipt",
    "a_turn_goes_from_pending_to_committed",
    (f"{T}.find_turn", answers(lambda status, *_: status.replace(receipt=None))),
)
mutant(
    "who refuses to wait is queued",
    "busy_sessions_refuse_who_does_not_want_to_wait",
    (f"{INGRESS}:check_not_busy", skipped),
)
mutant(
    "accepting never claims",
    "an_idle_session_is_taken_up_with_its_input",
    (f"{T}._claim_accepted", value(lambda self, *rest: None)),
)
mutant(
    "a cancelled turn id stays taken",
    "a_waiting_turn_is_cancelled_before_it_runs",
    (f"{T}._accepted", lambda original: _cancelled_stays(original)),
)


def _cancelled_stays(original: Any) -> Any:
    def accepted(self: Any, session_id: str, turn_id: str) -> Any:
        from lash.rules.turns import accepted_source_key

        under_key = self._tables.queue.under_key(session_id, accepted_source_key(turn_id))
        return under_key[-1] if under_key else None

    return accepted


mutant(
    "a renewal does not tell of a cancel request",
    "a_running_turn_is_told_to_stop",
    (f"{T}.renew_turn", answers(lambda claimed, *_: claimed.replace(cancel_requested=False))),
)
mutant(
    "ready sessions come by name",
    "ready_sessions_are_found_by_agent_and_age",
    (f"{T}.list_ready_sessions", answers(lambda ready, *_: sorted(ready, key=lambda one: one.session_id))),
)
mutant(
    "a driver may have any session",
    "one_driver_has_a_session",
    (
        f"{CLAIMS}:next_turn",
        lambda original: (
            lambda rows, *, lease, owner_id, **facts: (
                original(
                    [r for r in rows if r.claim_token is None] or rows,
                    lease=type(lease)(generation=lease.generation),
                    owner_id=owner_id,
                    **facts,
                )
                if owner_id == "other" and lease.owner_id == "driver"
                else original(rows, lease=lease, owner_id=owner_id, **facts)
            )
        ),
    ),
)


def _forgets_composition(original: Any) -> Any:
    def next_turn(rows: Any, *, lease: Any, now_ms: int, **facts: Any) -> Any:
        import msgspec

        expired = lease.owner_id is not None and lease.expires_at_ms <= now_ms
        if expired and len(rows) > 1:
            rows = [msgspec.structs.replace(row, run_turn_id=None, runs=0) for row in rows]
        return original(rows, lease=lease, now_ms=now_ms, **facts)

    return next_turn


mutant(
    "an interrupted turn loses its place",
    "an_interrupted_turn_comes_back_whole",
    (f"{CLAIMS}:next_turn", _forgets_composition),
)
mutant(
    "a superseded driver may renew",
    "a_superseded_driver_is_stopped",
    (f"{INGRESS}:check_current_lease", skipped),
)
mutant(
    "an abandoned turn was never claimed",
    "an_abandoned_turn_keeps_its_composition",
    (f"{T}.abandon_turn", lambda original: _leaves_turn(original)),
)


def _leaves_turn(original: Any) -> Any:
    async def abandon(self: Any, claimed: Any) -> None:
        await original(self, claimed)
        open_batches = self._tables.queue.open_batches(claimed.lease.session_id)
        self._tables.queue.give_back(
            [s for s in open_batches if s.row.injected_effect_id is None], leaves_turn=len(open_batches) == 1
        )

    return abandon


mutant(
    "a checkpoint takes in only what is new",
    "checkpoints_take_in_the_same_work_again",
    (
        f"{INGRESS}:select_injections",
        lambda original: lambda rows, *, effect_id, **facts: original(rows, effect_id="another", **facts),
    ),
)
mutant(
    "a commit completes all that its turn took in",
    "work_that_a_commit_missed_goes_back",
    ("lash.backends.memory.commit:_apply", lambda original: _completes_missed(original)),
)


def _completes_missed(original: Any) -> Any:
    def apply(tables: Any, commit: Any, prepared: Any, *rest: Any) -> None:
        original(tables, commit, prepared, *rest)
        tables.queue.settle(prepared.missed, QueuedWorkState.COMPLETED, tables.clock.now_ms())

    return apply


mutant(
    "a turn's lease lasts through the millisecond of its expiry",
    "renewals_keep_a_driver_in_place",
    (
        f"{CLAIMS}:next_turn",
        lambda original: (
            lambda rows, *, now_ms, **facts: original(
                rows,
                now_ms=now_ms
                - (facts["lease"].expires_at_ms == now_ms and facts["lease"].claimed_at_ms < now_ms - 30_000),
                **facts,
            )
        ),
    ),
)

# session leases

L = f"{LEASES}:MemorySessionLeases"
mutant(
    "an owner may claim its session again",
    "a_live_session_lease_keeps_everyone_out",
    (f"{L}.claim_session_lease", lambda original: _own_again(original)),
)


def _own_again(original: Any) -> Any:
    async def claim(self: Any, session_id: str, *, owner_id: str, ttl_ms: int) -> Any:
        row = self._tables.lease(session_id)
        if row.owner_id == owner_id:
            self._tables.leases[session_id] = type(row)(generation=row.generation)
        try:
            return await original(self, session_id, owner_id=owner_id, ttl_ms=ttl_ms)
        except LashError:
            self._tables.leases[session_id] = row
            raise

    return claim


def _reads_before_it_writes(original: Any) -> Any:
    async def claim(self: Any, session_id: str, *, owner_id: str, ttl_ms: int) -> Any:
        before = self._tables.lease(session_id)
        await asyncio.sleep(0)
        self._tables.leases[session_id] = before
        return await original(self, session_id, owner_id=owner_id, ttl_ms=ttl_ms)

    return claim


mutant(
    "claims of a session at the same time do not see each other",
    "of_concurrent_session_claims_one_wins",
    (f"{L}.claim_session_lease", _reads_before_it_writes),
)
mutant(
    "a release forgets the generation",
    "generations_grow_over_every_claim",
    (f"{LEASES}:released", value(lambda row: type(row)())),
)
mutant(
    "an expired session lease renews",
    "a_session_lease_is_over_in_the_millisecond_of_its_expiry",
    (
        f"{LEASES}:check_renewable_lease",
        lambda original: (
            lambda lease, row, now_ms: original(lease, row, min(now_ms, lease.expires_at_ms - 1))
        ),
    ),
)
mutant(
    "a session lease renews by its owner",
    "only_the_current_lease_renews",
    (
        f"{LEASES}:check_renewable_lease",
        lambda original: (
            lambda lease, row, now_ms: original(
                lease.replace(lease_token=row.lease_token)
                if (lease.owner_id, lease.generation) == (row.owner_id, row.generation)
                else lease,
                row,
                now_ms,
            )
        ),
    ),
)

# catalog

C = f"{CATALOG}:MemorySessionCatalog"
mutant(
    "reopening takes the labels away",
    "admitting_again_reopens",
    (f"{C}.admit_session", asked(labels=lambda labels: labels or ())),
)
mutant(
    "blank session ids are admitted",
    "bad_admissions_are_refused",
    (
        f"{CATALOG}:check_session_id",
        lambda original: lambda session_id: None if session_id == " \t" else original(session_id),
    ),
)


def _trimmed(original: Any) -> Any:
    async def admit(self: Any, session_id: str, **facts: Any) -> Any:
        return await original(self, session_id.strip() or session_id, **facts)

    return admit


mutant("session ids are trimmed", "session_ids_are_kept_as_they_are", (f"{C}.admit_session", _trimmed))
mutant(
    "a page begins with the id it comes after",
    "sessions_are_listed_in_pages",
    (f"{C}.list_sessions", asked(after=lambda after: after if after is None else after[:-1])),
)
mutant(
    "a session line does not tell that it is driven",
    "a_session_line_tells_how_it_stands",
    (f"{C}._info", gives(lambda info, *_: info.replace(running=False))),
)
mutant(
    "a head does not tell its leaf",
    "heads_tell_where_a_session_stands",
    (f"{C}.find_head", answers(lambda head, *_: head.replace(leaf_node_id=None))),
)
mutant(
    "a deleted id is free again",
    "deleted_ids_stay_taken",
    (f"{C}.delete_session", lambda original: _forgets_deleted(original)),
)


def _forgets_deleted(original: Any) -> Any:
    async def delete(self: Any, session_id: str) -> Any:
        deletion = await original(self, session_id)
        self._tables.deleted.discard(session_id)
        return deletion

    return delete


mutant(
    "a driven session is deleted",
    "driven_and_unknown_sessions_are_not_deleted",
    (f"{CATALOG}:lease_is_live", value(lambda row, now_ms, dead_owners=(): False)),
)


def _guesses(original: Any) -> Any:
    def only(by_session: Any) -> Any:
        return next(iter(by_session), None)

    return only


mutant(
    "an unbound handle guesses",
    "unbound_handles_resolve_to_the_only_session",
    ("lash.backends.memory.persistence:_only", _guesses),
)

# waits

W = f"{WAITS}:MemoryDurableWaits"


def _last_wins(original: Any) -> Any:
    async def resolve(self: Any, key: str, given: Any, *, scope_key: str = "") -> Any:
        known = self._tables.waits.find(key)
        self._tables.waits.remove(lambda wait: wait.key == key)
        resolution = await original(self, key, given, scope_key=scope_key)
        return resolution.replace(first=known is None)

    return resolve


mutant("the last resolution wins", "the_first_resolution_wins", (f"{W}.resolve_wait", _last_wins))
mutant(
    "every resolution is the first",
    "of_concurrent_resolutions_one_is_first",
    (f"{W}.resolve_wait", answers(lambda resolution, *_: resolution.replace(first=True))),
)


def _prefix(original: Any) -> Any:
    async def drop(self: Any, scope_key: str) -> int:
        return int(self._tables.waits.remove(lambda wait: wait.scope_key.startswith(scope_key)))

    return drop


mutant(
    "scopes are dropped by how they begin", "waits_are_dropped_with_their_scope", (f"{W}.drop_waits", _prefix)
)


def _resolves_anyway(original: Any) -> Any:
    async def resolve(self: Any, key: str, given: Any, *, scope_key: str = "") -> Any:
        try:
            return await original(self, key, given, scope_key=scope_key)
        except LashError:
            await original(self, key, None, scope_key=scope_key)
            raise

    return resolve


mutant(
    "a bad value resolves to null",
    "values_that_are_no_json_resolve_nothing",
    (f"{W}.resolve_wait", _resolves_anyway),
)


def _tells_nobody(original: Any) -> Any:
    def subscribe(self: Any, topics: Any) -> Any:
        return original(self, [topic for topic in topics if not topic.startswith("wait:")])

    return subscribe


mutant(
    "nobody hears of a resolution",
    "waits_are_seen_through_the_other_handle",
    ("lash.backends.memory.hub:MemoryHub.subscribe", _tells_nobody),
)
