"""The workers that `queues.py` measures: lash's, and the same promise by hand.

The promise: at least once, and fenced. A claim needs to be visible, its end to be durable; so by hand, too, a
claim does not wait for the disk and an end does.
"""

from __future__ import annotations

import asyncio
import sys

import apsw

from lash.backends import open_database
from lash.contracts import Database
from lash.values import (
    AgentFrameRecord,
    GraphUnchanged,
    HydratedSessionCheckpoint,
    PersistedTurnState,
    QueuedWorkClaimBoundary,
    RuntimeCommit,
    SessionConfig,
)

RAW_TABLE = """CREATE TABLE raw_queue (seq BIGINT PRIMARY KEY, body TEXT NOT NULL, token TEXT,
    fence INTEGER NOT NULL DEFAULT 0)"""
RAW_INDEX = "CREATE INDEX raw_queue_free ON raw_queue (seq) WHERE token IS NULL"


def raw_sqlite(path: str, name: str, batch: int) -> int:
    """Claim and delete until nothing is left; return how many."""
    db = apsw.Connection(path)
    db.set_busy_timeout(60_000)
    claim = f"""UPDATE raw_queue SET token = ?, fence = fence + 1 WHERE seq IN (SELECT seq FROM raw_queue
        WHERE token IS NULL ORDER BY seq LIMIT {batch}) RETURNING seq, body"""
    done = 0
    while True:
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN IMMEDIATE")
        taken = list(db.execute(claim, (f"{name}.{done}",)))
        db.execute("COMMIT")
        if not taken:
            return done
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "DELETE FROM raw_queue WHERE seq = ? AND token = ?", [(seq, f"{name}.{done}") for seq, _ in taken]
        )
        db.execute("COMMIT")
        done += len(taken)


def raw_postgres(url: str, name: str, batch: int) -> int:
    """The same with `SKIP LOCKED`: one round trip for the claim and one for its end."""
    import psycopg

    visible = psycopg.connect(url, autocommit=True)
    visible.execute("SET synchronous_commit = off")
    durable = psycopg.connect(url, autocommit=True)
    claim = """UPDATE raw_queue SET token = %s, fence = fence + 1 WHERE seq IN (SELECT seq FROM raw_queue
        WHERE token IS NULL ORDER BY seq LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING seq, body"""
    done = 0
    while True:
        token = f"{name}.{done}"
        taken = visible.execute(claim, (token, batch)).fetchall()
        if not taken:
            return done
        durable.execute(
            "DELETE FROM raw_queue WHERE seq = ANY(%s) AND token = %s", ([row[0] for row in taken], token)
        )
        done += len(taken)


async def serve(database: Database, session_id: str, batch: int) -> int:
    """Claim and complete a session's work until nothing is left; return how many."""
    store = database.runtime_persistence(session_id)
    revision = (await database.session_catalog.find_head(session_id)).revision
    done = 0
    while claim := await store.claim_ready_queued_work(
        session_id, database.owner_id, QueuedWorkClaimBoundary.IDLE, 60_000, batch
    ):
        commit = RuntimeCommit(
            session_id=session_id,
            config=SessionConfig(),
            agent_frames=(AgentFrameRecord(frame_id="f", session_id=session_id),),
            current_agent_frame_id="f",
            graph=GraphUnchanged(),
            checkpoint=HydratedSessionCheckpoint(turn_state=PersistedTurnState()),
            expected_head_revision=revision,
            completed_queue_claims=(claim.completion(),),
        )
        revision = (await store.commit_runtime_state(commit)).head_revision
        done += len(claim.batches)
    return done


async def lash_worker(url: str, batch: int, session_ids: list[str]) -> int:
    """Serve some sessions at once."""
    database = open_database(url)
    await database.connect()
    await asyncio.gather(*(database.session_catalog.find_head(session_id) for session_id in session_ids))
    _wait_for_go()
    done = await asyncio.gather(*(serve(database, session_id, batch) for session_id in session_ids))
    print(sum(done), flush=True)
    await database.close()
    return sum(done)


def _wait_for_go() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def main(kind: str, url: str, name: str, batch: int, session_ids: list[str]) -> None:
    if kind == "lash":
        asyncio.run(lash_worker(url, batch, session_ids))
        return
    _wait_for_go()
    work = raw_postgres if url.startswith("postgres") else raw_sqlite
    print(work(url, name, batch), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5:])
