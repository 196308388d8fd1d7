"""What must hold at the end, found out without the rules of lash: from the books, and from the bare tables.

Each check yields what is wrong, in words that name the ids. `unsettled` tells what has not come to its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from lash.backends.memory.parking import ParkedProcess
from lash.backends.memory.process_table import StoredEvent
from lash.backends.memory.queue_table import StoredBatch
from lash.backends.memory.tables import Tables
from lash.testing.simulation.books import SentInput
from lash.values import EventNode, Message, TextPart, TokenUsage, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from lash.testing.simulation.world import World

_ENDS: Final = (
    "process.completed",
    "process.failed",
    "process.cancelled",
    "process.abandoned",
)


def unsettled(world: World) -> list[str]:
    """Return what is still open, leased, parked or pending."""
    return list(_open_work(world.database.tables, world.clock.now_ms()))


def _open_work(tables: Tables, now_ms: int) -> Iterator[str]:
    for session_id in tables.queue.open_sessions():
        for batch in tables.queue.open_batches(session_id):
            yield f"batch {batch.row.batch_id} of session {session_id} ({batch.row.turn_id}) is {batch.state}"
    for session_id, lease in tables.leases.items():
        alive = lease.owner_id not in tables.dead_owners
        if lease.lease_token is not None and lease.expires_at_ms > now_ms and alive:
            yield f"session {session_id} is leased to {lease.owner_id}"
        if (turn := tables.parking.turn_of(session_id)) is not None:
            yield f"turn {turn.turn_id} is parked on {tables.parking.keys_of(turn)}"
    for process_id, stored in tables.processes.processes.items():
        if not stored.is_terminal:
            yield f"process {process_id} runs, parked on {tables.parking.keys_of(ParkedProcess(process_id))}"
        elif tables.parking.keys_of(ParkedProcess(process_id)):
            yield f"process {process_id} is over and parked"
    for delivery in tables.triggers.deliveries.values():
        if delivery.state == "reserved":
            yield f"delivery {delivery.process_id} is reserved"


def violations(world: World) -> list[str]:
    """Return every promise that was broken."""
    found = list(world.books.surprises)
    for check in (_inputs, _deeds, _usage, _wakes, _process_ends, _results, _events, _forks, _histories):
        found += check(world)
    return found


# ---- inputs


def _inputs(world: World) -> Iterator[str]:
    """Every accepted input has exactly one outcome, and is in the history once if it is not cancelled."""
    tables = world.database.tables
    for sent in world.books.inputs.values():
        if not sent.accepted:
            continue
        batch = tables.queue.of_turn(sent.session_id, sent.turn_id)
        if batch is None:
            yield f"accepted input {sent.turn_id} is gone"
            continue
        said = sum(sent.text in text for text in _texts(tables, sent.session_id))
        if batch.state == "completed":
            if said != 1:
                yield f"input {sent.turn_id} is in the history {said} times"
        elif batch.state == "cancelled" and (said or not sent.cancel_asked):
            yield f"input {sent.turn_id} was cancelled, asked: {sent.cancel_asked}, in history: {said}"
        yield from _answers(world, sent, batch)
    yield from _order(world)


def _answers(world: World, sent: SentInput, batch: StoredBatch) -> Iterator[str]:
    """Whoever waited for an input of a session in which nobody cancelled anything was told how it ended."""
    cancelled = any(o.cancel_asked for o in world.books.inputs.values() if o.session_id == sent.session_id)
    if sent.answer is not None and batch.state == "completed" and not cancelled:
        own_turn = sent.on_busy == "queue"
        if own_turn and not sent.answer.startswith("done after"):
            yield f"the answer to {sent.turn_id} is {sent.answer!r}"


def _order(world: World) -> Iterator[str]:
    """Inputs that were queued one after the other stand in the history in that order."""
    tables = world.database.tables
    by_session: dict[str, list[SentInput]] = {}
    for sent in world.books.inputs.values():
        if sent.accepted and sent.on_busy == "queue":
            by_session.setdefault(sent.session_id, []).append(sent)
    for session_id, inputs in by_session.items():
        texts = _texts(tables, session_id)
        places = [next((i for i, text in enumerate(texts) if sent.text in text), None) for sent in inputs]
        there = [place for place in places if place is not None]
        if there != sorted(there):
            yield f"the inputs of session {session_id} are out of order: {places}"


def _histories(world: World) -> Iterator[str]:
    """In each session a call has one result, a message one id, and every node a parent that is there."""
    tables = world.database.tables
    for session_id, nodes in tables.nodes.items():
        ids: Counter[str] = Counter()
        calls: Counter[str] = Counter()
        results: Counter[str] = Counter()
        for message in _messages(tables, session_id):
            ids[message.id] += 1
            for part in message.parts:
                if isinstance(part, ToolCallPart):
                    calls[f"{message.id.rpartition(':m')[0]}/{part.call_id}"] += 1
                if isinstance(part, ToolResultPart):
                    results[f"{message.id.rpartition(':m')[0]}/{part.call_id}"] += 1
        if any(count > 1 for count in ids.values()):
            yield f"messages of session {session_id} are doubled: {[i for i in ids if ids[i] > 1]}"
        if calls != results:
            yield f"calls and results of session {session_id} differ: {calls - results}, {results - calls}"
        parents = {node.parent_node_id for node in nodes.values() if node.parent_node_id}
        forked = session_id in world.books.forks
        if not forked and parents - nodes.keys():
            yield f"session {session_id} has nodes without parents: {sorted(parents - nodes.keys())}"


# ---- deeds


def _deeds(world: World) -> Iterator[str]:
    """What runs at most once ran at most once; what is idempotent was repeated under one key."""
    runs: Counter[tuple[str, str]] = Counter()
    tokens: dict[tuple[str, str], set[str]] = {}
    for deed in world.books.deeds:
        key = (deed.name, deed.key)
        if deed.effect == "at_most_once":
            runs[key] += 1
        if deed.effect == "idempotent":
            tokens.setdefault(key, set()).add(deed.token)
    for call, count in runs.items():
        if count > 1:
            yield f"{call} ran {count} times, and may once"
    for call, found in tokens.items():
        if len(found) > 1:
            yield f"{call} was repeated under other keys: {sorted(found)}"


# ---- usage


def _usage(world: World) -> Iterator[str]:
    """The ledger holds what each model call costs, once."""
    tables = world.database.tables
    for session_id, calls in world.books.paid.items():
        all_paid = sum(calls.values(), TokenUsage()).input_tokens
        ledger = tables.usage.get(session_id, ())
        counted = sum(entry.usage.input_tokens for entry in ledger if entry.source == "turn")
        sure = 0 if _may_be_lost(world, session_id) else all_paid
        if not sure <= counted <= all_paid:
            yield f"session {session_id} has counted {counted} tokens, and paid {sure} to {all_paid}"


def _may_be_lost(world: World, session_id: str) -> bool:
    """Whether an answer may have been thrown away: by a cancel, or because another worker took the turn over."""
    if world.faults.very_slow or world.faults.jumps or world.books.process_cancels:
        return True
    if "/sub-" in session_id:
        return _somebody_cancelled(world)
    return any(sent.cancel_asked for sent in world.books.inputs.values() if sent.session_id == session_id)


def _somebody_cancelled(world: World) -> bool:
    return any(sent.cancel_asked for sent in world.books.inputs.values())


# ---- processes


def _wakes(world: World) -> Iterator[str]:
    """A wake is in its session's history once, if its process got that far."""
    tables = world.database.tables
    for text, (process_id, session_id) in world.books.wakes.items():
        said = sum(text in found for found in _texts(tables, session_id))
        must = process_id not in world.books.process_cancels and process_id in world.books.results
        if said > 1 or (must and said == 0):
            yield f"the session {session_id} has heard {text} {said} times"


def _process_ends(world: World) -> Iterator[str]:
    """A process ends once, and its log is numbered without gaps."""
    tables = world.database.tables
    for process_id, stored in tables.processes.processes.items():
        events = tables.processes.events(process_id)
        ends = [event.event_type for event in events if event.event_type in _ENDS]
        if len(ends) != (1 if stored.is_terminal else 0):
            yield f"process {process_id} has ended {len(ends)} times: {ends}"
        after = [event.event_type for event in events[len(events) - _since_end(events) :]]
        if set(after) - {"process.signal", "process.cancel_requested"}:  # these may come too late
            yield f"process {process_id} has events after its end: {after}"
        numbers = [event.event().sequence for event in events]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"the events of process {process_id} are numbered {numbers}"


def _since_end(events: Sequence[StoredEvent]) -> int:
    """Return how many events came after the end; none while there is no end."""
    for count, event in enumerate(reversed(events)):
        if event.event_type in _ENDS:
            return count
    return 0


def _results(world: World) -> Iterator[str]:
    """A durable function that nobody cancelled has returned what its plan says."""
    for process_id, result in world.books.results.items():
        if process_id in world.books.process_cancels:
            if result != "process_cancelled" and not _is_result(result, world.books.plans[process_id]):
                yield f"process {process_id} was cancelled and ended with {result!r}"
        elif not _is_result(result, world.books.plans[process_id]):
            yield f"process {process_id} ended with {result!r}; its plan was {world.books.plans[process_id]}"


def _is_result(result: str, plan: list[str]) -> bool:
    return result.replace("once-unknown", "once") == " ".join(_expected(line) for line in plan)


def _expected(line: str) -> str:
    word, _, rest = line.partition(":")
    match word:
        case "pair":
            return "keep once"
        case "sleep":
            return "slept"
        case "wait":
            return f"v-{rest}"
        case "signal":
            return "gone"
        case "wake":
            return "woke"
        case "child":
            return " ".join(_expected(one) for one in rest.split(","))
        case "ask":
            return f"done after {len(rest.split()) - 1}"
        case _:
            return word


# ---- events


def _events(world: World) -> Iterator[str]:
    """An event is recorded once, and each subscription that was there starts one process for it."""
    tables = world.database.tables
    seen: Counter[str] = Counter()
    for occurrence in tables.triggers.occurrences.values():
        record = occurrence.record()
        seen[record.idempotency_key] += 1
    for key in world.books.emitted:
        if seen[key] != 1:
            yield f"event {key} was recorded {seen[key]} times"
        started = [
            delivery
            for (occurrence_id, _), delivery in tables.triggers.deliveries.items()
            if tables.triggers.by_key.get(key) == occurrence_id
        ]
        if len(started) != 1 or started[0].state != "started":
            yield f"event {key} has the deliveries {[(one.process_id, one.state) for one in started]}"
    noted = Counter(deed.token for deed in world.books.deeds if deed.name == "event")
    by_event: dict[str, set[str]] = {}
    for deed in world.books.deeds:
        if deed.name == "event":
            by_event.setdefault(deed.token, set()).add(deed.key)
    for token, processes in by_event.items():
        if len(processes) > 1:
            yield f"{noted[token]} processes were started for one event: {sorted(processes)}"


def _forks(world: World) -> Iterator[str]:
    """What a fork shares is not written again in it."""
    tables = world.database.tables
    for fork_id, (_, shared) in world.books.forks.items():
        own = {message.id for message in _messages(tables, fork_id)}
        if own & set(shared):
            yield f"the fork {fork_id} holds shared messages again: {sorted(own & set(shared))}"


# ---- reading the tables


def _messages(tables: Tables, session_id: str) -> list[Message]:
    found: list[Message] = []
    for node in tables.nodes.get(session_id, {}).values():
        payload = node.record().payload
        if node.is_live and isinstance(payload, EventNode) and isinstance(payload.event, Message):
            found.append(payload.event)
    return found


def _texts(tables: Tables, session_id: str) -> list[str]:
    return [
        part.text if isinstance(part, TextPart) else msgspec.json.encode(part).decode()
        for message in _messages(tables, session_id)
        if message.role != "assistant" and message.role != "tool"
        for part in message.parts
    ]
