"""What a process held that was killed is free at once; of others nothing is presumed (contract 5, B-4)."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path

import pytest

from lash.backends.sql import SqliteDatabase
from lash.errors import LashError
from lash.values import ClaimedTurn, ClaimRefused, EffectClaim

from .turns import AGENT, identity, turn_draft

Make = Callable[[], SqliteDatabase]
CHILD = str(Path(__file__).with_name("turns.py"))


async def killed_holder(path: Path) -> str:
    """Return the owner id of a process that held something of each kind when it was killed."""
    child = await asyncio.create_subprocess_exec(sys.executable, CHILD, "hold", str(path), stdout=PIPE)
    assert child.stdout is not None
    owner_id = (await child.stdout.readline()).decode().strip()
    child.kill()
    await child.wait()
    return owner_id


@pytest.mark.kill
async def test_a_killed_drivers_turn_is_claimed_without_waiting(another: Make, path: Path) -> None:
    await killed_holder(path)
    database = another()
    answer = await database.turn_ingress.claim_turn(
        "held", owner_id=database.owner_id, agents=[AGENT], lease_ttl_ms=1_000
    )
    assert isinstance(answer, ClaimedTurn)
    assert (answer.turn_id, answer.restarts, len(answer.journal)) == ("t", 1, 1)
    effect = await database.effect_journal.claim_effect(
        identity("held", "t", 1), owner_id=database.owner_id, ttl_ms=1_000
    )
    assert isinstance(effect, EffectClaim)
    lease = await database.session_leases.claim_session_lease("leased", owner_id=database.owner_id, ttl_ms=1)
    assert lease.generation == 2


@pytest.mark.kill
async def test_release_frees_everything_of_the_dead_and_forgets_them(another: Make, path: Path) -> None:
    await killed_holder(path)
    database = another()
    await database.connect()
    subscription = database.subscribe(["queue"])
    assert await database.turn_ingress.release_dead_owners() == 4  # two leases, a batch, an effect
    assert await subscription.wait(5_000)
    subscription.close()
    assert await database.turn_ingress.release_dead_owners() == 0
    ready = await database.turn_ingress.list_ready_sessions([AGENT])
    assert [session.session_id for session in ready] == ["held"]


async def test_a_closed_handle_counts_as_dead(another: Make) -> None:
    before, after = another(), another()
    await before.session_catalog.admit_session("s", agent=AGENT)
    await before.turn_ingress.accept_turn(
        turn_draft("s", "t"), claim_owner_id=before.owner_id, lease_ttl_ms=10**9
    )
    await before.close()
    assert [s.session_id for s in await after.turn_ingress.list_ready_sessions([AGENT])] == ["s"]


async def test_a_live_handle_and_a_foreign_name_are_never_dead(another: Make) -> None:
    one, two = another(), another()
    await one.connect()
    await one.session_leases.claim_session_lease("a", owner_id=one.owner_id, ttl_ms=1_000)
    await one.session_leases.claim_session_lease("b", owner_id="a worker elsewhere", ttl_ms=1_000)
    assert await two.turn_ingress.release_dead_owners() == 0
    for session_id in ("a", "b"):
        with pytest.raises(LashError) as refused:
            await two.session_leases.claim_session_lease(session_id, owner_id=two.owner_id, ttl_ms=1)
        assert refused.value.code == "session_lease_held"


async def test_an_interrupted_turn_is_not_given_to_a_second_driver(another: Make) -> None:
    one, two = another(), another()
    await one.session_catalog.admit_session("s", agent=AGENT)
    accepted = await one.turn_ingress.accept_turn(turn_draft("s", "t"), claim_owner_id=one.owner_id)
    assert accepted.claimed is not None
    answer = await two.turn_ingress.claim_turn("s", owner_id=two.owner_id, agents=[AGENT], lease_ttl_ms=1_000)
    assert isinstance(answer, ClaimRefused)
