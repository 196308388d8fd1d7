"""Processes, their logs and host events after a kill: no gap, one end, one owner, every delivery or none."""

from __future__ import annotations

from collections import Counter, defaultdict

from lash.contracts import Database
from lash.values import AwaitSuccess, ToolCallInput

from . import records
from .account import Account, by
from .rows import Rows


async def check_processes(database: Database, rows: Rows, account: Account) -> None:
    """Check logs, registrations, ends, grants and deliveries."""
    for process_id in records.LOGS:
        await _check_log(database, account, process_id)
    _check_wakes(rows)
    await _check_registrations(database, rows, account)
    await _check_ends(database, account)
    _check_grants(rows, account)
    _check_deliveries(rows, account)


async def _check_log(database: Database, account: Account, process_id: str) -> None:
    registry = database.process_registry
    events = await registry.events_after(process_id, 0)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    record = await registry.get_process(process_id)
    assert record is not None
    assert record.last_sequence == len(events)
    sequences = {event.invocation.replay_key: event.sequence for event in events}
    assert len(sequences) == len(events)
    for event in events:
        assert event.payload == {"text": event.invocation.replay_key}
    tried = {line["token"] for line in account.tried("append") if line["process"] == process_id}
    assert set(sequences) <= tried
    for line in account.told("append"):
        if line["process"] == process_id:
            assert sequences.get(line["token"]) == line["sequence"], line
    wakes = await registry.list_wake_deliveries(process_id)
    assert [wake.delivery.sequence for wake in wakes] == [
        event.sequence for event in events if event.event_type == "wake"
    ]


def _check_wakes(rows: Rows) -> None:
    """A wake and the batch that carries it are committed together."""
    carried = [batch_id for (batch_id,) in rows.of("SELECT batch_id FROM process_wake")]
    queued = rows.of(f"""SELECT q.batch_id FROM queue q JOIN session s ON s.sid = q.sid
        WHERE s.session_id = '{records.WOKEN.session_id}'""")
    assert Counter(carried) == Counter(batch_id for (batch_id,) in queued)


async def _check_registrations(database: Database, rows: Rows, account: Account) -> None:
    stored = {process_id for (process_id,) in rows.of("SELECT process_id FROM process")}
    tried = {line["process"] for line in account.tried("register")}
    assert stored - set(records.LOGS) <= tried
    assert not rows.of("""SELECT p.process_id FROM process p LEFT JOIN process_registered r ON r.pid = p.pid
        WHERE r.pid IS NULL""")
    assert not rows.of("""SELECT p.process_id FROM process p WHERE p.last_sequence <>
        (SELECT count(*) FROM process_event e WHERE e.key >> 32 = p.pid)""")
    told = by(account.told("register"), "process")
    for process_id, lines in told.items():
        assert len({(line["by"], line["hash"]) for line in lines}) == 1, f"{process_id} has two registrants"
    for line in account.news("register"):
        record = await database.process_registry.get_process(line["process"])
        assert record is not None, line
        assert record.registration_hash == line["hash"]
        assert isinstance(record.input, ToolCallInput)
        assert record.input.call.args == {"by": line["by"]}
    for process_id, lines in by(account.told("attempt"), "process").items():
        numbers = [line["number"] for line in lines]
        assert len(numbers) == len(set(numbers)), f"{process_id}: an attempt was counted once for two"


async def _check_ends(database: Database, account: Account) -> None:
    """The first end stands, and its event is the only one of its kind."""
    told = by(account.told("complete"), "process")
    assert all(len({line["by"] for line in lines}) == 1 for lines in told.values())
    for process_id in {line["process"] for line in account.news("attempt")}:
        record = await database.process_registry.get_process(process_id)
        assert record is not None
        events = await database.process_registry.events_after(process_id, 0)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        ends = [event for event in events if event.semantics.terminal is not None]
        assert len(ends) == record.is_terminal, process_id
        assert len(events) == record.attempts + len(ends), process_id
        if process_id in told:
            assert record.is_terminal, process_id
            assert isinstance(record.await_output, AwaitSuccess)
            assert record.await_output.value == told[process_id][0]["by"]


def _check_grants(rows: Rows, account: Account) -> None:
    """A grant is moved whole: it is with one holder. A repeated registration gives the first one again."""
    holders = {(scope.session_id, scope.agent_frame_id) for scope in records.HOLDERS}
    held: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for process_id, *holder in rows.of("SELECT process_id, session_id, frame_id FROM process_grant"):
        held[process_id].append((holder[0], holder[1]))
    for process_id in {line["process"] for line in account.told("register")} | set(held):
        assert set(held[process_id]) <= holders
        assert len(held[process_id]) == 1 or (process_id.startswith("same.") and held[process_id]), process_id


def _check_deliveries(rows: Rows, account: Account) -> None:
    """An occurrence has all its deliveries, and each was handed to one caller at most."""
    stored = {
        key: (occurrence_id, count)
        for key, occurrence_id, count in rows.of("""SELECT e.idempotency_key, e.occurrence_id,
            (SELECT count(*) FROM trigger_delivery d WHERE d.event_seq = e.event_seq) FROM host_event e""")
    }
    assert set(stored) <= {line["token"] for line in account.tried("reserve")}
    assert {count for _, count in stored.values()} <= {records.SUBSCRIPTIONS}
    for token, lines in by(account.told("reserve"), "token").items():
        assert {line["occurrence"] for line in lines} == {stored[token][0]}
        handed = [subscription for line in lines for subscription in line["got"]]
        assert len(handed) == len(set(handed)), f"{token}: a delivery was handed out twice"
        if account.is_whole:
            assert len(handed) == records.SUBSCRIPTIONS, f"{token}: a delivery was handed to nobody"
