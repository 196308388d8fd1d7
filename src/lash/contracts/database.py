"""A database: one place that hands out every durable contract (decision 4 of the architecture)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lash.contracts.artifacts import LashlangArtifactStore
from lash.contracts.attachments import AttachmentStore
from lash.contracts.catalog import SessionCatalog
from lash.contracts.effects import EffectHost
from lash.contracts.host_events import HostEventStore
from lash.contracts.ingress import SessionLeases, TurnIngress
from lash.contracts.journal import EffectJournal
from lash.contracts.persistence import RuntimePersistence
from lash.contracts.processes import ProcessRegistry
from lash.contracts.waits import DurableWaits
from lash.values import Clock, DurabilityTier


class Subscription(Protocol):
    """A place in the notification hub. Subscribe, then look, then wait: no wake-up is lost (R-24)."""

    async def wait(self, timeout_ms: int | None = None) -> bool:
        """Return True when one of the topics was notified since the last wait, False on the time-out."""
        ...

    def close(self) -> None:
        """Leave the hub."""
        ...


class Database(Protocol):
    """All contracts over one transaction engine."""

    url: str
    durability_tier: DurabilityTier
    clock: Clock

    @property
    def effect_host(self) -> EffectHost: ...
    @property
    def effect_journal(self) -> EffectJournal: ...
    @property
    def attachment_store(self) -> AttachmentStore: ...
    @property
    def turn_ingress(self) -> TurnIngress: ...
    @property
    def session_leases(self) -> SessionLeases: ...
    @property
    def session_catalog(self) -> SessionCatalog: ...
    @property
    def durable_waits(self) -> DurableWaits: ...
    @property
    def process_registry(self) -> ProcessRegistry: ...
    @property
    def host_event_store(self) -> HostEventStore: ...
    @property
    def artifact_store(self) -> LashlangArtifactStore: ...

    @property
    def owner_id(self) -> str:
        """Who this handle is to leases: fresh for every open, known to be dead once its process is gone."""
        ...

    def runtime_persistence(self, session_id: str | None = None) -> RuntimePersistence:
        """Return a session's persistence; without an id it binds to the first session that it commits."""
        ...

    def subscribe(self, topics: Sequence[str]) -> Subscription:
        """Listen to topics (`session:<id>`, `queue`), of this process and of others on the same database."""
        ...

    async def connect(self) -> None:
        """Open the database, creating or migrating it.

        Raises:
            LashError: `schema_newer`, `store_corrupt`, `store_foreign`, `store_read_only`, `store_full`,
                `store_io`, `store_busy`; each names the database and what to do.
        """
        ...

    async def close(self) -> None:
        """Finish what was submitted and let go of the database."""
        ...
