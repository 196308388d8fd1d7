"""Many sessions at once on one file: nothing is lost, no session's order is broken."""

from __future__ import annotations

import asyncio

from lash.backends.sql import SqliteDatabase
from lash.values import ActivePath

from .turns import AGENT, drive

SESSIONS, TURNS = 200, 2


async def run_session(database: SqliteDatabase, session_id: str) -> None:
    await database.session_catalog.admit_session(session_id, agent=AGENT)
    for number in range(TURNS):
        await drive(database, session_id, f"{session_id}/{number}")


async def test_200_sessions_at_once_lose_nothing(database: SqliteDatabase) -> None:
    names = [f"session-{number:03}" for number in range(SESSIONS)]
    await asyncio.gather(*(run_session(database, name) for name in names))
    for name in names:
        read = await database.runtime_persistence(name).load_session(ActivePath())
        assert read is not None
        assert read.head_revision == TURNS
        texts = [node.payload.event.id for node in read.graph.nodes]  # type: ignore[union-attr]  # messages
        assert texts == [f"{name}/{turn}:{ordinal}" for turn in range(TURNS) for ordinal in range(5)]
        assert read.token_ledger[0].usage.input_tokens == 20 * TURNS
    statistics = database._engine.statistics()
    assert statistics.commits < statistics.scripts / 2  # they shared transactions


async def test_of_two_commits_on_one_head_one_is_told_to_reload(database: SqliteDatabase) -> None:
    from lash.errors import LashError

    from .turns import append, note

    store = database.runtime_persistence("s")
    results = await asyncio.gather(
        *(store.commit_runtime_state(append("s", 0, note(name))) for name in "abcdefgh"),
        return_exceptions=True,
    )
    refused = [result.code for result in results if isinstance(result, LashError)]
    assert refused == ["head_revision_conflict"] * 7
