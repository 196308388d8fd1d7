"""Running work is found through indexes that hold nothing else, however much is over beside it (decision 5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import psycopg
import pytest

from lash.backends.sql import (
    acceptance,
    effect_rows,
    process_log,
    process_rows,
    queue,
    queue_rows,
    turn_rows,
    work_overview,
)
from lash.backends.sql.postgres_dialect import postgres_statement

FILL = """
INSERT INTO session (session_id, agent, created_at_ms, updated_at_ms)
    SELECT 's' || n, 'a', 0, 0 FROM generate_series(1, 50) n;
INSERT INTO queue (sid, batch_id, state, settled_at_ms, source_key, delivery_policy, slot_policy, merge_key,
        available_at_ms, enqueued_at_ms, turn_id)
    SELECT n % 50 + 1, 'b' || n, 'completed', 1, 'turn:' || n, 'after_current_turn_commit', 'exclusive', '', 0, 0, 't'
    FROM generate_series(1, 60000) n;
INSERT INTO queue (sid, batch_id, state, delivery_policy, slot_policy, merge_key, available_at_ms, enqueued_at_ms)
    SELECT n % 50 + 1, 'open' || n, 'pending', 'after_current_turn_commit', 'exclusive', '', 0, 0
    FROM generate_series(1, 5000) n;
INSERT INTO queue_items (enqueue_seq, items) SELECT enqueue_seq, '[]' FROM queue;
INSERT INTO effect (sid, scope_hash, key_hash, scope_type, scope_id, replay_key, envelope_hash, kind, effect_id,
        label, at_most_once, state, started_at_ms, settled)
    SELECT n % 50 + 1, n / 10, n, 'turn', 't' || n / 10, 'k' || n, '', '', '', '', 0, 'completed', 0, 1
    FROM generate_series(1, 60000) n;
INSERT INTO process (process_id, change_seq, updated_at_ms, last_sequence, terminal_sequence)
    SELECT 'p' || n, n, 0, 2, CASE WHEN n % 1000 > 0 THEN 2 END FROM generate_series(1, 20000) n;
INSERT INTO process_event (key, event_type, body)
    SELECT (n / 2 + 1)::bigint << 32 | n % 2 + 1, 'x', '{}' FROM generate_series(0, 39999) n;
"""

Plan = Callable[[str], str]


@pytest.fixture
def plan(postgres_urls: Callable[[], str]) -> Iterator[Plan]:
    """Return a function that says how the server would run a statement of the scripts, whatever its values."""
    with psycopg.connect(postgres_urls(), autocommit=True) as connection:
        connection.execute(FILL.encode())
        connection.execute(b"VACUUM ANALYZE")
        connection.execute(b"SET plan_cache_mode = force_generic_plan")

        def plan(sql: str) -> str:
            text = postgres_statement(sql).text
            count = max(map(int, re.findall(r"\$(\d+)", text)), default=0)
            values = f"({', '.join(['NULL'] * count)})" if count else ""
            connection.execute(f"PREPARE planned AS {text}".encode())
            lines = connection.execute(f"EXPLAIN EXECUTE planned{values}".encode()).fetchall()
            connection.execute(b"DEALLOCATE planned")
            return "\n".join(str(line[0]) for line in lines)

        yield plan


def test_no_table_that_grows_is_read_whole(plan: Plan) -> None:
    sought = {
        "free rows": queue_rows.FREE_ROWS,
        "free early rows": queue_rows.FREE_EARLY_ROWS,
        "taken rows": queue_rows.TAKEN_ROWS,
        "next scheduled row": queue_rows.NEXT_SCHEDULED_ROW,
        "open batches": queue_rows.OPEN_BATCHES,
        "batches": queue_rows.BATCHES_AT,
        "claim": queue_rows.CLAIM_ROWS,
        "row under a key": queue.UNDER_KEY,
        "accepted rows": turn_rows.ACCEPTED_ROWS,
        "count of a busy session": acceptance.COUNT_OPEN,
        "waiting rows": work_overview.WAITING_ROWS,
        "effects by key": effect_rows.FIND_BY_HASH,
        "effects of a scope": effect_rows.LIST_OF_SCOPE,
        "a page of effects": effect_rows.LIST_EFFECTS,
        "process": process_rows.FIND_PROCESS,
        "running processes": process_rows.RUNNING_PROCESSES,
        "changed processes": process_rows.CHANGED_PROCESSES,
        "events": process_log.EVENTS_BETWEEN,
    }
    plans = {name: plan(sql) for name, sql in sought.items()}
    whole = {
        name: text
        for name, text in plans.items()
        if re.search(r"Seq Scan on (queue|queue_items|effect|process|process_event)\b", text)
    }
    assert whole == {}


@pytest.mark.parametrize("sql", [queue_rows.FREE_ROWS, queue_rows.TAKEN_ROWS, queue_rows.OPEN_BATCHES])
def test_work_of_a_session_is_found_among_open_work_only(plan: Plan, sql: str) -> None:
    assert "queue_open" in plan(sql)


def test_the_first_free_rows_are_read_in_order_and_not_sorted(plan: Plan) -> None:
    assert "Sort" not in plan(queue_rows.FREE_ROWS)
