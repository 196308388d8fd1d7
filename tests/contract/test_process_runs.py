"""What runs of processes need of storage: a journal under the process's lease, and waits that others end."""

from __future__ import annotations

import pytest

from lash.contracts import Database
from lash.values import (
    PROCESS_SIGNAL,
    EffectScope,
    EffectState,
    ExternalInput,
    ProcessEventType,
    ProcessRegistration,
    RecoveryDisposition,
    WaitDraft,
    child_session_id,
    turn_wait_key,
)

from .process_samples import success
from .samples import commit, done, effect, refused, settling, stamp
from .settable import SettableClock

SCOPE = EffectScope.process("p1")


async def begun(db: Database) -> None:
    registration = ProcessRegistration(
        id="p1", input=ExternalInput(), recovery=RecoveryDisposition.RERUNNABLE
    ).with_extra_event_types([ProcessEventType(name=PROCESS_SIGNAL)])
    await db.process_registry.register_process(registration)


async def test_results_of_a_process_are_written_under_its_lease(db: Database) -> None:
    await begun(db)
    lease = await db.process_registry.claim_process_lease("p1", "w1", 1000)
    first, second = (effect(key).replace(scope=SCOPE) for key in ("k1", "k2"))
    await db.effect_journal.start_effects([second], ended=[(first, done())], lease=lease)
    await db.effect_journal.record_effects([(second, done(b"2"))], lease=lease)
    lines = await db.effect_journal.load_effects(SCOPE)
    assert [(line.identity.replay_key, line.state) for line in lines] == [
        ("k1", EffectState.DONE),
        ("k2", EffectState.DONE),
    ]


@pytest.mark.parametrize("how", ["released", "expired", "taken over", "over"])
async def test_a_lost_lease_writes_no_results(db: Database, clock: SettableClock, how: str) -> None:
    await begun(db)
    registry = db.process_registry
    lease = await registry.claim_process_lease("p1", "w1", 1000)
    match how:
        case "released":
            await registry.complete_process_lease(lease.completion())
        case "expired":
            clock.advance(1000)
        case "taken over":
            clock.advance(1000)
            await registry.claim_process_lease("p1", "w2", 1000)
        case _:
            await registry.complete_process_with_lease(lease, success())
    one = effect("k1").replace(scope=SCOPE)
    with refused("process_lease_lost"):
        await db.effect_journal.record_effects([(one, done())], lease=lease)
    with refused("process_lease_lost"):
        await db.effect_journal.start_effects([one], lease=lease)
    assert await db.effect_journal.load_effects(SCOPE) == []


async def test_the_commit_of_a_childs_turn_ends_the_wait_for_it_if_there_is_one(db: Database) -> None:
    waits = db.durable_waits
    child = child_session_id("root", "p1")
    for session_id, turn_id, is_open in ((child, "p1", True), (child, "t2", False), ("root", "t3", True)):
        key = turn_wait_key(session_id, turn_id)
        if is_open:
            await waits.open_wait(WaitDraft(key=key, scope_key=SCOPE.key, kind="process"))
        head = await db.session_catalog.find_head(session_id)
        await db.runtime_persistence(session_id).commit_runtime_state(
            commit(session_id=session_id, expected=head.revision).replace(
                turn_commit=stamp(turn_id, session_id=session_id), settlement=settling(turn_id)
            )
        )
    assert await waits.find_wait(turn_wait_key(child, "p1")) is not None
    assert await waits.get_wait(turn_wait_key(child, "t2")) is None
    still_open = await waits.get_wait(turn_wait_key("root", "t3"))
    assert still_open is not None
    assert not still_open.is_resolved
