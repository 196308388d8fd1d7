"""A fleet on PostgreSQL: what each operation and each turn costs, and how turns grow with worker processes.

Statements, round trips and bytes are counted on the wire, by a relay between client and server that looks at the
messages of the protocol; so lash and the raw baseline are counted alike. Raw is the same rows by hand, by psycopg
statement by statement, in the same run: one acceptance insert and one turn commit, two transactions.

    python bench/fleet.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg

import lash
from fleet_relay import Counts, Relay
from lash.backends import open_database
from lash.testing import ScriptedModel
from lash.values import (
    ClaimedTurn,
    DeliveryPolicy,
    EffectIdentity,
    EffectResult,
    EffectScope,
    EffectState,
    ExternalInput,
    ProcessEventAppendRequest,
    ProcessEventType,
    ProcessRegistration,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    RuntimeEffectKind,
    SlotPolicy,
    TokenUsage,
    TurnInput,
    TurnInputPayload,
)
from reporting import Report
from stores import stores

ANSWER = "a" * 2048
USER = "u" * 1024
SESSIONS = 8  # that each worker process drives at once
RAW_TABLES = """
    CREATE TABLE raw_queue(seq bigserial PRIMARY KEY, session text, body text, state text);
    CREATE TABLE raw_node(k bigserial PRIMARY KEY, session text, id text UNIQUE, parent text, body text);
    CREATE TABLE raw_head(session text PRIMARY KEY, revision bigint, leaf text, body text);
    CREATE TABLE raw_usage(session text, key text, body text, PRIMARY KEY (session, key));
    CREATE TABLE raw_stamp(session text, turn text, hash text, body text, PRIMARY KEY (session, turn));
"""


def make_agent() -> lash.Agent:
    """An agent that answers at once: what is left is the storage."""
    return lash.Agent(
        "bench", model=ScriptedModel(lambda _: ANSWER, usage=TokenUsage(input_tokens=100, output_tokens=20))
    )


async def raw_turn(connection: psycopg.AsyncConnection[Any], session: str, number: int) -> None:
    """The rows of one turn by hand."""
    turn = f"{session}-{number}"
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO raw_queue (session, body, state) VALUES (%s, %s, 'claimed')", (session, USER)
        )
    async with connection.transaction():
        await connection.execute(
            "SELECT revision, leaf FROM raw_head WHERE session = %s FOR UPDATE", (session,)
        )
        await connection.execute("SELECT 1 FROM raw_stamp WHERE session = %s AND turn = %s", (session, turn))
        for role, body in (("user", USER), ("assistant", ANSWER)):
            await connection.execute(
                "INSERT INTO raw_node (session, id, parent, body) VALUES (%s, %s, %s, %s)",
                (session, f"{turn}-{role}", turn, body),
            )
        await connection.execute("INSERT INTO raw_usage VALUES (%s, %s, '{}')", (session, turn))
        await connection.execute(
            "INSERT INTO raw_head VALUES (%s, %s, %s, '{}') ON CONFLICT (session)"
            " DO UPDATE SET revision = excluded.revision, leaf = excluded.leaf",
            (session, number, turn),
        )
        await connection.execute("UPDATE raw_queue SET state = 'done' WHERE session = %s", (session,))
        await connection.execute("DELETE FROM raw_queue WHERE session = %s", (session,))
        await connection.execute("INSERT INTO raw_stamp VALUES (%s, %s, 'h', '{}')", (session, turn))


class Ledger:
    """What calls cost on the wire, each taken by itself."""

    def __init__(self, relay: Relay, report: Report, listener: psycopg.Connection[Any]) -> None:
        self._relay = relay
        self._report = report
        self._listener = listener

    async def take(self, label: str, calls: int, call: Callable[[int], Awaitable[Any]]) -> Counts:
        """Make calls one after another, and add a row with what one costs."""
        await self._quiet()
        before, begun = self._relay.counts(), time.perf_counter()
        for number in range(calls):
            await call(number)
        took = time.perf_counter() - begun
        cost = self._relay.counts().minus(before)
        heard = await self._quiet()
        self._report.row(
            label,
            ms=took / calls * 1000,
            round_trips=cost.round_trips / calls,
            statements=cost.statements / calls,
            bytes=(cost.bytes_out + cost.bytes_in) / calls,
            notifications=heard / calls,
        )
        return cost

    async def _quiet(self) -> int:
        """Return how many notifications came until none came any more."""
        return await asyncio.to_thread(lambda: len(list(self._listener.notifies(timeout=0.2))))


async def measure_operations(url: str, report: Report, calls: int) -> None:
    """One operation at a time, then whole turns, through the relay."""
    with Relay(url) as relay, psycopg.connect(url, autocommit=True) as listener:
        listener.execute("LISTEN lash_topics")
        ledger = Ledger(relay, report, listener)
        await measure_ports(relay.url, ledger, calls)
        async with lash.open(relay.url, make_agent()) as runtime:
            session = await runtime.session("turns")
            await session.turn("warm")
            await ledger.take("a turn: lash", calls, lambda n: session.turn(USER, turn_id=f"t{n}"))
        async with await psycopg.AsyncConnection.connect(relay.url) as connection:
            await connection.execute(RAW_TABLES.encode())
            await connection.commit()
            await ledger.take("a turn: raw psycopg", calls, lambda n: raw_turn(connection, "raw", n))


async def measure_ports(url: str, ledger: Ledger, calls: int) -> None:
    database = open_database(url)
    await database.connect()
    store, ingress, journal = (
        database.runtime_persistence("q"),
        database.turn_ingress,
        database.effect_journal,
    )
    await database.session_catalog.admit_session("q", agent="bench")
    registry = database.process_registry
    await registry.register_process(
        ProcessRegistration(id="p", input=ExternalInput()).with_extra_event_types(
            [ProcessEventType(name="line", payload_schema={})]
        )
    )

    def draft(number: int) -> QueuedWorkBatchDraft:
        return QueuedWorkBatchDraft(
            session_id="q",
            delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=SlotPolicy.EXCLUSIVE,
            payloads=(TurnInputPayload(input=TurnInput.text(USER)),),
            source_key=f"k{number}",
        )

    async def claim_and_give_back(number: int) -> None:
        claimed = await ingress.claim_turn("q", owner_id="o", agents=["bench"], lease_ttl_ms=60_000)
        assert isinstance(claimed, ClaimedTurn)
        await ingress.abandon_turn(claimed)

    async def reserve_and_record(number: int) -> None:
        identity = EffectIdentity(
            scope=EffectScope.turn("q", "t"),
            replay_key=f"q:t:{number}",
            envelope_hash="e" * 64,
            kind=RuntimeEffectKind.TOOL_CALL,
            effect_id=str(number),
            label="tool",
        )
        claim: Any = await journal.claim_effect(identity, owner_id=database.owner_id, ttl_ms=60_000)
        await journal.record_effect(claim, EffectResult(state=EffectState.DONE, outcome=b"x" * 300))

    lease = await database.session_leases.claim_session_lease("l", owner_id="o", ttl_ms=60_000)
    await ledger.take("enqueue", calls, lambda n: store.enqueue_queued_work(draft(n)))
    await ledger.take("claim a turn, and give it back", calls, claim_and_give_back)
    await ledger.take(
        "claim from the queue",
        calls,
        lambda n: store.claim_ready_queued_work("q", "o", QueuedWorkClaimBoundary.IDLE, 60_000, 1),
    )
    await ledger.take("reserve an effect, and record it", calls, reserve_and_record)
    await ledger.take(
        "renew a lease", calls, lambda n: database.session_leases.renew_session_lease(lease, ttl_ms=60_000)
    )
    await ledger.take(
        "append an event",
        calls,
        lambda n: registry.append_event("p", ProcessEventAppendRequest(event_type="line", payload="x" * 100)),
    )
    await database.close()


def measure_workers(url: str, report: Report, turns: int) -> None:
    """Turns a second of 1, 2 and 4 processes, lash beside raw."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"DROP TABLE IF EXISTS raw_queue, raw_node, raw_head, raw_usage, raw_stamp")
        connection.execute(RAW_TABLES.encode())
    for workers in (1, 2, 4):
        figures = {}
        for kind in ("lash", "raw"):
            command = [sys.executable, __file__, "--worker", kind, "--url", url, "--turns", str(turns)]
            children = [
                subprocess.Popen(
                    [*command, "--name", f"{kind}{workers}{n}"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=Path(__file__).parent,
                )
                for n in range(workers)
            ]
            for child in children:
                assert child.stdout is not None
                assert child.stdout.readline() == "ready\n"
            begun = time.perf_counter()
            for child in children:
                child.communicate("go\n", timeout=600)
            assert [child.returncode for child in children] == [0] * workers
            figures[kind] = workers * SESSIONS * turns / (time.perf_counter() - begun)
        report.row(
            f"{workers} worker process{'es' if workers > 1 else ''}, {SESSIONS} sessions each",
            lash_turns_per_s=figures["lash"],
            raw_turns_per_s=figures["raw"],
            times_raw=figures["lash"] / figures["raw"],
        )


async def work(kind: str, url: str, name: str, turns: int) -> None:
    """Be one worker process: get ready, wait for the word, take turns in sessions of its own."""
    if kind == "raw":
        connections = [await psycopg.AsyncConnection.connect(url) for _ in range(SESSIONS)]
        await _told()

        async def raw(connection: psycopg.AsyncConnection[Any], session: str) -> None:
            for number in range(turns):
                await raw_turn(connection, session, number)

        await asyncio.gather(*(raw(one, f"{name}-{n}") for n, one in enumerate(connections)))
        return
    async with lash.open(url, make_agent()) as runtime:
        sessions = [await runtime.session(f"{name}-{n}") for n in range(SESSIONS)]
        await _told()

        async def take(session: lash.Session) -> None:
            for _ in range(turns):
                await session.turn(USER)

        await asyncio.gather(*(take(session) for session in sessions))


async def _told() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a few calls of each: for a look, not for figures"
    )
    parser.add_argument("--worker", choices=("lash", "raw"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        asyncio.run(work(asked.worker, asked.url, asked.name, asked.turns))
        return
    report = Report("fleet")
    with stores("postgres") as new_database:
        url = new_database()
        asyncio.run(measure_operations(url, report, 20 if asked.quick else 200))
        measure_workers(url, report, 10 if asked.quick else 50)
    report.finish()


if __name__ == "__main__":
    main()
