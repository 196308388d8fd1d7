"""Random histories of waits and of what is parked on them, on every backend, against a model of the contract."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from lash.errors import LashError
from lash.values import (
    ClaimedTurn,
    ClaimRefused,
    FunctionInput,
    ProcessEventAppendRequest,
    ProcessLease,
    ProcessRegistration,
    TurnDraft,
    TurnInput,
    WaitDraft,
)

from .running import KINDS, WorldMachine, run_machine
from .wait_model import Waits
from .worlds import START_MS

SESSION, PROCESSES = "s1", ("p1", "p2")
keys = st.sampled_from(["a", "b", "c"])
key_sets = st.lists(keys, min_size=1, max_size=3, unique=True).map(tuple)
values = st.sampled_from([None, 1, "x", {"n": 1}])
tokens = st.sampled_from([None, None, "t1", "t2"])
scopes = st.sampled_from(["", "own"])


class WaitMachine(WorldMachine):
    """A turn and two processes that park, are woken, and park again; keys that come and go; a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Waits(START_MS)
        self.claimed: ClaimedTurn | None = None
        self.leases: dict[str, ProcessLease] = {}

    @property
    def waits(self) -> Any:
        return self.world.db.durable_waits

    @initialize()
    def begin(self) -> None:
        async def prepare() -> None:
            await self.world.db.session_catalog.admit_session(SESSION, agent="agent")
            draft = TurnDraft(session_id=SESSION, turn_id="t", input=TurnInput.text("go"), agent="agent")
            await self.world.db.turn_ingress.accept_turn(draft)
            for process_id in PROCESSES:
                registration = ProcessRegistration(id=process_id, input=FunctionInput(name="f"))
                await self.world.db.process_registry.register_process(registration)

        self.world.run(prepare())

    @rule(key=keys, after_ms=st.sampled_from([None, 0, 5, 50]), on_timeout=values, token=tokens, scope=scopes)
    def open(self, key: str, after_ms: int | None, on_timeout: Any, token: str | None, scope: str) -> None:
        deadline_ms = None if after_ms is None else self.model.now_ms + after_ms
        expected = self.model.open(key, deadline_ms, on_timeout, token, scope)
        draft = WaitDraft(
            key=key, deadline_ms=deadline_ms, on_timeout=on_timeout, token=token, scope_key=scope
        )
        try:
            self.world.run(self.waits.open_wait(draft))
            code = None
        except LashError as problem:
            code = problem.code
        assert code == expected

    @rule(key=keys, value=values, scope=scopes)
    def resolve(self, key: str, value: Any, scope: str) -> None:
        expected = self.model.resolve(key, value, scope)
        answer = self.world.run(self.waits.resolve_wait(key, value, scope_key=scope))
        assert (answer.value, answer.first) == expected
        assert answer.timed_out == self.model.waits[key].timed_out

    @rule(token=st.sampled_from(["t1", "t2"]), value=values)
    def resolve_by_token(self, token: str, value: Any) -> None:
        key = self.model.of_token(token)
        if key is None:
            with pytest.raises(LashError, match="wait_unknown"):
                self.world.run(self.waits.resolve_by_token(token, value))
            return
        expected = self.model.resolve(key, value)
        answer = self.world.run(self.waits.resolve_by_token(token, value))
        assert (answer.key, answer.value, answer.first) == (key, *expected)

    @rule(ms=st.sampled_from([1, 5, 60]))
    def advance(self, ms: int) -> None:
        self.world.clock.at_ms += ms
        self.model.now_ms += ms

    @rule()
    def time_out(self) -> None:
        expected = self.model.due()
        found = self.world.run(self.waits.resolve_due())
        assert sorted(one.key for one in found) == sorted(expected)
        assert all(one.first and one.timed_out for one in found)
        assert all(one.value == self.model.waits[one.key].value for one in found)

    @rule()
    def drop(self) -> None:
        assert self.world.run(self.waits.drop_waits("own")) == self.model.drop("own")

    @rule()
    def claim_turn(self) -> None:
        if self.claimed is not None:
            return
        answer = self.world.run(
            self.world.db.turn_ingress.claim_turn(
                SESSION, owner_id="w", agents=("agent",), lease_ttl_ms=1_000_000
            )
        )
        if "turn" in self.model.parked:
            assert answer == ClaimRefused(reason="parked")
            return
        assert isinstance(answer, ClaimedTurn)
        assert (answer.turn_id, answer.restarts) == ("t", 0)
        assert answer.cancel_requested == ("turn" in self.model.wanted_back)
        self.claimed = answer

    @rule(on=key_sets)
    def park_turn(self, on: tuple[str, ...]) -> None:
        if self.claimed is None:
            return
        expected = self.model.park("turn", on)
        assert self.world.run(self.world.db.turn_ingress.park_turn(self.claimed, on)) == expected
        if expected:
            self.claimed = None

    @rule()
    def cancel_turn(self) -> None:
        if self.claimed is None and "turn" not in self.model.parked:
            return  # a turn that nobody has begun would be cancelled for good
        self.model.want_back("turn")
        assert self.world.run(self.world.db.turn_ingress.request_cancel(SESSION, "t")) == "requested"

    @rule(process_id=st.sampled_from(PROCESSES))
    def start_process(self, process_id: str) -> None:
        if process_id in self.leases or process_id in self.model.parked:
            return

        async def start() -> ProcessLease:
            registry = self.world.db.process_registry
            lease = await registry.claim_process_lease(process_id, "w", 1_000_000)
            record = await registry.start_process_attempt(lease)
            assert record.attempts == 1
            return lease

        self.leases[process_id] = self.world.run(start())

    @rule(process_id=st.sampled_from(PROCESSES), on=key_sets)
    def park_process(self, process_id: str, on: tuple[str, ...]) -> None:
        lease = self.leases.get(process_id)
        if lease is None:
            return
        expected = self.model.park(process_id, on)
        assert self.world.run(self.world.db.process_registry.park_process(lease, on)) == expected
        if expected:
            del self.leases[process_id]

    @rule(process_id=st.sampled_from(PROCESSES))
    def cancel_process(self, process_id: str) -> None:
        self.model.want_back(process_id)
        request = ProcessEventAppendRequest.cancel_requested(process_id)
        self.world.run(self.world.db.process_registry.append_event(process_id, request))

    @invariant()
    def what_is_parked_is_what_the_model_says(self) -> None:
        async def look() -> tuple[Any, Any, Any, Any]:
            db = self.world.db
            status = await db.turn_ingress.find_turn(SESSION, "t")
            sessions = await db.turn_ingress.list_ready_sessions(["agent"])
            parked = await db.process_registry.parked_processes(PROCESSES)
            ready = await db.process_registry.list_ready_processes(host_profiles=None)
            return status.parked_on, sessions, parked, [record.id for record in ready]

        parked_on, sessions, parked, ready = self.world.run(look())
        turn = self.model.parked.get("turn")
        assert parked_on == (() if turn is None else turn.keys)
        assert bool(sessions) == (turn is None and self.claimed is None)
        assert parked == {name: one.keys for name, one in self.model.parked.items() if name in PROCESSES}
        held = set(self.leases) | set(parked)
        assert ready == sorted(set(PROCESSES) - held)

    @invariant()
    def the_next_deadline_is_that_of_an_open_wait(self) -> None:
        assert self.world.run(self.waits.next_deadline_ms()) == self.model.next_deadline()


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_random_histories_of_waits_agree_with_the_model(kind: str, request: pytest.FixtureRequest) -> None:
    run_machine(WaitMachine, kind, request, steps=25)
