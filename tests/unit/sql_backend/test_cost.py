"""Cost follows the change and not the history: statements, pages, plans (decision 5 of the architecture)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from lash.backends.sql import (
    SqliteDatabase,
    acceptance,
    catalog,
    commits,
    deletion,
    effect_rows,
    effect_writes,
    journal,
    journal_pages,
    maintenance,
    manifest_rows,
    node_rows,
    queue,
    queue_rows,
    reads,
    retention,
    session_rows,
    store,
    turn_rows,
    waits,
    work_overview,
)
from lash.backends.sql.engine.sqlite import SqliteSettings
from lash.backends.sql.engine.sqlite.connections import open_checkpointer, open_reader, open_writer
from lash.backends.sql.schema import MIGRATIONS
from lash.values import (
    DeliveryPolicy,
    MergePayloadDefault,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    SlotPolicy,
    TurnInput,
    TurnInputPayload,
)

from .turns import AGENT, append, drive, identity, note, turn_commit, turn_draft

LIMIT = 16  # statements of a whole turn commit; rows of one executemany count once


@contextmanager
def statements(database: SqliteDatabase) -> Iterator[list[str]]:
    """Collect what the writing connection runs; rows of one statement in a row count once."""
    connection = database._engine._live._opened.connection  # type: ignore[union-attr]  # it is connected
    seen: list[str] = []

    def note_statement(_: object, sql: str, __: object) -> bool:
        if (not seen or seen[-1] != sql) and not re.match("BEGIN|COMMIT|PRAGMA", sql):
            seen.append(sql)
        return True

    connection.exec_trace = note_statement
    try:
        yield seen
    finally:
        connection.exec_trace = None


async def grow(database: SqliteDatabase, session_id: str, nodes: int) -> None:
    """Give a session a line of nodes with some content."""
    store = database.runtime_persistence(session_id)
    made = [
        note(f"{session_id}{n:06}", f"{session_id}{n - 1:06}" if n else None, "x" * 400) for n in range(nodes)
    ]
    await store.commit_runtime_state(append(session_id, 0, *made))


async def one_turn(database: SqliteDatabase, session_id: str, turn_id: str) -> tuple[int, int, int]:
    """Return the statements of acceptance and commit, and the pages that the commit wrote to the log."""
    with statements(database) as accepting:
        accepted = await database.turn_ingress.accept_turn(
            turn_draft(session_id, turn_id), claim_owner_id=database.owner_id
        )
    assert accepted.claimed is not None
    store = database.runtime_persistence(session_id)
    before = database._engine.statistics().log_frames
    with statements(database) as committing:
        await store.commit_runtime_state(turn_commit(accepted.claimed))
    return len(accepting), len(committing), database._engine.statistics().log_frames - before


async def test_a_turn_costs_the_same_at_10_and_at_5000_nodes(path: Path) -> None:
    # A log that never starts over, so that its length tells what a commit wrote.
    database = SqliteDatabase(path, settings=SqliteSettings(checkpoint_frames=10**6))
    costs = {}
    for name, nodes in (("few", 10), ("many", 1_000), ("most", 5_000)):
        await database.session_catalog.admit_session(name, agent=AGENT)
        await grow(database, name, nodes)
        await drive(database, name, f"{name} first")  # makes the rows that only the first turn makes
        turns = [await one_turn(database, name, f"{name} {n}") for n in range(6)]
        costs[name] = (turns[0][:2], sum(pages for _, _, pages in turns) / len(turns))
    await database.close()
    assert costs["few"][0] == costs["many"][0] == costs["most"][0]
    accepting, committing = costs["most"][0]
    assert accepting <= 9
    assert committing <= LIMIT
    # A tree that became one level deeper writes one page more where a page is split; that is all.
    assert costs["most"][1] <= costs["few"][1] + 4
    assert costs["most"][1] <= costs["many"][1] * 1.15


async def test_an_effect_takes_the_same_statements_whatever_the_journal_holds(
    database: SqliteDatabase,
) -> None:
    await database.session_catalog.admit_session("s", agent=AGENT)
    counts = []
    for turn_id, lines in (("t1", 3), ("t2", 300), ("t3", 3)):
        await database.effect_journal.start_effects([identity("s", turn_id, n) for n in range(lines)])
        with statements(database) as seen:
            await database.effect_journal.claim_effect(
                identity("s", turn_id, lines), owner_id=database.owner_id, ttl_ms=1_000
            )
        counts.append(len(seen))
    assert counts[0] == counts[1] == counts[2]


async def test_a_claim_of_64_takes_the_same_statements_from_a_long_queue(database: SqliteDatabase) -> None:
    persistence = database.runtime_persistence()
    for number in range(300):
        await persistence.enqueue_queued_work(
            QueuedWorkBatchDraft(
                session_id="s",
                delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
                slot_policy=SlotPolicy.JOIN,
                merge_key=MergePayloadDefault(),
                payloads=(TurnInputPayload(input=TurnInput.text(str(number))),),
            )
        )
    sizes, counts = [], []
    for _ in range(3):
        with statements(database) as seen:
            claim = await persistence.claim_ready_queued_work(
                "s", database.owner_id, QueuedWorkClaimBoundary.IDLE, 10_000, 64
            )
        assert claim is not None
        sizes.append(len(claim.batches))
        counts.append(len(seen))
    assert sizes == [64, 64, 64]
    assert max(counts) <= 5


async def test_claims_wait_for_no_disk_and_acceptance_and_commit_do(database: SqliteDatabase) -> None:
    await database.session_catalog.admit_session("s", agent=AGENT)

    def synced() -> int:
        return database._engine.statistics().durable_commits

    await database.turn_ingress.accept_turn(turn_draft("s", "t"))
    accepted = synced()
    claimed = await database.turn_ingress.claim_turn(
        "s", owner_id=database.owner_id, agents=[AGENT], lease_ttl_ms=1_000
    )
    renewed = await database.turn_ingress.renew_turn(claimed, lease_ttl_ms=1_000)  # type: ignore[arg-type]
    assert synced() == accepted
    await database.runtime_persistence("s").commit_runtime_state(turn_commit(renewed))
    assert synced() == accepted + 1


# What an operator asks for, or a sweep over the whole store, may look at everything.
MAY_SCAN = {
    "ONLY_HEADS",
    "ONLY_METAS",
    "SESSIONS_WITH_HEADS",
    "HEAD_BODIES",
    "COUNT_BLOBS",
    "DELETE_OTHER_BLOBS",
    "LIST_OWNERS",
    "UNSERVED",
    "SESSIONS_OF_OWNERS",
    "FREE_SESSIONS",
    "BATCHES_OF_OWNERS",
    "FREE_BATCHES",
    "LIST_EFFECTS",
}
MODULES = (
    acceptance,
    catalog,
    commits,
    deletion,
    effect_rows,
    effect_writes,
    journal,
    journal_pages,
    maintenance,
    manifest_rows,
    node_rows,
    queue,
    queue_rows,
    reads,
    retention,
    session_rows,
    store,
    turn_rows,
    waits,
    work_overview,
)
STATEMENTS = {
    name: text
    for module in MODULES
    for name, text in vars(module).items()
    if isinstance(text, str) and name[0] != "_" and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", text)
}
TABLES = (
    "session",
    "node",
    "queue",
    "effect",
    "stamp",
    "wait",
    "blob",
    "attachment_manifest",
    "usage_counted",
)
ALIASES = {"q": "queue", "e": "effect", "s": "session", "m": "attachment_manifest"}


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - MAY_SCAN))
def test_no_statement_looks_at_a_whole_table(name: str, tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "plans.db"))
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)  # as the engine's own
    connection.execute(MIGRATIONS[0])
    sql = STATEMENTS[name]
    numbered = re.findall(r"\?(\d+)", sql)
    count = max(map(int, numbered)) if numbered else sql.count("?")
    plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql, ("1",) * count)]
    scanned = [word for step in plan if (match := re.match(r"SCAN (\w+)", step)) and (word := match[1])]
    assert not [table for table in scanned if ALIASES.get(table, table) in TABLES], plan


@pytest.mark.parametrize("opens", [open_writer, open_reader, open_checkpointer])
def test_no_connection_plans_a_statement_anew_for_its_values(
    opens: Callable[[str, SqliteSettings], apsw.Connection], tmp_path: Path
) -> None:
    path = str(tmp_path / "plans.db")
    open_writer(path, SqliteSettings()).close()
    connection = opens(path, SqliteSettings())
    assert connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) == 1
    connection.close()
