"""`PostgresDatabase`: every contract over one database of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lash.backends.sql.artifacts import SqlLashlangArtifactStore
from lash.backends.sql.attachments import SqlAttachmentStore
from lash.backends.sql.catalog import SqlSessionCatalog
from lash.backends.sql.database import SqlSubscription
from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.postgres import PostgresEngine, PostgresSettings
from lash.backends.sql.host_events import SqlHostEventStore
from lash.backends.sql.ingress import SqlTurnIngress
from lash.backends.sql.journal import SqlEffectJournal
from lash.backends.sql.leases import SqlSessionLeases
from lash.backends.sql.persistence import SqlRuntimePersistence
from lash.backends.sql.postgres_dialect import postgres_statement
from lash.backends.sql.postgres_schema import POSTGRES_SCHEMA
from lash.backends.sql.process_registry import SqlProcessRegistry
from lash.backends.sql.store import Store, json_list
from lash.backends.sql.waits import SqlDurableWaits
from lash.contracts import EffectHost
from lash.system import RandomIds, SystemClock
from lash.values import Clock, DurabilityTier, IdSource

FIND_DEAD_OWNERS = """SELECT owner_id FROM owner WHERE owner_id IN (SELECT value FROM json_each(?))
    AND NOT lash_owner_lives(owner_id)"""


class PostgresStore(Store):
    """The door to a PostgreSQL engine, where the dead are found by a statement."""

    def __init__(self, engine: PostgresEngine, ids: IdSource) -> None:
        super().__init__(engine, lambda: engine.connect(POSTGRES_SCHEMA), ids)
        self._postgres = engine

    async def dead_among(self, tx: Tx, owner_ids: Iterable[str | None]) -> frozenset[str]:
        """Return those of the owners that made themselves known here and hold no sign of life any more."""
        asked = {owner_id for owner_id in owner_ids if owner_id is not None} - {self._postgres.owner_id}
        if not asked:
            return frozenset()
        dead = frozenset(await tx.fetch_all(str, FIND_DEAD_OWNERS, json_list(sorted(asked))))
        self._postgres.note_dead(dead)
        return dead


class PostgresDatabase:
    """See `Database` for the contract. Opened when it is first used; many processes may share it."""

    durability_tier = DurabilityTier.DURABLE

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        test_clock: Clock | None = None,
        settings: PostgresSettings | None = None,
    ) -> None:
        """Name the database; nothing is opened before `connect` or the first operation.

        Args:
            url: `postgresql://[USER[:PASSWORD]@][HOST[:PORT]]/DATABASE[?…]`, or `postgres://`, with the
                parameters of libpq and three of lash: `pool_size`, `prepare_threshold` (`none` behind a
                pooler in transaction mode) and `direct_url` (past such a pooler, to listen).
            clock: This machine's time, which is corrected to the server's.
            ids: Where ids come from; random by default.
            test_clock: A clock that a test sets. It stands for the server's.
            settings: The numbers that the engine works by.

        Raises:
            LashError: `invalid_argument` for a parameter of the URL that cannot be.
        """
        source = ids or RandomIds()
        self._engine = PostgresEngine(
            url,
            postgres_statement,
            clock=clock or SystemClock(),
            ids=source,
            test_clock=test_clock,
            settings=settings,
        )
        self.url = self._engine.shown_url
        self.clock: Clock = self._engine.clock
        self._store = PostgresStore(self._engine, source)
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
        """Reach the server, creating or migrating the tables; opening twice does nothing."""
        await self._store.connect()

    async def close(self) -> None:
        """Finish what was submitted and let go of the server."""
        await self._engine.close()
