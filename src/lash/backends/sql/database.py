"""`SqliteDatabase`: every contract over one SQLite file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from lash.backends.sql.artifacts import SqlLashlangArtifactStore
from lash.backends.sql.attachments import SqlAttachmentStore
from lash.backends.sql.catalog import SqlSessionCatalog
from lash.backends.sql.engine import Hub
from lash.backends.sql.engine import Subscription as HubSubscription
from lash.backends.sql.engine.sqlite import Schema, SqliteEngine, SqliteSettings
from lash.backends.sql.host_events import SqlHostEventStore
from lash.backends.sql.ingress import SqlTurnIngress
from lash.backends.sql.journal import SqlEffectJournal
from lash.backends.sql.leases import SqlSessionLeases
from lash.backends.sql.persistence import SqlRuntimePersistence
from lash.backends.sql.process_registry import SqlProcessRegistry
from lash.backends.sql.schema import APPLICATION_ID, MIGRATIONS
from lash.backends.sql.store import Store
from lash.backends.sql.waits import SqlDurableWaits
from lash.contracts import EffectHost
from lash.errors import LashError
from lash.system import RandomIds, SystemClock
from lash.values import Clock, DurabilityTier, IdSource

SCHEMA = Schema(application_id=APPLICATION_ID, migrations=MIGRATIONS)


class SqliteDatabase:
    """See `Database` for the contract. Opened when it is first used; many processes may share the file."""

    durability_tier = DurabilityTier.DURABLE

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        test_clock: Clock | None = None,
        settings: SqliteSettings | None = None,
    ) -> None:
        """Name the file; nothing is opened before `connect` or the first operation.

        Args:
            path: A path, or `sqlite:///PATH` (four slashes for an absolute one).
            clock: Where time comes from; the machine's clock by default.
            ids: Where ids come from; random by default.
            test_clock: A clock that a test sets. It is used in place of `clock`.
            settings: The numbers that the engine works by.

        Raises:
            LashError: `invalid_argument` for a path that names no file.
        """
        file = sqlite_path(os.fspath(path))
        self.url = f"sqlite:///{file}"
        self.clock: Clock = test_clock or clock or SystemClock()
        source = ids or RandomIds()
        self._engine = SqliteEngine(file, clock=self.clock, ids=source, settings=settings)
        self._store = Store(self._engine, self._open, source)
        self._effect_host: EffectHost | None = None
        self.effect_journal = SqlEffectJournal(self._store)
        self.attachment_store = SqlAttachmentStore(self._store)
        self.turn_ingress = SqlTurnIngress(self._store)
        self.session_leases = SqlSessionLeases(self._store)
        self.session_catalog = SqlSessionCatalog(self._store)
        self.durable_waits = SqlDurableWaits(self._store)
        self.process_registry = SqlProcessRegistry(self._store, self.subscribe)
        self.host_event_store = SqlHostEventStore(self._store)
        self.artifact_store = SqlLashlangArtifactStore(self._store)

    @property
    def path(self) -> str:
        """The file, with links followed."""
        return self._engine.path

    @property
    def owner_id(self) -> str:
        """Who this handle is to leases."""
        return self._engine.owner_id

    @property
    def effect_host(self) -> EffectHost:
        """The host that records effects in this database."""
        if self._effect_host is None:
            from lash.effects import JournaledEffectHost  # only who runs effects pays for the import

            self._effect_host = JournaledEffectHost(
                self.effect_journal, clock=self.clock, owner_id=self.owner_id, subscribe=self.subscribe
            )
        return self._effect_host

    def runtime_persistence(self, session_id: str | None = None) -> SqlRuntimePersistence:
        """Return a session's persistence; without an id it binds to the first session that it commits."""
        return SqlRuntimePersistence(self._store, session_id)

    def subscribe(self, topics: Sequence[str]) -> SqlSubscription:
        """Listen to topics, published by this process or by another one on the same file."""
        return SqlSubscription(self._engine.hub, topics)

    async def connect(self) -> None:
        """Open the file, creating or migrating it; opening twice does nothing."""
        await self._store.connect()

    async def close(self) -> None:
        """Finish what was submitted and let go of the file."""
        await self._engine.close()

    async def _open(self) -> None:
        await self._engine.connect(SCHEMA)


class SqlSubscription:
    """A place in the engine's hub, with a time-out to its wait."""

    def __init__(self, hub: Hub, topics: Sequence[str]) -> None:
        self._subscription: HubSubscription = hub.subscribe(*topics)

    async def wait(self, timeout_ms: int | None = None) -> bool:
        """Return True when a topic was published since the last wait, False on the time-out."""
        try:
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1000):
                await self._subscription.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Leave the hub."""
        self._subscription.close()


def sqlite_path(path_or_url: str) -> str:
    """Return the file that a path or a `sqlite:///` URL names.

    Raises:
        LashError: `invalid_argument` when there is none.
    """
    file = path_or_url.removeprefix("sqlite:///")
    if not file.strip() or "\0" in file or file.startswith("sqlite:"):
        raise LashError(
            "invalid_argument",
            f"{path_or_url!r} names no file; give a path or sqlite:///PATH",
            url=path_or_url,
        )
    return file
