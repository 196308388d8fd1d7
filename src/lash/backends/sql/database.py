"""`SqlDatabase`: the ports of one database, whichever engine is below them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lash.backends.sql.artifacts import SqlLashlangArtifactStore
from lash.backends.sql.attachments import SqlAttachmentStore
from lash.backends.sql.catalog import SqlSessionCatalog
from lash.backends.sql.engine import Engine, Hub
from lash.backends.sql.engine import Subscription as HubSubscription
from lash.backends.sql.host_events import SqlHostEventStore
from lash.backends.sql.ingress import SqlTurnIngress
from lash.backends.sql.journal import SqlEffectJournal
from lash.backends.sql.leases import SqlSessionLeases
from lash.backends.sql.persistence import SqlRuntimePersistence
from lash.backends.sql.process_registry import SqlProcessRegistry
from lash.backends.sql.store import Store
from lash.backends.sql.waits import SqlDurableWaits
from lash.contracts import EffectHost
from lash.values import Clock, DurabilityTier


class SqlDatabase:
    """See `Database` for the contract. Every port is a view on one store, so one transaction may span several."""

    durability_tier = DurabilityTier.DURABLE

    def __init__(self, engine: Engine, store: Store, *, url: str, clock: Clock) -> None:
        """Hand out the ports; nothing is opened before `connect` or the first operation.

        Args:
            engine: Runs the scripts.
            store: The door to it.
            url: The database, fit for messages.
            clock: Where time comes from.
        """
        self.url = url
        self.clock: Clock = clock
        self._engine = engine
        self._store = store
        self._effect_host: EffectHost | None = None
        self.effect_journal = SqlEffectJournal(store)
        self.attachment_store = SqlAttachmentStore(store)
        self.turn_ingress = SqlTurnIngress(store)
        self.session_leases = SqlSessionLeases(store)
        self.session_catalog = SqlSessionCatalog(store)
        self.durable_waits = SqlDurableWaits(store)
        self.process_registry = SqlProcessRegistry(store, self.subscribe)
        self.host_event_store = SqlHostEventStore(store)
        self.artifact_store = SqlLashlangArtifactStore(store)

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
        """Listen to topics, published by this process or by another one on the same database."""
        return SqlSubscription(self._engine.hub, topics)

    async def connect(self) -> None:
        """Open the database, creating or migrating its tables; opening twice does nothing."""
        await self._store.connect()

    async def close(self) -> None:
        """Finish what was submitted and let go of the database."""
        await self._engine.close()


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
