"""A database in this process's memory: all ports over one set of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lash.backends.memory.artifacts import InMemoryLashlangArtifactStore
from lash.backends.memory.attachments import InMemoryAttachmentStore
from lash.backends.memory.catalog import MemorySessionCatalog
from lash.backends.memory.host_events import InMemoryHostEventStore
from lash.backends.memory.hub import MemorySubscription
from lash.backends.memory.ingress import MemoryTurnIngress
from lash.backends.memory.journal import MemoryEffectJournal
from lash.backends.memory.leases import MemorySessionLeases
from lash.backends.memory.persistence import MemoryRuntimePersistence
from lash.backends.memory.process_registry import InMemoryProcessRegistry
from lash.backends.memory.tables import Tables
from lash.backends.memory.waits import MemoryDurableWaits
from lash.contracts import EffectHost
from lash.system import RandomIds, SystemClock
from lash.values import Clock, DurabilityTier, IdSource


class MemoryDatabase:
    """See `Database` for the contract. What it holds ends with the object.

    Closing and connecting again is a restart: the state stays, a new owner comes, and what the one before
    held is known to be dead.
    """

    durability_tier = DurabilityTier.INLINE

    def __init__(
        self,
        url: str = "memory:",
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        tables: Tables | None = None,
    ) -> None:
        self.url = url
        self.clock: Clock = clock or SystemClock()
        self._ids = ids or RandomIds()
        self._tables = tables or Tables(self.clock, self._ids)
        self._owner_id = self._ids.new("owner")
        self.effect_journal = MemoryEffectJournal(self._tables)
        self.attachment_store = InMemoryAttachmentStore(self._tables.attachments)
        self.turn_ingress = MemoryTurnIngress(self._tables)
        self.session_leases = MemorySessionLeases(self._tables)
        self.session_catalog = MemorySessionCatalog(self._tables)
        self.durable_waits = MemoryDurableWaits(self._tables)
        self.process_registry = InMemoryProcessRegistry(self._tables)
        self.host_event_store = InMemoryHostEventStore(self._tables)
        self.artifact_store = InMemoryLashlangArtifactStore(self._tables.artifacts)
        self._effect_host: EffectHost | None = None

    @property
    def effect_host(self) -> EffectHost:
        """The host that remembers nothing, as this database does not outlive the process either."""
        if self._effect_host is None:
            from lash.effects import InlineEffectHost  # only who runs effects pays for the import

            self._effect_host = InlineEffectHost(clock=self.clock)
        return self._effect_host

    @property
    def tables(self) -> Tables:
        """What this database holds, for those who look at it from outside of the contracts."""
        return self._tables

    def handle(self) -> MemoryDatabase:
        """Return another handle on the same tables, with an owner of its own, as a second process would have."""
        return MemoryDatabase(self.url, clock=self.clock, ids=self._ids, tables=self._tables)

    @property
    def owner_id(self) -> str:
        """Who this handle is to leases."""
        return self._owner_id

    def runtime_persistence(self, session_id: str | None = None) -> MemoryRuntimePersistence:
        """Return a session's persistence; without an id it binds to the first session that it commits."""
        return MemoryRuntimePersistence(self._tables, session_id)

    def subscribe(self, topics: Sequence[str]) -> MemorySubscription:
        """Listen to topics."""
        return self._tables.hub.subscribe(topics)

    async def connect(self) -> None:
        """Do nothing: the tables are there."""

    async def close(self) -> None:
        """Let go: what this owner holds may be taken over at once."""
        self._tables.dead_owners.add(self._owner_id)
        self._owner_id = self._ids.new("owner")


class InMemorySessionStore(MemoryRuntimePersistence):
    """A runtime persistence over a little database of its own.

    Args:
        attachment_manifest: `persistent`, or `noop` for a store that keeps no manifest.
        clock: Where time comes from; the machine's clock by default.
        ids: Where ids come from; random by default.
    """

    def __init__(
        self,
        attachment_manifest: Literal["persistent", "noop"] = "persistent",
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        tables = Tables(clock or SystemClock(), ids or RandomIds())
        super().__init__(tables, None, attachment_manifest=attachment_manifest)
