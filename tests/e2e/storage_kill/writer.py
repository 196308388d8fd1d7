"""A program that writes to a database at random until it is killed, and tells of each call what came of it.

Every call is announced on the standard output before it is made (`tried`) and told after it returned
(`told`), one JSON line each, written with one `write`: what was told was acknowledged before, and what is
there was announced. Run as `python -m tests.e2e.storage_kill.writer URL NAME SEED`; with `--operations N` it stops
by itself. With `--hasty` it only puts attachments and tells of them too early, as a store would that answers
before it commits: whoever checks must notice.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from lash.backends import open_database
from lash.contracts import Database
from lash.errors import LashError
from lash.values import (
    AttachmentCreateMeta,
    AwaitSuccess,
    ClaimedTurn,
    EffectClaim,
    EffectScope,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
)

from . import records

TASKS = 4
LONG_MS, SHORT_MS = 3_600_000, 150
SHARED = 40  # so many keys are fought for by all writers


class Voice:
    """Says what is tried and what was answered. A hasty one tells of attachments when they are only tried."""

    def __init__(self, out: int = 1, *, is_hasty: bool = False) -> None:
        self._out = out
        self._is_hasty = is_hasty

    def tried(self, kind: str, **facts: Any) -> None:
        self._say({"tried": kind, **facts})
        if self._is_hasty and kind == "put":
            self._say({"told": kind, **facts})

    def told(self, kind: str, **facts: Any) -> None:
        self._say({"told": kind, **facts})

    def _say(self, line: dict[str, Any]) -> None:
        os.write(self._out, (json.dumps(line) + "\n").encode())


@contextmanager
def unless(*codes: str) -> Iterator[None]:
    """Let pass what another writer's being faster explains."""
    try:
        yield
    except LashError as refusal:
        if refusal.code not in codes:
            raise


class Writer:
    """One handle on the database, and everything that is done with it."""

    def __init__(self, database: Database, name: str, seed: int, voice: Voice) -> None:
        self._db = database
        self._name = name
        self._random = random.Random(seed)
        self._voice = voice
        self._count = 0
        self._puts: list[tuple[str, str]] = []
        # Half of the writers claim for an hour, under a name that dies with them; the others for a moment.
        is_known = seed % 2 == 0
        self._owner_id = database.owner_id if is_known else name
        self._ttl_ms = LONG_MS if is_known else SHORT_MS

    async def write(self, operations: int | None, *, only_puts: bool) -> None:
        """Do one thing after the other, so many or for ever."""
        kinds = (
            [self.put]
            if only_puts
            else [
                *(self.enqueue, self.enqueue, self.serve, self.serve, self.serve),
                *(self.turn, self.turn, self.turn, self.append, self.append, self.register, self.reserve),
                *(self.put, self.effect, self.effect, self.wait, self.lease, self.artifact),
            ]
        )
        while operations is None or self._count < operations:
            await self._random.choice(kinds)()

    def _token(self) -> str:
        self._count += 1
        return f"{self._name}.{self._count}"

    def _shared(self) -> str:
        """A token of this writer, or one that others use too."""
        return f"same.{self._random.randrange(SHARED)}" if self._random.random() < 0.2 else self._token()

    async def enqueue(self) -> None:
        token, session_id = self._token(), self._random.choice(records.QUEUES)
        self._voice.tried("enqueue", token=token, session=session_id)
        batch = await self._db.runtime_persistence().enqueue_queued_work(records.work(token, session_id))
        self._voice.told("enqueue", batch=batch.batch_id, session=session_id, seq=batch.enqueue_seq)

    async def serve(self) -> None:
        """Claim work and complete it with a commit, or give it back."""
        session_id = self._random.choice(records.QUEUES)
        claim = await self._db.runtime_persistence().claim_ready_queued_work(
            session_id, self._owner_id, QueuedWorkClaimBoundary.IDLE, self._ttl_ms, self._random.randint(1, 3)
        )
        if claim is None:
            return
        batches = [batch.batch_id for batch in claim.batches]
        self._voice.told("claim", claim=claim.claim_id, fence=claim.fencing_token, batches=batches)
        if self._random.random() < 0.2:
            await self._db.runtime_persistence().abandon_queued_work_claim(claim)
            self._voice.told("abandon", claim=claim.claim_id)
            return
        await self._complete(claim)

    async def _complete(self, claim: QueuedWorkClaim) -> None:
        token, session_id = self._token(), claim.session_id
        batches = [batch.batch_id for batch in claim.batches]
        ours = tuple(made for made, owner in self._puts if owner == session_id)
        self._puts = [put for put in self._puts if put[1] != session_id]
        store = self._db.runtime_persistence(session_id)
        self._voice.tried("commit", turn=token, session=session_id, batches=batches, attachments=ours)
        with unless("queue_claim_expired"):
            while True:
                head = await self._db.session_catalog.find_head(session_id)
                commit = records.queue_commit(
                    token, claim, ours, revision=head.revision, leaf=head.leaf_node_id
                )
                with unless("head_revision_conflict"):
                    result = await store.commit_runtime_state(commit)
                    self._voice.told("commit", turn=token, session=session_id, revision=result.head_revision)
                    return

    async def turn(self) -> None:
        """Accept a turn, or take one up, and drive it to its commit."""
        session_id, ingress = self._random.choice(records.TURNS), self._db.turn_ingress
        if self._random.random() < 0.5:
            token = self._token()
            self._voice.tried("accept", turn=token, session=session_id)
            accepted = await ingress.accept_turn(
                records.turn_draft(token, session_id),
                claim_owner_id=self._owner_id if self._random.random() < 0.5 else None,
                lease_ttl_ms=self._ttl_ms,
            )
            self._voice.told("accept", turn=token, session=session_id)
            claimed = accepted.claimed
        else:
            answer = await ingress.claim_turn(
                session_id, owner_id=self._owner_id, agents=[records.AGENT], lease_ttl_ms=self._ttl_ms
            )
            claimed = answer if isinstance(answer, ClaimedTurn) else None
        if claimed is not None:
            with unless("session_lease_lost", "queue_claim_expired"):
                await self._drive(claimed)

    async def _drive(self, turn: ClaimedTurn) -> None:
        session_id, turn_id = turn.lease.session_id, turn.turn_id
        self._voice.told("driven", session=session_id, turn=turn_id, generation=turn.lease.generation)
        if self._random.random() < 0.1:
            await self._db.turn_ingress.abandon_turn(turn)
            return
        charge = records.identity(turn_id, EffectScope.turn(session_id, turn_id), at_most_once=True)
        journal = self._db.effect_journal
        await journal.start_effects([charge], lease=turn.lease)
        self._voice.told("started", turn=turn_id, session=session_id)
        await journal.record_effects([(charge, records.outcome(turn_id))], lease=turn.lease)
        self._voice.told("recorded", turn=turn_id, session=session_id)
        self._voice.tried("commit", turn=turn_id, session=session_id, batches=[], attachments=[])
        store = self._db.runtime_persistence(session_id)
        result = await store.commit_runtime_state(records.turn_commit(turn))
        self._voice.told("commit", turn=turn_id, session=session_id, revision=result.head_revision)

    async def append(self) -> None:
        process_id, token = self._random.choice(records.LOGS), self._shared()
        is_wake = len(token) % 2 == 0  # the same for the same token
        self._voice.tried("append", process=process_id, token=token)
        result = await self._db.process_registry.append_event(
            process_id, records.event(token, is_wake=is_wake)
        )
        self._voice.told("append", process=process_id, token=token, sequence=result.event.sequence)

    async def register(self) -> None:
        """Register a process, give its grant away, and run it to its end."""
        token, registry = self._shared(), self._db.process_registry
        self._voice.tried("register", process=token, by=self._name)
        with unless("process_registration_conflict"):
            record = await registry.register_process(
                records.registration(token, self._name), grants=records.grants_to(records.HOLDERS[0])
            )
            self._voice.told("register", process=token, by=self._name, hash=record.registration_hash)
        with unless("process_handle_not_granted"):
            await registry.transfer_handle_grants(*records.HOLDERS, [token])
        with unless("process_lease_held", "process_lease_lost", "process_already_terminal"):
            lease = await registry.claim_process_lease(token, self._owner_id, self._ttl_ms)
            self._voice.told("process lease", process=token, fence=lease.fencing_token)
            attempt = await registry.start_process_attempt(lease)
            self._voice.told("attempt", process=token, number=attempt.attempts)
            self._voice.tried("complete", process=token, by=self._name)
            with unless("process_event_replay_conflict"):
                await registry.complete_process_with_lease(lease, AwaitSuccess(value=self._name))
                self._voice.told("complete", process=token, by=self._name)

    async def reserve(self) -> None:
        from lash.values import HostEventOccurrenceRequest

        token = self._shared()
        self._voice.tried("reserve", token=token)
        ingest = await self._db.host_event_store.record_and_reserve(
            HostEventOccurrenceRequest(source_type="t", source_key="k", payload=token, idempotency_key=token)
        )
        got = [one.subscription.subscription_id for one in ingest.reservations]
        self._voice.told("reserve", token=token, occurrence=ingest.occurrence.occurrence_id, got=got)

    async def put(self) -> None:
        token, session_id = self._shared(), self._random.choice(records.QUEUES)
        data = records.attachment(token)
        attachment_id = hashlib.sha256(data).hexdigest()
        self._voice.tried("put", token=token, attachment=attachment_id, session=session_id)
        intent = records.intent(attachment_id, session_id, self._db.clock.now_ms())
        await self._db.runtime_persistence().record_intent(intent)
        self._voice.told("intent", attachment=attachment_id, session=session_id)
        await self._db.attachment_store.put(data, AttachmentCreateMeta(media_type="text/plain", label=token))
        self._voice.told("put", token=token, attachment=attachment_id)
        self._puts.append((attachment_id, session_id))

    async def effect(self) -> None:
        token = self._shared()
        identity = records.identity(
            token, records.effect_scope(token), at_most_once=self._random.random() < 0.5
        )
        self._voice.tried("effect", token=token)
        claim = await self._db.effect_journal.claim_effect(
            identity, owner_id=self._owner_id, ttl_ms=self._ttl_ms
        )
        if not isinstance(claim, EffectClaim):
            return
        self._voice.told("effect claim", token=token)
        with unless("effect_replay_lease_lost"):
            if self._random.random() < 0.1:
                await self._db.effect_journal.release_effect_claim(claim)
                return
            await self._db.effect_journal.record_effect(claim, records.outcome(self._name))
            self._voice.told("effect", token=token, by=self._name)

    async def wait(self) -> None:
        token = self._shared()
        self._voice.tried("wait", token=token, value=self._name)
        resolution = await self._db.durable_waits.resolve_wait(token, self._name)
        self._voice.told("wait", token=token, value=resolution.value, first=resolution.first)

    async def lease(self) -> None:
        """Take the leases that nothing else needs, and mostly give them back."""
        with unless("session_lease_held"):
            lease = await self._db.session_leases.claim_session_lease(
                records.LEASED, owner_id=self._owner_id, ttl_ms=self._ttl_ms
            )
            self._voice.told("session lease", session=records.LEASED, generation=lease.generation)
            if self._random.random() < 0.8:
                await self._db.session_leases.release_session_lease(lease)
        with unless("process_lease_held"):
            held = await self._db.process_registry.claim_process_lease(
                records.LOG_LEASED, self._owner_id, self._ttl_ms
            )
            self._voice.told("process lease", process=records.LOG_LEASED, fence=held.fencing_token)
            if self._random.random() < 0.8:
                await self._db.process_registry.complete_process_lease(held.completion())

    async def artifact(self) -> None:
        from lashlang import ModuleArtifact, parse  # the few who get here pay for the language

        name = f"echo{self._random.randrange(SHARED)}"
        module = ModuleArtifact.from_program(parse(f"process {name}(value: str) {{ finish value }}"))
        self._voice.tried("artifact", name=name, ref=module.module_ref)
        await self._db.artifact_store.put_module_artifact(module)
        self._voice.told("artifact", name=name, ref=module.module_ref)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A handle on the database; on a server one that waits out a restart."""
    options: dict[str, Any] = {}
    if url.startswith("postgres"):
        from lash.backends.sql.engine.postgres import PostgresSettings

        options["settings"] = PostgresSettings(connections=4, patience_ms=60_000, connect_timeout_ms=60_000)
    database = open_database(url, **options)
    await database.connect()
    try:
        yield database
    finally:
        await database.close()


async def main(options: argparse.Namespace) -> None:
    voice = Voice(is_hasty=options.hasty)
    try:
        async with opened(options.url) as database:
            voice.told("open", owner=database.owner_id)
            async with asyncio.TaskGroup() as tasks:
                for task in range(TASKS):
                    writer = Writer(database, f"{options.name}-{task}", options.seed + task, voice)
                    tasks.create_task(writer.write(options.operations, only_puts=options.hasty))
    except BaseException:
        voice.told("failed", why=traceback.format_exc())
        raise


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("name")
    parser.add_argument("seed", type=int)
    parser.add_argument("--operations", type=int)
    parser.add_argument("--hasty", action="store_true")
    asyncio.run(main(parser.parse_args()))
