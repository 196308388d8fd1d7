"""Whoever comes after a kill: finds nothing locked for longer than its time, and finishes what was left."""

from __future__ import annotations

import asyncio
import time

from lash.contracts import Database
from lash.errors import LashError
from lash.values import ClaimedTurn, QueuedWorkClaimBoundary

from . import records
from .account import Account

PATIENCE_SECONDS = 30


async def check_nothing_stays_locked(database: Database, account: Account) -> None:
    """Every lock of the killed is free: at once where they are known to be dead, else when its time is up.

    What is found locked is asked for again until it is free. The leases that are taken here are over at once,
    and are told like those of the writers: their numbers must be new.
    """
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while waiting_for := await _locked(database):
        assert time.monotonic() < give_up_at, f"still locked: {waiting_for}"
        await asyncio.sleep(0.005)
    held = await database.process_registry.claim_process_lease(records.LOG_LEASED, "survivor", 0)
    lease = await database.session_leases.claim_session_lease(records.LEASED, owner_id="survivor", ttl_ms=0)
    account.told("process lease").append({"process": records.LOG_LEASED, "fence": held.fencing_token})
    account.told("session lease").append({"session": records.LEASED, "generation": lease.generation})
    if account.keeps_claims:
        fences = [
            one["fence"] for one in account.told("process lease") if one["process"] == records.LOG_LEASED
        ]
        assert held.fencing_token == max(fences)
        assert lease.generation == max(one["generation"] for one in account.told("session lease"))


async def finish_everything(database: Database, account: Account) -> None:
    """Serve the queues and drive the turns until nothing is left, telling of it as a writer does."""
    for session_id in records.QUEUES:
        await _serve_all(database, account, session_id)
    for session_id in records.TURNS:
        await _drive_all(database, account, session_id)
    for line in account.told("accept"):
        status = await database.turn_ingress.find_turn(line["session"], line["turn"])
        assert status.receipt is not None, f"turn {line['turn']} was accepted and never committed"


async def _locked(database: Database) -> list[str]:
    """Return what somebody else holds."""
    store, leases = database.runtime_persistence(), database.session_leases
    locked = [
        f"queue of {session_id}"
        for session_id in records.QUEUES
        if await store.list_pending_queued_work(session_id) != await store.list_queued_work(session_id)
    ]
    locked += [
        f"session {session_id}"
        for session_id in (*records.TURNS, records.LEASED)
        if await leases.find_session_lease(session_id) is not None
    ]
    try:
        await database.process_registry.claim_process_lease(records.LOG_LEASED, "prober", 0)
    except LashError as refusal:
        if refusal.code != "process_lease_held":
            raise
        locked.append(f"process {records.LOG_LEASED}")
    return locked


async def _serve_all(database: Database, account: Account, session_id: str) -> None:
    store, number = database.runtime_persistence(session_id), 0
    while claim := await store.claim_ready_queued_work(
        session_id, database.owner_id, QueuedWorkClaimBoundary.IDLE, 60_000, 50
    ):
        number += 1
        token = f"survivor-{session_id}.{number}"
        batches = [batch.batch_id for batch in claim.batches]
        head = await database.session_catalog.find_head(session_id)
        commit = records.queue_commit(token, claim, (), revision=head.revision, leaf=head.leaf_node_id)
        line = {"turn": token, "session": session_id, "batches": batches, "attachments": []}
        account.tried("commit").append(line)
        result = await store.commit_runtime_state(commit)
        account.told("commit").append(line | {"revision": result.head_revision})


async def _drive_all(database: Database, account: Account, session_id: str) -> None:
    store = database.runtime_persistence(session_id)
    while True:
        turn = await database.turn_ingress.claim_turn(
            session_id, owner_id=database.owner_id, agents=[records.AGENT], lease_ttl_ms=60_000
        )
        if not isinstance(turn, ClaimedTurn):
            assert turn.reason == "empty", turn
            return
        if turn.receipt is not None:
            continue
        line = {"turn": turn.turn_id, "session": session_id, "batches": [], "attachments": []}
        account.tried("commit").append(line)
        result = await store.commit_runtime_state(records.turn_commit(turn))
        account.told("commit").append(line | {"revision": result.head_revision})
