"""Random histories of processes, on every backend, against a model that knows only the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    initialize,
    invariant,
    rule,
)

from lash.errors import LashError
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    DedupeSelector,
    ExternalInput,
    ProcessAwaitOutput,
    ProcessEventAppendRequest,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessExternalRef,
    ProcessLease,
    ProcessRegistration,
    ProcessScope,
    ProcessTerminalSpec,
    ProcessTerminalState,
    ProcessWakePayload,
    ProcessWakeSpec,
    SelectPointer,
    SelectPresent,
    plain,
)

from .process_model import Lease, Model, Process, Refused
from .running import KINDS, WorldMachine, run_machine
from .worlds import START_MS

IDS = ("p1", "p2")
SESSIONS = ("s1", "s2")
TYPES = (
    ProcessEventType(name="line", payload_schema={"type": "integer"}),
    ProcessEventType(
        name="wake",
        semantics=ProcessEventSemanticsSpec(
            wake=ProcessWakeSpec(input=SelectPointer("/text"), when=SelectPresent("/text"))
        ),
    ),
    ProcessEventType(
        name="group",
        semantics=ProcessEventSemanticsSpec(
            wake=ProcessWakeSpec(input=SelectPointer("/text"), dedupe_key=DedupeSelector(SelectPointer("/g")))
        ),
    ),
    ProcessEventType(
        name="end",
        semantics=ProcessEventSemanticsSpec(
            terminal=ProcessTerminalSpec(state=ProcessTerminalState.COMPLETED)
        ),
    ),
)
OUTPUTS: tuple[ProcessAwaitOutput, ...] = (
    AwaitSuccess(value=1),
    AwaitSuccess(value=None),
    AwaitFailure(failure_class="internal", code="c", message="m"),
    AwaitCancelled(message="m"),
)

ids = st.sampled_from(IDS)
ttls = st.sampled_from([0, 5, 50])
outputs = st.sampled_from(OUTPUTS)
types = st.sampled_from(
    [
        *("line", "line", "wake", "wake", "group", "group", "end", "nowhere"),
        *("process.completed", "process.failed", "process.cancel_requested"),
    ]
)
plain_payloads = st.sampled_from(
    [1, 2, 1.5, True, None, {}, {"text": "t"}, {"text": "t", "g": "a"}, {"text": "u", "g": "b"}]
)
payloads = plain_payloads | outputs.map(lambda output: {"await_output": plain(output)})

# Most steps should do something: what fits each other comes as a pair, and now and then anything goes.
sensible = st.sampled_from(
    [
        ("line", 1),
        ("line", 2),
        ("wake", {"text": "t"}),
        ("wake", {}),
        ("group", {"text": "t", "g": "a"}),
        ("group", {"text": "v", "g": "a"}),
        ("group", {"text": "u", "g": "b"}),
    ]
)
appends = sensible | sensible | st.tuples(types, payloads)


class Processes(WorldMachine):
    """Every step is done by model and database; what they say, and what is there then, must be the same."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(START_MS)
        self.changed: list[str] = []  # since the changes were read last, each in the place of its last change
        self.cursor = 0

    @initialize()
    def register(self) -> None:
        for process_id in IDS:
            self.model.processes[process_id] = Process()
            self._note_change(process_id)
            self.world.run(self.world.db.process_registry.register_process(_registration(process_id)))

    def both(self, expected: Callable[[], Any], actual: Any) -> tuple[Any, Any]:
        """Return both answers; a refusal must be the same code on both sides, and is returned as None."""
        told, refusal, result, error = None, None, None, None
        lengths = {name: len(process.events) for name, process in self.model.processes.items()}
        try:
            told = expected()
        except Refused as refused:
            refusal = refused.code
        try:
            result = self.world.run(actual)
        except LashError as problem:
            error = problem.code
        assert error == refusal
        for name, process in self.model.processes.items():
            if len(process.events) > lengths[name]:
                self._note_change(name)
        return told, result

    @rule(
        process_id=ids,
        typed=appends,
        key=st.sampled_from([None, None, "k1", "k2", "k3"]),
        to=st.sampled_from([None, *SESSIONS, *SESSIONS]),
    )
    def append(self, process_id: str, typed: tuple[str, Any], key: str | None, to: str | None) -> None:
        event_type, payload = typed
        request = ProcessEventAppendRequest(
            event_type=event_type,
            payload=payload,
            replay_key=key,
            wake_target_scope=None if to is None else ProcessScope(to),
        )
        told, result = self.both(
            lambda: self.model.append(process_id, event_type, payload, key, to),
            self.world.db.process_registry.append_event(process_id, request),
        )
        if result is not None:
            event = self.model.processes[process_id].events[told - 1]
            assert result.event.sequence == told
            assert result.event.occurred_at_ms == event.occurred_at_ms
            wake = result.wake_delivery
            assert (None if wake is None else wake.dedupe_key) == event.dedupe_key
            assert (None if wake is None else wake.target_session_id) == event.target
            assert wake is None or wake.created_at_ms == event.occurred_at_ms

    @rule(process_id=ids, output=outputs)
    def complete(self, process_id: str, output: ProcessAwaitOutput) -> None:
        self.both(
            lambda: self.model.complete(process_id, plain(output)),
            self.world.db.process_registry.complete_process(process_id, output),
        )

    @rule(process_id=ids, ref=st.sampled_from(["x", "y"]))
    def set_external_ref(self, process_id: str, ref: str) -> None:
        self.both(
            lambda: self.model.set_external_ref(process_id, ref),
            self.world.db.process_registry.set_external_ref(
                process_id, ProcessExternalRef(backend="b", id=ref)
            ),
        )
        self._note_change(process_id)

    @rule(limit=st.integers(1, 3))
    def read_changes(self, limit: int) -> None:
        """Who follows the changes gets every process that changed, once, in the order of its last change."""
        registry = self.world.db.process_registry
        records, self.cursor = self.world.run(registry.processes_changed_since(self.cursor, limit=limit))
        assert [record.id for record in records] == self.changed[:limit]
        del self.changed[:limit]
        for record in records:
            assert record == self.world.run(registry.get_process(record.id))

    @rule(process_id=ids, sequence=st.integers(0, 6), event_type=st.sampled_from(["line", "wake", "end"]))
    def wait_for_what_is_there(self, process_id: str, sequence: int, event_type: str) -> None:
        """A waiter gets the first event of its type after a sequence; one that is there already, at once."""
        events = enumerate(self.model.processes[process_id].events, 1)
        there = [number for number, one in events if number > sequence and one.event_type == event_type]
        if there:
            registry = self.world.db.process_registry
            event = self.world.run(registry.wait_event_after(process_id, event_type, sequence))
            assert (event.sequence, event.event_type) == (there[0], event_type)

    @rule(target=leases, process_id=ids, owner=st.sampled_from(["a", "b"]), ttl_ms=ttls)
    def claim(self, process_id: str, owner: str, ttl_ms: int) -> tuple[Lease, ProcessLease] | None:
        told, lease = self.both(
            lambda: self.model.claim(process_id, owner, ttl_ms),
            self.world.db.process_registry.claim_process_lease(process_id, owner, ttl_ms),
        )
        if lease is None:
            return None
        assert (lease.fencing_token, lease.expires_at_ms) == (told.fence, told.expires_at_ms)
        return told, lease

    @rule(pair=leases, ttl_ms=ttls)
    def renew(self, pair: tuple[Lease, ProcessLease] | None, ttl_ms: int) -> None:
        if pair is not None:
            _, renewed = self.both(
                lambda: self.model.renew(pair[0], ttl_ms),
                self.world.db.process_registry.renew_process_lease(pair[1], ttl_ms),
            )
            assert renewed is None or renewed == pair[1].replace(expires_at_ms=pair[0].expires_at_ms)

    @rule(pair=consumes(leases))
    def release(self, pair: tuple[Lease, ProcessLease] | None) -> None:
        if pair is not None:
            self.both(
                lambda: self.model.release(pair[0]),
                self.world.db.process_registry.complete_process_lease(pair[1].completion()),
            )

    @rule(pair=leases, output=outputs)
    def complete_with_lease(
        self, pair: tuple[Lease, ProcessLease] | None, output: ProcessAwaitOutput
    ) -> None:
        if pair is not None:
            self.both(
                lambda: self.model.complete_with_lease(pair[0], plain(output)),
                self.world.db.process_registry.complete_process_with_lease(pair[1], output),
            )

    @rule(process_id=ids, sequence=st.integers(-1, 9))
    def ack(self, process_id: str, sequence: int) -> None:
        self.both(
            lambda: self.model.ack(process_id, sequence),
            self.world.db.process_registry.ack_wake(process_id, sequence),
        )

    @rule(ms=st.sampled_from([1, 5, 49, 50]))
    def wait(self, ms: int) -> None:
        self.model.now_ms += ms
        self.world.clock.at_ms += ms

    @rule(process_id=ids)
    def register_again(self, process_id: str) -> None:
        record = self.world.run(self.world.db.process_registry.register_process(_registration(process_id)))
        assert record == self.world.run(self.world.db.process_registry.get_process(process_id))

    @invariant()
    def logs_and_records_agree(self) -> None:
        for process_id, process in self.model.processes.items():
            registry = self.world.db.process_registry
            log = self.world.run(registry.events_after(process_id, 0))
            assert [(one.sequence, one.event_type, repr(one.payload)) for one in log] == [
                (number, one.event_type, repr(one.payload)) for number, one in enumerate(process.events, 1)
            ]
            record = self.world.run(registry.get_process(process_id))
            assert record is not None
            assert (record.terminal_state or "running") == process.state
            assert plain(record.await_output) == process.output
            assert record.last_sequence == len(process.events)
            assert (record.external_ref.id if record.external_ref else None) == process.external
            assert record.updated_at_ms == (process.events[-1].occurred_at_ms if process.events else START_MS)

    @invariant()
    def open_wakes_agree(self) -> None:
        for process_id, process in self.model.processes.items():
            open_wakes = self.world.run(self.world.db.process_registry.wake_events_after(process_id, 0))
            assert [one.sequence for one in open_wakes] == [
                number
                for number, one in enumerate(process.events, 1)
                if one.dedupe_key is not None and not one.acked
            ]

    @invariant()
    def queues_agree(self) -> None:
        for session_id in SESSIONS:
            store = self.world.db.runtime_persistence(session_id)
            batches = self.world.run(store.list_queued_work(session_id))
            expected = [self.model.makers[number] for _, number in self.model.queues.get(session_id, [])]
            assert [_place(batch.payloads[0]) for batch in batches] == expected

    @invariant()
    def wakes_are_carried_by_the_same_batches(self) -> None:
        carried = self._carried()
        assert _groups(carried["model"]) == _groups(carried["database"])

    @invariant()
    def running_processes_agree(self) -> None:
        running = self.world.run(self.world.db.process_registry.list_non_terminal())
        assert [record.id for record in running] == [
            process_id for process_id, process in self.model.processes.items() if process.state == "running"
        ]

    def _note_change(self, process_id: str) -> None:
        if process_id in self.changed:
            self.changed.remove(process_id)
        self.changed.append(process_id)

    def _carried(self) -> dict[str, dict[tuple[str, int], Any]]:
        model: dict[tuple[str, int], Any] = {}
        database: dict[tuple[str, int], Any] = {}
        for process_id, process in self.model.processes.items():
            for number, event in enumerate(process.events, 1):
                if event.batch is not None:
                    model[process_id, number] = event.batch
            for line in self.world.run(self.world.db.process_registry.list_wake_deliveries(process_id)):
                database[process_id, line.delivery.sequence] = line.batch_id
        return {"model": model, "database": database}


def _registration(process_id: str) -> ProcessRegistration:
    return ProcessRegistration(id=process_id, input=ExternalInput()).with_extra_event_types(TYPES)


def _place(payload: object) -> tuple[str, int]:
    assert isinstance(payload, ProcessWakePayload)
    return payload.wake.process_id, payload.wake.sequence


def _groups(carried: dict[tuple[str, int], Any]) -> set[frozenset[tuple[str, int]]]:
    """Return which wakes share a batch."""
    return {
        frozenset(place for place, other in carried.items() if other == batch) for batch in carried.values()
    }


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_random_histories_of_processes_agree_with_the_model(
    kind: str, request: pytest.FixtureRequest
) -> None:
    run_machine(Processes, kind, request, steps=25)
