"""SQLite databases that go wrong in other processes: what the kit's children open when a mutant is tested.

Each is right within one process. The names of the openers say what is wrong.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from lash.backends import open_database
from lash.errors import LashError
from lash.testing.conformance import KitClock
from lash.testing.conformance.jobs import WOKEN
from lash.values import QueuedWorkClaim, process_wake_batch_draft

Operation = Callable[..., Awaitable[Any]]
FOR_EVER_S = 3_600


class Changed:
    """An object of which some attributes are others."""

    def __init__(self, original: Any, **changes: Any) -> None:
        self._original = original
        for name, change in changes.items():
            setattr(self, name, change)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def port(url: str, clock: KitClock, name: str, **operations: Callable[[Any, Operation], Operation]) -> Any:
    """Open a database with some operations of one port changed; each change gets the database and the original."""
    database = open_database(url, test_clock=clock)
    original = getattr(database, name)
    changes = {each: change(database, getattr(original, each)) for each, change in operations.items()}
    return Changed(database, **{name: Changed(original, **changes)})


def persistence(url: str, clock: KitClock, **operations: Callable[[Any, Operation], Operation]) -> Any:
    """The same for an operation of every session's persistence."""
    database = open_database(url, test_clock=clock)

    def runtime_persistence(session_id: str | None = None) -> Any:
        store = database.runtime_persistence(session_id)
        changes = {each: change(store, getattr(store, each)) for each, change in operations.items()}
        return Changed(store, **changes)

    return Changed(database, runtime_persistence=runtime_persistence)


def unless(code: str, answer: Callable[..., Any]) -> Callable[[Any, Operation], Operation]:
    """Answer a refusal of this code as if all were well."""

    def change(_: Any, original: Operation) -> Operation:
        async def wrong(*args: Any) -> Any:
            try:
                return await original(*args)
            except LashError as refusal:
                if refusal.code != code:
                    raise
                return answer(*args)

        return wrong

    return change


def every_process_has_a_database_of_its_own(url: str, clock: KitClock) -> Any:
    return open_database(f"{url}-{os.getpid()}", test_clock=clock)


def every_process_counts_its_own_events(url: str, clock: KitClock) -> Any:
    count = [0]

    def change(_: Any, original: Operation) -> Operation:
        async def wrong(*args: Any) -> Any:
            result = await original(*args)
            count[0] += 1
            return result.replace(event=result.event.replace(sequence=count[0]))

        return wrong

    return port(url, clock, "process_registry", append_event=change)


def lost_races_look_like_commits(url: str, clock: KitClock) -> Any:
    class Won:
        def __init__(self, commit: Any) -> None:
            self.head_revision = commit.expected_head_revision + 1

    return persistence(url, clock, commit_runtime_state=unless("head_revision_conflict", Won))


def work_of_others_is_claimed_again(url: str, clock: KitClock) -> Any:
    def change(store: Any, original: Operation) -> Operation:
        async def wrong(session_id: str, *rest: Any) -> QueuedWorkClaim | Any:
            return await original(session_id, *rest) or await store.list_queued_work(session_id)

        return wrong

    return persistence(url, clock, claim_ready_queued_work=change)


def leases_of_others_are_granted_again(url: str, clock: KitClock) -> Any:
    change = unless("process_lease_held", lambda *args: None)
    return port(url, clock, "process_registry", claim_process_lease=change)


def ids_of_others_are_given_again(url: str, clock: KitClock) -> Any:
    change = unless("process_registration_conflict", lambda *args: None)
    return port(url, clock, "process_registry", register_process=change)


def reserved_deliveries_are_handed_out_again(url: str, clock: KitClock) -> Any:
    def change(database: Any, original: Operation) -> Operation:
        async def wrong(occurrence_id: str) -> Any:
            await original(occurrence_id)
            store = database.host_event_store
            every = await store.list_deliveries(occurrence_id=occurrence_id)
            return [await store.find_reservation(occurrence_id, one.subscription_id) for one in every]

        return wrong

    return port(url, clock, "host_event_store", reserve_matching_deliveries=change)


def everybody_resolves_first(url: str, clock: KitClock) -> Any:
    def change(_: Any, original: Operation) -> Operation:
        async def wrong(*args: Any) -> Any:
            return (await original(*args)).replace(first=True)

        return wrong

    return port(url, clock, "durable_waits", resolve_wait=change)


def work_goes_to_another_queue(url: str, clock: KitClock) -> Any:
    def change(_: Any, original: Operation) -> Operation:
        async def wrong(draft: Any) -> Any:
            return await original(draft.replace(session_id=f"{draft.session_id}-{os.getpid()}"))

        return wrong

    return persistence(url, clock, enqueue_queued_work=change)


def waits_are_written_when_there_is_time(url: str, clock: KitClock) -> Any:
    def change(_: Any, original: Operation) -> Operation:
        async def wrong(*args: Any) -> Any:
            pass  # it would be written at the end

        return wrong

    return port(url, clock, "durable_waits", resolve_wait=change)


def the_work_of_a_wake_is_another_transaction(url: str, clock: KitClock) -> Any:
    later = set()

    async def enqueue(store: Any, wake: Any) -> None:
        await asyncio.sleep(FOR_EVER_S)  # time enough to be killed between the two
        await store.enqueue_queued_work(process_wake_batch_draft(wake))

    def change(database: Any, original: Operation) -> Operation:
        async def wrong(*args: Any) -> Any:
            result = await original(*args)
            store = database.runtime_persistence(WOKEN)
            batch = (await store.list_queued_work(WOKEN))[-1]
            await store.cancel_queued_work_batch(WOKEN, batch.batch_id)
            later.add(asyncio.create_task(enqueue(store, result.wake_delivery)))
            return result

        return wrong

    return port(url, clock, "process_registry", append_event=change)


def leases_outlive_their_time(url: str, clock: KitClock) -> Any:
    def change(_: Any, original: Operation) -> Operation:
        async def wrong(process_id: str, owner_id: str, ttl_ms: int) -> Any:
            return await original(process_id, owner_id, ttl_ms * 1_000)

        return wrong

    return port(url, clock, "process_registry", claim_process_lease=change)
