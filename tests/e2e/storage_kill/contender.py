"""A program with four writers that fight three more such programs for everything that can be won once.

It opens a handle for each writer, says that it is ready, waits for a line on its standard input, and then tells
what each contest came to: `[contest, round, outcome]`, where the outcome is `won`, or the code of the refusal.
Run as `python -m tests.e2e.storage_kill.contender URL NAME SEED ROUNDS`.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable

from lash.backends import open_database
from lash.contracts import Database
from lash.errors import LashError
from lash.values import (
    AwaitSuccess,
    EffectClaim,
    HostEventOccurrenceRequest,
    ProcessScope,
    QueuedWorkClaimBoundary,
)

from . import records

WRITERS = 4
LOG = "log"
HOLDER = ProcessScope("holder")
HOUR_MS = 3_600_000


class Contender:
    """One writer. Each contest answers whether it won, or raises why not."""

    def __init__(self, database: Database, name: str) -> None:
        self._db = database
        self._name = name
        self.contests: dict[str, Callable[[int], Awaitable[bool]]] = {
            "head": self._commit,
            "session lease": self._lease_session,
            "process lease": self._lease_process,
            "registration": self._register,
            "end": self._end,
            "reservation": self._reserve,
            "grant": self._move_grant,
            "batch": self._claim_batch,
            "effect": self._claim_effect,
            "wait": self._resolve,
            "turn": self._take_turn,
            "log": self._append,
        }

    async def _commit(self, number: int) -> bool:
        """Whoever lost the rounds before has seen that they were won, so the head is never behind."""
        commit = records.commit(f"{self._name}.{number}", "head", revision=number, leaf=None)
        await self._db.runtime_persistence("head").commit_runtime_state(commit)
        return True

    async def _lease_session(self, number: int) -> bool:
        await self._db.session_leases.claim_session_lease(
            f"lease{number}", owner_id=self._name, ttl_ms=HOUR_MS
        )
        return True

    async def _lease_process(self, number: int) -> bool:
        await self._db.process_registry.claim_process_lease(f"ready{number}", self._name, HOUR_MS)
        return True

    async def _register(self, number: int) -> bool:
        await self._db.process_registry.register_process(records.registration(f"new{number}", self._name))
        return True

    async def _end(self, number: int) -> bool:
        await self._db.process_registry.complete_process(f"ready{number}", AwaitSuccess(value=self._name))
        return True

    async def _reserve(self, number: int) -> bool:
        request = HostEventOccurrenceRequest(
            source_type="t", source_key="k", payload=number, idempotency_key=f"o{number}"
        )
        ingest = await self._db.host_event_store.record_and_reserve(request)
        assert len(ingest.deliveries) == records.SUBSCRIPTIONS
        assert len(ingest.reservations) in (0, records.SUBSCRIPTIONS)
        return len(ingest.reservations) > 0

    async def _move_grant(self, number: int) -> bool:
        await self._db.process_registry.transfer_handle_grants(
            HOLDER, ProcessScope("holder", self._name), [f"ready{number}"]
        )
        return True

    async def _claim_batch(self, number: int) -> bool:
        claim = await self._db.runtime_persistence().claim_ready_queued_work(
            f"queue{number}", self._name, QueuedWorkClaimBoundary.IDLE, HOUR_MS, 1
        )
        return claim is not None

    async def _claim_effect(self, number: int) -> bool:
        identity = records.identity(f"e{number}", records.effect_scope("contest"))
        answer = await self._db.effect_journal.claim_effect(identity, owner_id=self._name, ttl_ms=HOUR_MS)
        return isinstance(answer, EffectClaim)

    async def _resolve(self, number: int) -> bool:
        return (await self._db.durable_waits.resolve_wait(f"w{number}", self._name)).first

    async def _take_turn(self, number: int) -> bool:
        accepted = await self._db.turn_ingress.accept_turn(
            records.turn_draft("turn", f"turn{number}"), claim_owner_id=self._name, lease_ttl_ms=HOUR_MS
        )
        return accepted.claimed is not None

    async def _append(self, number: int) -> bool:
        """Append an event of one's own, and one that all append; nobody wins here."""
        for token in (f"{self._name}.{number}", f"all.{number}"):
            await self._db.process_registry.append_event(LOG, records.event(token, is_wake=False))
        return False


async def prepare(database: Database, rounds: int) -> None:
    """Store what is fought for."""
    await records.prepare(database)
    registry = database.process_registry
    await registry.register_process(records.log_registration(LOG))
    for number in range(rounds):
        await registry.register_process(
            records.registration(f"ready{number}", "nobody"), grants=records.grants_to(HOLDER)
        )
        await database.runtime_persistence().enqueue_queued_work(
            records.work(f"batch{number}", f"queue{number}")
        )
        await database.session_catalog.admit_session(f"turn{number}", agent=records.AGENT)


async def fight(contender: Contender, seed: int, rounds: int) -> list[tuple[str, int, str]]:
    """Go through all rounds; the order of the contests of a round is drawn."""
    drawn, outcomes = random.Random(seed), []
    for number in range(rounds):
        for name in drawn.sample(sorted(contender.contests), len(contender.contests)):
            try:
                outcome = "won" if await contender.contests[name](number) else "lost"
            except LashError as refusal:
                outcome = refusal.code
            outcomes.append((name, number, outcome))
    return outcomes


async def main(url: str, name: str, seed: int, rounds: int) -> None:
    databases = [open_database(url) for _ in range(WRITERS)]
    for database in databases:
        await database.connect()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    fights = [
        fight(Contender(database, f"{name}-{number}"), seed + number, rounds)
        for number, database in enumerate(databases)
    ]
    for outcomes in await asyncio.gather(*fights):
        print(json.dumps(outcomes), flush=True)
    for database in databases:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
