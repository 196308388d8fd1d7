"""Random histories of the effect journal, on every backend, against a model of the contract."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, multiple, rule

from lash.errors import LashError
from lash.values import (
    EffectBusy,
    EffectClaim,
    EffectFilter,
    EffectIdentity,
    EffectRecord,
    EffectResult,
    EffectScope,
    EffectState,
    RuntimeEffectKind,
)

from .effect_model import Journal
from .running import KINDS, WorldMachine, run_machine
from .worlds import START_MS

SCOPES = {
    "turn": EffectScope.turn("s", "x"),
    "other session": EffectScope.turn("s2", "x"),  # the same display id (rule R-8)
    "process": EffectScope.process("x"),
}
KEYS = ("k1", "k2")
places = st.tuples(st.sampled_from(sorted(SCOPES)), st.sampled_from(KEYS))
hashes = st.sampled_from(["e1", "e1", "e1", "e2"])
ttls = st.sampled_from([0, 5, 50])
results = st.sampled_from([("done", b"yes"), ("done", b""), ("failed", None), ("unknown", None)])

Place = tuple[str, str]


class EffectMachine(WorldMachine):
    """Three scopes with the same display id, two keys, two envelopes, and claims that are kept for long."""

    claims: Bundle[tuple[Place, int, EffectClaim]] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.model = Journal(START_MS)

    @rule(
        target=claims,
        at=places,
        envelope_hash=hashes,
        at_most_once=st.booleans(),
        ttl_ms=ttls,
        sleep_ms=st.sampled_from([None, None, 7]),
    )
    def claim(
        self, at: Place, envelope_hash: str, at_most_once: bool, ttl_ms: int, sleep_ms: int | None
    ) -> Any:
        before = self.model.lines.get(at)
        held_until_ms = 0 if before is None else before.expires_at_ms
        told = self.model.claim(
            at, envelope_hash, at_most_once=at_most_once, ttl_ms=ttl_ms, sleep_ms=sleep_ms
        )
        answer = self.world.run(
            self.world.db.effect_journal.claim_effect(
                _identity(at, envelope_hash, at_most_once=at_most_once),
                owner_id="w",
                ttl_ms=ttl_ms,
                sleep_ms=sleep_ms,
            )
        )
        if told == "busy":
            assert answer == EffectBusy(owner_id="w", expires_at_ms=held_until_ms)
            return multiple()
        if told == "record":
            assert isinstance(answer, EffectRecord)
            self._check(at, answer)
            return multiple()
        assert isinstance(answer, EffectClaim)
        line = self.model.lines[at]
        assert (answer.expires_at_ms, answer.due_at_ms) == (line.expires_at_ms, line.due_at_ms)
        return at, told, answer

    @rule(held=claims, ttl_ms=ttls)
    def renew(self, held: tuple[Place, int, EffectClaim], ttl_ms: int) -> None:
        at, number, claim = held
        work = self.world.db.effect_journal.renew_effect_claim(claim, ttl_ms=ttl_ms)
        if not self._refused_unless_held(at, number, work):
            self.model.lines[at].expires_at_ms = self.model.now_ms + ttl_ms

    @rule(held=claims)
    def release(self, held: tuple[Place, int, EffectClaim]) -> None:
        at, number, claim = held
        self.world.run(self.world.db.effect_journal.release_effect_claim(claim))
        if self.model.holds(at, number):
            self.model.lines[at].claim = None

    @rule(held=claims, result=results)
    def record(self, held: tuple[Place, int, EffectClaim], result: tuple[str, bytes | None]) -> None:
        at, number, claim = held
        work = self.world.db.effect_journal.record_effect(claim, _result(*result))
        if not self._refused_unless_held(at, number, work):
            self.model.lines[at].end(*result, self.model.now_ms)

    @rule(at=places, envelope_hash=hashes, at_most_once=st.booleans())
    def start(self, at: Place, envelope_hash: str, at_most_once: bool) -> None:
        identity = _identity(at, envelope_hash, at_most_once=at_most_once)
        self.world.run(self.world.db.effect_journal.start_effects([identity]))
        self.model.start(at, envelope_hash, at_most_once=at_most_once)

    @rule(at=places, result=results)
    def record_without_a_claim(self, at: Place, result: tuple[str, bytes | None]) -> None:
        pairs = [(_identity(at, "e1"), _result(*result))]
        self.world.run(self.world.db.effect_journal.record_effects(pairs))
        self.model.record(at, "e1", *result)

    @rule(scope=st.sampled_from(sorted(SCOPES)), result=results)
    def record_one_and_start_the_other(self, scope: str, result: tuple[str, bytes | None]) -> None:
        ended, started = (scope, KEYS[0]), (scope, KEYS[1])
        work = self.world.db.effect_journal.start_effects(
            [_identity(started, "e1")], ended=[(_identity(ended, "e1"), _result(*result))]
        )
        self.world.run(work)
        self.model.record(ended, "e1", *result)
        self.model.start(started, "e1", at_most_once=False)

    @rule(at=places)
    def settle(self, at: Place) -> None:
        work = self.world.db.effect_journal.settle_effect(
            SCOPES[at[0]], at[1], _result("done", b"by hand"), settled_by="op"
        )
        refusal = self.model.settle(at, b"by hand", "op")
        if refusal is None:
            self._check(at, self.world.run(work))
            return
        with pytest.raises(LashError) as problem:
            self.world.run(work)
        assert problem.value.code == refusal

    @rule(ms=st.sampled_from([1, 5, 50]))
    def advance(self, ms: int) -> None:
        self.model.now_ms += ms
        self.world.clock.at_ms += ms

    @invariant()
    def lines_agree(self) -> None:
        journal = self.world.db.effect_journal
        for scope_name, scope in SCOPES.items():
            here = [at for at in self.model.lines if at[0] == scope_name]
            loaded = self.world.run(journal.load_effects(scope))
            assert [record.identity.replay_key for record in loaded] == [key for _, key in here]
            for at, record in zip(here, loaded, strict=True):
                self._check(at, record)
                assert self.world.run(journal.find_effect(scope, at[1])) == record

    @invariant()
    def lists_agree(self) -> None:
        journal = self.world.db.effect_journal
        listed, _ = self.world.run(journal.list_effects(EffectFilter()))
        assert [_place(record) for record in listed] == list(self.model.lines)
        unknown, _ = self.world.run(journal.list_effects(EffectFilter(state=EffectState.UNKNOWN)))
        assert [_place(record) for record in unknown] == [
            at for at, line in self.model.lines.items() if line.state == "unknown"
        ]
        for key in KEYS:
            found = self.world.run(journal.find_effects_by_key(key))
            assert [_place(record) for record in found] == [at for at in self.model.lines if at[1] == key]

    def _refused_unless_held(self, at: Place, number: int, work: Any) -> bool:
        if self.model.holds(at, number):
            self.world.run(work)
            return False
        with pytest.raises(LashError) as problem:
            self.world.run(work)
        assert problem.value.code == "effect_replay_lease_lost"
        return True

    def _check(self, at: Place, record: EffectRecord) -> None:
        line = self.model.lines[at]
        assert record.identity.envelope_hash == line.envelope_hash * 32
        assert (record.state.value, record.runs, record.settled_by) == (
            line.state,
            line.runs,
            line.settled_by,
        )
        assert (record.started_at_ms, record.ended_at_ms, record.due_at_ms) == (
            line.started_at_ms,
            line.ended_at_ms,
            line.due_at_ms,
        )
        assert not record.settled
        if line.state == "started":
            assert record.result is None
        else:
            assert record.result is not None
            assert (record.result.state.value, record.result.outcome) == (line.state, line.outcome)


def _identity(at: Place, envelope_hash: str, *, at_most_once: bool = False) -> EffectIdentity:
    return EffectIdentity(
        scope=SCOPES[at[0]],
        replay_key=at[1],
        envelope_hash=envelope_hash * 32,
        kind=RuntimeEffectKind.TOOL_CALL,
        effect_id=at[1],
        label="tool",
        at_most_once=at_most_once,
    )


def _result(state: str, outcome: bytes | None) -> EffectResult:
    return EffectResult(state=EffectState(state), outcome=outcome)


def _place(record: EffectRecord) -> Place:
    scope = next(name for name, scope in SCOPES.items() if scope == record.identity.scope)
    return scope, record.identity.replay_key


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_random_histories_of_effects_agree_with_the_model(kind: str, request: pytest.FixtureRequest) -> None:
    run_machine(EffectMachine, kind, request, steps=40)
