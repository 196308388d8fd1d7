"""The waits that appended signals end, on every backend."""

from __future__ import annotations

from lash.backends import open_database
from lash.values import (
    PROCESS_SIGNAL,
    ExternalInput,
    ProcessEventAppendRequest,
    ProcessEventType,
    ProcessRegistration,
    RecoveryDisposition,
    signal_wait_key,
)


async def test_each_signal_ends_the_wait_for_what_follows_the_one_before(url: str) -> None:
    db = open_database(url)
    await db.connect()
    registry, waits = db.process_registry, db.durable_waits
    registration = ProcessRegistration(
        id="p1", input=ExternalInput(), recovery=RecoveryDisposition.RERUNNABLE
    ).with_extra_event_types([ProcessEventType(name=PROCESS_SIGNAL)])
    await registry.register_process(registration)

    async def signal(name: str) -> int:
        request = ProcessEventAppendRequest(event_type=PROCESS_SIGNAL, payload=name, replay_key=name)
        return (await registry.append_event("p1", request)).event.sequence

    first_wait = signal_wait_key("p1", 0)
    lease = await registry.claim_process_lease("p1", "w1", 60_000)
    assert await registry.park_process(lease, [first_wait])
    first = await signal("a")
    assert [one.id for one in await registry.list_ready_processes(host_profiles=None)] == ["p1"]
    assert await signal("a") == first  # the same one again ends nothing more
    assert await waits.get_wait(signal_wait_key("p1", first)) is None
    second = await signal("b")
    resolved = await waits.find_wait(signal_wait_key("p1", first))
    assert resolved is not None
    assert resolved.value == second
    lease = await registry.claim_process_lease("p1", "w1", 60_000)
    assert not await registry.park_process(lease, [signal_wait_key("p1", first)])  # it has come already
    await db.close()
