"""Random histories of session leases and process leases, on every backend, against a model of the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, multiple, rule

from lash.errors import LashError
from lash.values import (
    EffectIdentity,
    EffectScope,
    PreparedToolCall,
    ProcessLease,
    ProcessRegistration,
    RecoveryDisposition,
    RuntimeEffectKind,
    SessionLease,
    ToolCallInput,
)

from .lease_model import Grant, Leases, Refused
from .running import KINDS, WorldMachine, run_machine
from .worlds import START_MS

SESSIONS, PROCESSES = ("s1", "s2"), ("p1", "p2")
ttls = st.sampled_from([0, 1, 5, 5, 50, 50, -1])
owners = st.sampled_from(["a", "b"])


class LeaseMachine(WorldMachine):
    """Two handles, two owners, a clock, and leases that are kept long after they are worth nothing."""

    session_leases: Bundle[tuple[Grant, SessionLease]] = Bundle("session_leases")
    process_leases: Bundle[tuple[Grant, ProcessLease]] = Bundle("process_leases")

    def __init__(self) -> None:
        super().__init__()
        self.model = Leases(START_MS)
        self.writes = 0

    @initialize()
    def register(self) -> None:
        for process_id in PROCESSES:
            call = PreparedToolCall(call_id="c", tool_name="t", args={})
            registration = ProcessRegistration(
                id=process_id, input=ToolCallInput(call=call), recovery=RecoveryDisposition.RERUNNABLE
            )
            self.world.run(self.world.db.process_registry.register_process(registration))

    @rule(target=session_leases, session_id=st.sampled_from(SESSIONS), owner=owners, ttl_ms=ttls)
    def claim_session(self, session_id: str, owner: str, ttl_ms: int) -> Any:
        leases = self.world.db.session_leases
        given, lease = self._both(
            lambda: self.model.claim_session(session_id, owner, ttl_ms),
            leases.claim_session_lease(session_id, owner_id=owner, ttl_ms=ttl_ms),
        )
        if given is None:
            return multiple()
        assert (lease.owner_id, lease.generation) == (owner, given.number)
        assert (lease.claimed_at_ms, lease.expires_at_ms) == (self.model.now_ms, given.expires_at_ms)
        return given, lease

    @rule(pair=session_leases, ttl_ms=ttls)
    def renew_session(self, pair: tuple[Grant, SessionLease], ttl_ms: int) -> None:
        given, lease = pair
        _, renewed = self._both(
            lambda: self.model.renew_session(given, ttl_ms),
            self.world.db.session_leases.renew_session_lease(lease, ttl_ms=ttl_ms),
        )
        assert renewed is None or renewed == lease.replace(expires_at_ms=given.expires_at_ms)

    @rule(pair=session_leases)
    def release_session(self, pair: tuple[Grant, SessionLease]) -> None:
        self._both(
            lambda: self.model.release_session(pair[0]),
            self.world.db.session_leases.release_session_lease(pair[1]),
        )

    @rule(pair=session_leases, forged=st.sampled_from([None, "token", "generation", "owner"]))
    def write_under_session(self, pair: tuple[Grant, SessionLease], forged: str | None) -> None:
        given, lease = pair
        changes: dict[str, dict[str, Any]] = {
            "token": {"lease_token": "x"},
            "generation": {"generation": 99},
            "owner": {"owner_id": "c"},
        }
        self.writes += 1
        identity = EffectIdentity(
            scope=EffectScope.turn(given.what, "t"),
            replay_key=f"k{self.writes}",
            envelope_hash="e" * 64,
            kind=RuntimeEffectKind.TOOL_CALL,
            effect_id="1",
        )

        def expected() -> None:
            if forged is not None:
                raise Refused("session_lease_lost")
            self.model.write_under_session(given)

        shown = lease if forged is None else lease.replace(**changes[forged])
        self._both(expected, self.world.db.effect_journal.start_effects([identity], lease=shown))

    @rule(target=process_leases, process_id=st.sampled_from(PROCESSES), owner=owners, ttl_ms=ttls)
    def claim_process(self, process_id: str, owner: str, ttl_ms: int) -> Any:
        given, lease = self._both(
            lambda: self.model.claim_process(process_id, owner, ttl_ms),
            self.world.db.process_registry.claim_process_lease(process_id, owner, ttl_ms),
        )
        if given is None:
            return multiple()
        assert (lease.owner_id, lease.fencing_token) == (owner, given.number)
        assert (lease.claimed_at_ms, lease.expires_at_ms) == (self.model.now_ms, given.expires_at_ms)
        return given, lease

    @rule(pair=process_leases, ttl_ms=ttls)
    def renew_process(self, pair: tuple[Grant, ProcessLease], ttl_ms: int) -> None:
        given, lease = pair
        _, renewed = self._both(
            lambda: self.model.renew_process(given, ttl_ms),
            self.world.db.process_registry.renew_process_lease(lease, ttl_ms),
        )
        assert renewed is None or renewed == lease.replace(expires_at_ms=given.expires_at_ms)

    @rule(pair=process_leases)
    def release_process(self, pair: tuple[Grant, ProcessLease]) -> None:
        self._both(
            lambda: self.model.release_process(pair[0]),
            self.world.db.process_registry.complete_process_lease(pair[1].completion()),
        )

    @rule(pair=process_leases)
    def attempt(self, pair: tuple[Grant, ProcessLease]) -> None:
        number, record = self._both(
            lambda: self.model.attempt(pair[0]),
            self.world.db.process_registry.start_process_attempt(pair[1]),
        )
        assert record is None or record.attempts == number

    @rule(ms=st.sampled_from([1, 1, 4, 5, 50]))
    def advance(self, ms: int) -> None:
        self.model.now_ms += ms
        self.world.clock.at_ms += ms

    @invariant()
    def everybody_sees_the_same_holder(self) -> None:
        for session_id in SESSIONS:
            holding = self.model.session(session_id)
            for handle in self.world.handles:
                lease = self.world.run(handle.session_leases.find_session_lease(session_id))
                if not holding.is_live(self.model.now_ms) or holding.grant is None:
                    assert lease is None
                    continue
                assert lease is not None
                given = holding.grant
                assert (lease.owner_id, lease.generation, lease.expires_at_ms) == (
                    given.owner,
                    given.number,
                    given.expires_at_ms,
                )

    def _both(self, expected: Callable[[], Any], actual: Any) -> tuple[Any, Any]:
        """Return both answers, or None for both where both refuse with the same code."""
        told, refusal, result, error = None, None, None, None
        try:
            told = expected()
        except Refused as refused:
            refusal = refused.code
        try:
            result = self.world.run(actual)
        except LashError as problem:
            error = problem.code
        assert error == refusal
        return told, result


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_random_histories_of_leases_agree_with_the_model(kind: str, request: pytest.FixtureRequest) -> None:
    run_machine(LeaseMachine, kind, request, steps=40)
