"""Sessions after a kill: every commit is there whole or not at all, and no work is lost or done twice."""

from __future__ import annotations

from collections import defaultdict

from lash.contracts import Database
from lash.values import FullGraph, PluginNode, TurnInputPayload, TurnState

from . import records
from .account import Account, Line, by
from .rows import Rows

Stamps = dict[str, int]  # turn: revision


async def check_history(database: Database, rows: Rows, account: Account) -> None:
    """Check heads, graphs, stamps, usage, queue and turns of every session."""
    stamps: dict[str, Stamps] = defaultdict(dict)
    for session_id, turn_id, revision in rows.of(
        "SELECT s.session_id, t.turn_id, t.head_revision FROM stamp t JOIN session s ON s.sid = t.sid"
    ):
        stamps[session_id][turn_id] = revision
    for session_id in (*records.QUEUES, *records.TURNS):
        await _check_session(database, rows, session_id, stamps[session_id])
    _check_commits(account, stamps)
    for session_id in records.QUEUES:
        await _check_queue(database, rows, account, session_id, stamps[session_id])
    for session_id in records.TURNS:
        await _check_turns(database, rows, account, session_id, stamps[session_id])
    _check_whole_rows(rows)


async def _check_session(database: Database, rows: Rows, session_id: str, stamps: Stamps) -> None:
    """The graph is exactly what the stamped commits brought, in their order."""
    head = await database.session_catalog.find_head(session_id)
    in_order = sorted(stamps, key=lambda turn_id: stamps[turn_id])
    assert sorted(stamps.values()) == list(range(1, head.revision + 1)), session_id
    read = await database.runtime_persistence(session_id).load_session(FullGraph())
    if not stamps:
        assert read is None
        return
    assert read is not None
    wanted = [node_id for turn_id in in_order for node_id in records.node_ids(turn_id)]
    assert [node.node_id for node in read.graph.nodes] == wanted, session_id
    assert [node.parent_node_id for node in read.graph.nodes] == [None, *wanted[:-1]]
    for node in read.graph.nodes:
        assert isinstance(node.payload, PluginNode)
        assert node.payload.body == [node.node_id, "x" * 300]
    assert read.graph.leaf_node_id == head.leaf_node_id == wanted[-1]
    assert read.checkpoint is not None
    assert read.checkpoint.execution_state == in_order[-1].encode()
    counted = sum(entry.usage.input_tokens for entry in read.token_ledger)
    assert counted == records.TOKENS_A_COMMIT * head.revision
    keys = rows.of(f"""SELECT u.key FROM usage_counted u JOIN session s ON s.sid = u.sid
        WHERE s.session_id = '{session_id}'""")
    assert {key for (key,) in keys} == set(stamps)


def _check_commits(account: Account, stamps: dict[str, Stamps]) -> None:
    """Acknowledged commits are there under their revision; what is there was announced."""
    for line in account.told("commit"):
        assert stamps[line["session"]].get(line["turn"]) == line["revision"], line
    announced = {(line["session"], line["turn"]) for line in account.tried("commit")}
    for session_id, of_session in stamps.items():
        assert {(session_id, turn_id) for turn_id in of_session} <= announced


async def _check_queue(
    database: Database, rows: Rows, account: Account, session_id: str, stamps: Stamps
) -> None:
    """A batch is completed when, and only when, one commit that is there completed it."""
    completed_by: dict[str, set[str]] = defaultdict(set)
    for line in account.tried("commit"):
        if line["session"] == session_id and line["turn"] in stamps:
            for batch_id in line["batches"]:
                completed_by[batch_id].add(line["turn"])
    stored = {
        batch_id: (seq, state, key)
        for batch_id, seq, state, key in rows.of(f"""SELECT q.batch_id, q.enqueue_seq, q.state, q.source_key
            FROM queue q JOIN session s ON s.sid = q.sid WHERE s.session_id = '{session_id}'""")
    }
    for batch_id, (_, state, _) in stored.items():
        assert len(completed_by[batch_id]) == (state == "completed"), (batch_id, completed_by[batch_id])
    tokens = [key for _, _, key in stored.values()]
    assert len(tokens) == len(set(tokens))
    assert set(tokens) <= {line["token"] for line in account.tried("enqueue")}
    for line in account.told("enqueue"):
        if line["session"] == session_id:
            assert stored[line["batch"]][0] == line["seq"], line
    waiting = await database.runtime_persistence().list_queued_work(session_id)
    assert [batch.batch_id for batch in waiting] == sorted(
        (batch_id for batch_id, (_, state, _) in stored.items() if state != "completed"),
        key=lambda batch_id: stored[batch_id][0],
    )
    for batch in waiting:
        (payload,) = batch.payloads
        assert isinstance(payload, TurnInputPayload)
        assert [getattr(item, "text", None) for item in payload.input.items] == [batch.source_key]


async def _check_turns(
    database: Database, rows: Rows, account: Account, session_id: str, stamps: Stamps
) -> None:
    """An accepted turn is waiting, running or committed; its journal is open until its commit closes it."""
    accepted = [line for line in account.news("accept") if line["session"] == session_id]
    committed = [line for line in account.news("commit") if line["session"] == session_id]
    for line in (*accepted, *committed):
        status = await database.turn_ingress.find_turn(session_id, line["turn"])
        if line["turn"] not in stamps:
            assert status.state in (TurnState.PENDING, TurnState.RUNNING), line
            continue
        assert status.state is TurnState.COMMITTED, line
        assert status.receipt is not None
        assert status.receipt.node_ids == records.node_ids(line["turn"])
        assert status.receipt.head_revision == stamps[line["turn"]]
    journal = {
        turn_id: (state, settled, has_outcome)
        for turn_id, state, settled, has_outcome in rows.of(f"""SELECT e.scope_id, e.state, e.settled,
            o.outcome IS NOT NULL FROM effect e JOIN session s ON s.sid = e.sid
            LEFT JOIN effect_outcome o ON o.effect_seq = e.effect_seq WHERE s.session_id = '{session_id}'""")
    }
    for turn_id in [line["turn"] for line in account.told("started") if line["session"] == session_id]:
        assert turn_id in journal, f"turn {turn_id}: an acknowledged intent is gone"
    for turn_id in [line["turn"] for line in account.told("recorded") if line["session"] == session_id]:
        assert journal[turn_id][0] == "done", turn_id
    for turn_id, (state, settled, has_outcome) in journal.items():
        assert bool(settled) == (turn_id in stamps), turn_id
        assert bool(has_outcome) == (state == "done" and turn_id not in stamps), turn_id


def _check_whole_rows(rows: Rows) -> None:
    """Nothing is there by half: what is kept in two tables is in both."""
    assert not rows.of("""SELECT q.batch_id FROM queue q LEFT JOIN queue_items i
        ON i.enqueue_seq = q.enqueue_seq WHERE q.settled_at_ms IS NULL AND i.items IS NULL""")
    assert not rows.of("""SELECT i.enqueue_seq FROM queue_items i LEFT JOIN queue q
        ON q.enqueue_seq = i.enqueue_seq WHERE q.enqueue_seq IS NULL""")
    assert not rows.of("""SELECT s.session_id FROM session s WHERE s.next_seq - 1 <>
        (SELECT count(*) FROM node n WHERE n.key >> 32 = s.sid)""")


def check_fences(account: Account) -> None:
    """No fence and no generation was given out twice."""
    if not account.keeps_claims:
        return
    for names in (("claim", "fence"), ("process lease", "fence"), ("session lease", "generation")):
        _check_unique(account.told(names[0]), names[1])
    _check_unique(account.told("driven"), "generation")


def _check_unique(lines: list[Line], number: str) -> None:
    for what in ("process", "session"):
        for key, same in by([line for line in lines if what in line], what).items():
            numbers = [line[number] for line in same]
            assert len(numbers) == len(set(numbers)), f"{what} {key}: {number} was given out twice"
    held: set[tuple[str, int]] = set()
    for line in lines:
        for batch_id in line.get("batches", ()):
            assert (batch_id, line[number]) not in held, f"batch {batch_id}: {number} was given out twice"
            held.add((batch_id, line[number]))
