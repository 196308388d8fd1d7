"""`LogbookDatabase`: every port of lash over one replica and one log file.

A change is made under the file's lock: read what others have added, carry it out, add it, sync. A refused one
changes nothing, so nothing is added. Reading needs no lock: what was added whole is carried out, and then asked.

What this backend is not: fast (a lock and a sync a change, one at a time, on the event loop), and small in memory
(all of it, in every process; the log is never compacted).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from lash.contracts import EffectHost, Subscription
from lash.effects import JournaledEffectHost
from lash.system import RandomIds, SystemClock
from lash.values import AttachmentStorePersistence, Clock, DurabilityTier, IdSource
from logbook.file import Change, LogFile
from logbook.replica import Replica, at_once
from logbook.wire import packed

LOOK_EVERY_S = 0.02
PORTS = (
    "effect_journal",
    "attachment_store",
    "turn_ingress",
    "session_leases",
    "session_catalog",
    "durable_waits",
    "process_registry",
    "host_event_store",
    "artifact_store",
)
READS = (
    "get",
    "find_",
    "list_",
    "load_",
    "has_",
    "is_",
    "events_",
    "wake_events_",
    "handle_",
    "next_",
    "source_",
)
ALSO_READS = {"parked_processes", "process_frame", "processes_changed_since"}
WAITS = {"await_process", "wait_event_after"}


class LogbookDatabase:
    """See `lash.contracts.Database` for the contract."""

    durability_tier = DurabilityTier.DURABLE
    not_offered = ("damage",)  # to the kit: it finds no way to make single things of this file unreadable

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        test_clock: Clock | None = None,
    ) -> None:
        self.url = url
        self.clock: Clock = test_clock or clock or SystemClock()
        self._ids = ids or RandomIds()
        self.owner_id = self._ids.new("owner")
        self._file = LogFile(Path(url.partition(":///")[2]))
        self._replica = Replica()
        for name in PORTS:
            setattr(self, name, Port(self, name))
        self.effect_host: EffectHost = JournaledEffectHost(
            self._port("effect_journal"), clock=self.clock, owner_id=self.owner_id, subscribe=self.subscribe
        )

    def runtime_persistence(self, session_id: str | None = None) -> Any:
        """Return a session's persistence; without an id it binds to the first session that it commits."""
        handle = self._ids.new("handle") if session_id is None else None
        return Port(self, "runtime_persistence", session_id, handle)

    def subscribe(self, topics: Sequence[str]) -> Subscription:
        """Listen to topics; whoever waits also looks for what other processes have added."""
        self._catch_up()
        return Listening(self, self._replica.database.subscribe(topics))

    async def connect(self) -> None:
        """Open the file and carry out what is in it."""
        self._file.open()
        self._catch_up()

    async def close(self) -> None:
        """Let go of the file. What this handle holds is free when its time is over."""
        self._file.close()

    def change(self, port: Port, operation: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Carry out a change and log it."""
        with self._file.locked():
            self._catch_up()
            now_ms, salt = self.clock.now_ms(), self._ids.new("change")
            self._replica.moment.set(now_ms, salt)
            answer = at_once(getattr(port.inner(self._replica), operation)(*arguments, **options))
            try:
                stored = packed(arguments, options)
                self._file.add(
                    Change(port.name, operation, stored, now_ms, salt, port.session_id, port.handle)
                )
            except BaseException:
                self._file.close()  # the replica is ahead of the log: nobody must ask it any more
                raise
            return answer

    def read(self, port: Port, operation: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Ask the replica, once it is where the log is."""
        self._catch_up()
        self._replica.moment.set(self.clock.now_ms(), "")
        return at_once(getattr(port.inner(self._replica), operation)(*arguments, **options))

    async def wait(self, port: Port, operation: str, arguments: tuple[Any, ...]) -> Any:
        """Let an operation wait on the replica, and carry out meanwhile what others add."""
        self._catch_up()
        waiting = asyncio.ensure_future(getattr(port.inner(self._replica), operation)(*arguments))
        try:
            while not (await asyncio.wait({waiting}, timeout=LOOK_EVERY_S))[0]:
                self._catch_up()
            return waiting.result()
        finally:
            waiting.cancel()

    def _port(self, name: str) -> Any:
        return getattr(self, name)

    def _catch_up(self) -> None:
        for change in self._file.new_changes():
            self._replica.carry_out(change)


class Port:
    """One port: its operations are those of the replica's, as changes, reads or waits."""

    durability_tier = DurabilityTier.DURABLE
    persistence = AttachmentStorePersistence.DURABLE
    attachment_manifest = "persistent"

    def __init__(
        self, database: LogbookDatabase, name: str, session_id: str | None = None, handle: str | None = None
    ) -> None:
        self._database = database
        self.name = name
        self.session_id = session_id
        self.handle = handle

    def inner(self, replica: Replica) -> Any:
        """Return the replica's port."""
        return replica.port(self.name, self.session_id, self.handle)

    def __getattr__(self, operation: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if operation.startswith("_") or not hasattr(self.inner(self._database._replica), operation):
            raise AttributeError(f"{self.name} has no {operation}")

        async def call(*arguments: Any, **options: Any) -> Any:
            if operation in WAITS:
                return await self._database.wait(self, operation, arguments)
            is_read = operation in ALSO_READS or operation.startswith(READS)
            carry_out = self._database.read if is_read else self._database.change
            return carry_out(self, operation, arguments, options)

        return call


class Listening:
    """A subscription on the replica that looks into the log while somebody waits."""

    def __init__(self, database: LogbookDatabase, subscription: Any) -> None:
        self._database = database
        self._subscription = subscription

    async def wait(self, timeout_ms: int | None = None) -> bool:
        """Return True when one of the topics was notified since the last wait, False on the time-out."""
        loop = asyncio.get_running_loop()
        give_up_at = None if timeout_ms is None else loop.time() + timeout_ms / 1000
        while True:
            self._database._catch_up()
            left_s = LOOK_EVERY_S if give_up_at is None else max(give_up_at - loop.time(), 0)
            if await self._subscription.wait(round(min(left_s, LOOK_EVERY_S) * 1000)):
                return True
            if give_up_at is not None and loop.time() >= give_up_at:
                return False

    def close(self) -> None:
        """Stop listening."""
        self._subscription.close()
