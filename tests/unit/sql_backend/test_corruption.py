"""Rows that lash did not write like that are reported, with table and ids, and never healed (rule R-30)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from lash.backends.sql import SqliteDatabase
from lash.errors import LashError
from lash.values import (
    ActivePath,
    EffectFilter,
    FullGraph,
    RuntimeTurnCommitStamp,
    SessionMeta,
    ToolState,
)

from .turns import AGENT, append, drive, identity, note, turn_draft

Tamper = Callable[..., list[tuple[object, ...]]]


async def refused(operation: Awaitable[object]) -> LashError:
    with pytest.raises(LashError) as problem:
        await operation
    assert problem.value.code in ("stored_data_corrupt", "checkpoint_component_missing")
    return problem.value


@pytest.fixture
async def filled(database: SqliteDatabase) -> SqliteDatabase:
    store = database.runtime_persistence("s")
    commit = append("s", 0, note("a"), note("b", "a"), note("c", "b"))
    tools = commit.checkpoint.replace(tool_state=ToolState(generation=1))
    await store.commit_runtime_state(commit.replace(checkpoint=tools))
    return database


@pytest.mark.parametrize("body", [b"", b"{}", b'{"node_id":"b"', b"\xff", b'{"node_id":"b","extra":1}'])
async def test_a_node_that_does_not_decode_is_named(
    filled: SqliteDatabase, tamper: Tamper, body: bytes
) -> None:
    tamper("UPDATE node SET body = ? WHERE node_id = 'b'", body)
    store = filled.runtime_persistence("s")
    for read in (store.load_session(ActivePath()), store.load_session(FullGraph()), store.load_node("b")):
        problem = await refused(read)
        assert "table node" in problem.message
        assert "'b'" in problem.message
        assert "'s'" in problem.message
    assert await store.load_node("a") is not None


async def test_a_node_that_is_missing_in_the_path_is_reported(filled: SqliteDatabase, tamper: Tamper) -> None:
    tamper("DELETE FROM node WHERE node_id = 'b'")
    problem = await refused(filled.runtime_persistence("s").load_session(ActivePath()))
    assert "table node" in problem.message


async def test_a_leaf_that_is_not_stored_is_reported(filled: SqliteDatabase, tamper: Tamper) -> None:
    tamper("UPDATE session SET leaf_node_id = 'gone' WHERE session_id = 's'")
    problem = await refused(filled.runtime_persistence("s").load_session(ActivePath()))
    assert "'gone'" in problem.message


async def test_a_path_that_runs_in_circles_is_reported(filled: SqliteDatabase, tamper: Tamper) -> None:
    tamper("UPDATE node SET run_parent = 3 WHERE node_id = 'c'")
    problem = await refused(filled.runtime_persistence("s").load_session(ActivePath()))
    assert "its own ancestor" in problem.message


@pytest.mark.parametrize(
    ("column", "where"),
    [
        ("manifest", "session"),
        ("ledger", "session"),
        ("config", "session_setup"),
        ("frames", "session_setup"),
    ],
)
async def test_a_head_that_does_not_decode_is_reported(
    filled: SqliteDatabase, tamper: Tamper, column: str, where: str
) -> None:
    tamper(f"UPDATE {where} SET {column} = '[{{'")
    problem = await refused(filled.runtime_persistence("s").load_session(ActivePath()))
    assert f"table {where}" in problem.message
    assert "'s'" in problem.message


async def test_a_component_without_its_body_is_reported(filled: SqliteDatabase, tamper: Tamper) -> None:
    tamper("DELETE FROM blob")
    problem = await refused(filled.runtime_persistence("s").load_session(ActivePath()))
    assert problem.code == "checkpoint_component_missing"


async def test_a_sweep_that_cannot_read_a_manifest_deletes_nothing(
    filled: SqliteDatabase, tamper: Tamper
) -> None:
    tamper("INSERT INTO blob (ref, body) VALUES ('unreachable', 'x')")
    tamper("UPDATE session SET manifest = 'x' WHERE session_id = 's'")
    await refused(filled.runtime_persistence("s").gc_unreachable())
    assert tamper("SELECT count(*) FROM blob") == [(2,)]


async def test_queued_work_that_does_not_decode_is_named(database: SqliteDatabase, tamper: Tamper) -> None:
    await database.session_catalog.admit_session("s", agent=AGENT)
    accepted = await database.turn_ingress.accept_turn(turn_draft("s", "t"))
    tamper("UPDATE queue_items SET items = 'x'")
    store = database.runtime_persistence()
    assert accepted.batch_id in (await refused(store.list_queued_work("s"))).message
    claim = database.turn_ingress.claim_turn("s", owner_id="o", agents=[AGENT], lease_ttl_ms=1)
    assert accepted.batch_id in (await refused(claim)).message
    tamper("DELETE FROM queue_items")
    assert "queue_items" in (await refused(store.list_queued_work("s"))).message


async def test_a_refused_claim_left_no_trace(database: SqliteDatabase, tamper: Tamper) -> None:
    await database.session_catalog.admit_session("s", agent=AGENT)
    await database.turn_ingress.accept_turn(turn_draft("s", "t"))
    tamper("UPDATE queue_items SET items = 'x'")
    await refused(database.turn_ingress.claim_turn("s", owner_id="o", agents=[AGENT], lease_ttl_ms=1))
    assert await database.session_leases.find_session_lease("s") is None
    assert tamper("SELECT state, taken, fencing_token FROM queue") == [("pending", 0, 0)]


async def test_an_effect_that_does_not_decode_is_named(database: SqliteDatabase, tamper: Tamper) -> None:
    await database.effect_journal.start_effects([identity("s", "t", 1)])
    tamper("UPDATE effect SET state = 'perhaps'")
    problem = await refused(database.effect_journal.list_effects(EffectFilter()))
    assert problem.facts["table"] == "effect"
    tamper("UPDATE effect SET state = 'started'")
    tamper("UPDATE effect_outcome SET digests = '['")
    problem = await refused(database.effect_journal.load_effects(identity("s", "t", 1).scope))
    assert identity("s", "t", 1).replay_key in problem.message


async def test_a_stamp_that_does_not_decode_is_named(filled: SqliteDatabase, tamper: Tamper) -> None:
    stamp = RuntimeTurnCommitStamp(session_id="s", turn_id="t1", turn_commit_hash="f" * 64)
    commit = append("s", 1, note("d", "c")).replace(turn_commit=stamp)
    store = filled.runtime_persistence("s")
    done = await store.commit_runtime_state(commit)
    assert await store.commit_runtime_state(commit) == done.replace(replayed=True)
    tamper("UPDATE stamp SET manifest = '{'")
    assert "turn 't1'" in (await refused(store.commit_runtime_state(commit))).message
    tamper("UPDATE stamp SET turn_commit_hash = x'00'")
    assert "turn 't1'" in (await refused(store.commit_runtime_state(commit))).message


async def test_a_node_without_the_one_before_it_is_named(filled: SqliteDatabase, tamper: Tamper) -> None:
    tamper("DELETE FROM node WHERE node_id = 'b'")
    store = filled.runtime_persistence("s")
    for read in (store.load_session(FullGraph()), store.load_node("c")):
        assert "'c'" in (await refused(read)).message


async def test_a_node_without_a_time_is_named(filled: SqliteDatabase, tamper: Tamper) -> None:
    for column in (None, 10**17):
        tamper("UPDATE node SET at_ms = ? WHERE node_id = 'b'", column)
        store = filled.runtime_persistence("s")
        for read in (store.load_session(ActivePath()), store.load_node("b")):
            assert "'b'" in (await refused(read)).message


async def test_a_receipt_meta_and_wait_that_do_not_decode_are_named(
    database: SqliteDatabase, tamper: Tamper
) -> None:
    await database.session_catalog.admit_session("s", agent=AGENT)
    await drive(database, "s", "t")
    tamper("UPDATE stamp SET receipt = 'x'")
    assert "'t'" in (await refused(database.turn_ingress.find_turn("s", "t"))).message
    store = database.runtime_persistence("s")
    await store.save_session_meta(SessionMeta(session_id="s", session_name="n", created_at="", model="m"))
    tamper("UPDATE session_meta SET body = 'x'")
    assert "session_meta" in (await refused(store.load_session_meta())).message
    await database.durable_waits.resolve_wait("w", 1)
    tamper("UPDATE wait SET value = '{'")
    assert "'w'" in (await refused(database.durable_waits.find_wait("w"))).message
