"""Subjects from a factory of whole databases: every contract, as a view on a fresh one.

The factory is async (or not), takes the kit's clock, and returns a database that nothing was written to, or
`Reopenable(open, reopen)` with two handles on one. The kit connects and closes what it is given. A database
that lacks a contract on purpose says so in `not_offered`, a collection of names of `Contract`; the features
`processes` and `crashes` are declined there as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from lash.contracts import Database, EffectHost
from lash.errors import LashError
from lash.testing.conformance.case import Case, Contract, Feature
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.expectations import expect
from lash.testing.conformance.factories import Make, call_factory
from lash.testing.conformance.opening import address_of
from lash.testing.conformance.reference import ReferenceClasses
from lash.testing.conformance.runner import Missing, Opened
from lash.testing.conformance.subjects import WithoutManifest
from lash.testing.conformance.trial import Declared, Reopenable
from lash.values import AttachmentStorePersistence, DurabilityTier

# Contracts whose subject is one attribute of a database.
_ATTRIBUTES = {
    Contract.EFFECT_HOST: "effect_host",
    Contract.PROCESS_REGISTRY: "process_registry",
    Contract.HOST_EVENT_STORE: "host_event_store",
    Contract.ATTACHMENT_STORE: "attachment_store",
    Contract.ARTIFACT_STORE: "artifact_store",
}

# Contracts whose cases are handed the whole database, and the attribute that they need.
_WHOLE = {
    Contract.RECORDED_EFFECTS: "effect_journal",
    Contract.TURN_INGRESS: "turn_ingress",
    Contract.EFFECT_JOURNAL: "effect_journal",
    Contract.SESSION_LEASES: "session_leases",
    Contract.SESSION_CATALOG: "session_catalog",
    Contract.DURABLE_WAITS: "durable_waits",
}


class DatabaseSource:
    """A `Source` over a factory of databases.

    Args:
        make: The factory.
        discard: Called when a case is over and its databases are closed.
        reference: Lash's own classes, for the cases that are about those.
    """

    def __init__(
        self,
        make: Make,
        *,
        discard: Callable[[], Awaitable[None]] | None = None,
        reference: ReferenceClasses | None = None,
    ) -> None:
        self._make = make
        self._discard = discard
        self._reference = reference or ReferenceClasses()
        self._probed: dict[str, bool] | None = None
        self._declined: frozenset[str] = frozenset()
        self._pair: Reopenable[Database] | None = None  # of the database that was probed
        self._has_second = False
        self._is_durable = False

    @property
    def features(self) -> frozenset[Feature]:
        """Everything; what a database lacks is found out by `missing`, with a better reason."""
        return frozenset(Feature)

    async def missing(self, case: Case) -> Missing | None:
        """Return why the databases of this factory have no subject for a case.

        Raises:
            AssertionError: when a database declares that it has not what it has.
        """
        if case.contract is Contract.LASH:
            return None
        if self._probed is None:
            await self._probe()
        assert self._probed is not None
        for contract in (case.contract, *sorted(case.uses)):
            attribute = _attribute(contract)
            if contract in self._declined:
                expect(
                    attribute is None or not self._probed[attribute],
                    f"a database that declines {contract} has none",
                )
                return Missing(
                    reason=f"the backend declares that it does not offer {contract}", is_declared=True
                )
            if attribute is not None and not self._probed[attribute]:
                return Missing(reason=f"the database has no {attribute}")
        return self._missing_means(case)

    async def open(self, case: Case, clock: KitClock) -> Opened:
        """Return a fresh view for a case; closing it closes its database."""
        if case.contract is Contract.LASH:
            return Opened(subject=self._reference)
        first, second, means = await self._open_databases(clock)
        return Opened(
            subject=_view(first, case, clock),
            reopened=None if second is None else _view(second, case, clock),
            declared=_declared(first),
            address=None if means is None else address_of(means.address),
            damage=None if means is None else means.damage,
            close=lambda: self._close(first, second),
        )

    def _missing_means(self, case: Case) -> Missing | None:
        """Return which means beside a database a case lacks, if any."""
        for feature in sorted(case.needs & self._declined):
            return Missing(reason=f"the backend declares that it does not offer {feature}", is_declared=True)
        if Feature.SECOND_HANDLE in case.needs and not self._has_second:
            return Missing(reason="the factory gave no second handle; return Reopenable(open, reopen)")
        if not case.needs.isdisjoint({Feature.PROCESSES, Feature.CRASHES}):
            if not self._is_durable:
                reason = "the database is inline: it ends with its process"
                return Missing(reason=reason, is_declared=True)
            if self._pair is None or self._pair.address is None:
                reason = "the factory gave no way in for other processes: Reopenable(…, address=URL)"
                return Missing(reason=reason, is_declared=True)
        if Feature.DAMAGE in case.needs and (self._pair is None or self._pair.damage is None):
            reason = "the factory gave no means to damage stored data: Reopenable(…, damage=…)"
            return Missing(reason=reason, is_declared=True)
        return None

    async def _probe(self) -> None:
        """Look at one database, to know what all of them offer."""
        first, second, self._pair = await self._open_databases(KitClock())
        try:
            names = {*_ATTRIBUTES.values(), *_WHOLE.values(), "runtime_persistence"}
            self._probed = {name: getattr(first, name, None) is not None for name in names}
            self._declined = frozenset(getattr(first, "not_offered", ()))
            self._has_second = second is not None
            self._is_durable = first.durability_tier is DurabilityTier.DURABLE
        finally:
            await self._close(first, second)

    async def _open_databases(
        self, clock: KitClock
    ) -> tuple[Database, Database | None, Reopenable[Database] | None]:
        made = await call_factory(self._make, clock)
        pair = made if isinstance(made, Reopenable) else None
        first, second = (made, None) if pair is None else (pair.open, pair.reopen)
        if second is None and first.durability_tier is DurabilityTier.INLINE:
            second = first  # what ends with the process has no other way in: a second view will do
        try:
            await first.connect()
            if second is not None and second is not first:
                await second.connect()
        except BaseException:
            await self._close(first, second)
            raise
        return first, second, pair

    async def _close(self, first: Database, second: Database | None) -> None:
        try:
            if second is not None and second is not first:
                await second.close()
        finally:
            try:
                await first.close()
            finally:
                if self._discard is not None:
                    await self._discard()


def _attribute(contract: Contract) -> str | None:
    """Return the attribute of a database that a contract is found under, or None for the database itself."""
    if contract is Contract.DATABASE:
        return None
    return _ATTRIBUTES.get(contract) or _WHOLE.get(contract) or "runtime_persistence"


def _view(database: Database, case: Case, clock: KitClock) -> Any:
    if case.contract is Contract.RECORDED_EFFECTS:
        return _recording_host(database, clock)
    if case.contract is Contract.DATABASE or case.contract in _WHOLE:
        return database
    if case.contract is Contract.RUNTIME_PERSISTENCE:
        store = database.runtime_persistence()
        return WithoutManifest(store) if Feature.NOOP_MANIFEST in case.needs else store
    if Feature.INLINE in case.needs:
        return _inline_host(database, clock)
    return getattr(database, _ATTRIBUTES[case.contract])


def _recording_host(database: Database, clock: KitClock) -> EffectHost:
    """The database's own host if that records, else lash's recording host over the database's journal."""
    if database.effect_host.durability_tier is DurabilityTier.DURABLE:
        return database.effect_host
    from lash.effects import JournaledEffectHost  # only who runs these cases pays for the import

    return JournaledEffectHost(
        database.effect_journal, clock=clock, owner_id=database.owner_id, subscribe=database.subscribe
    )


def _inline_host(database: Database, clock: KitClock) -> EffectHost:
    if database.effect_host.durability_tier is DurabilityTier.INLINE:
        return database.effect_host
    from lash.effects import InlineEffectHost

    return InlineEffectHost(clock=clock)


def _declared(database: Database) -> Declared:
    is_durable = database.durability_tier is DurabilityTier.DURABLE
    return Declared(
        tier=database.durability_tier,
        persistence=(
            AttachmentStorePersistence.DURABLE if is_durable else AttachmentStorePersistence.EPHEMERAL
        ),
    )


def check_database(made: object) -> None:
    """Refuse what is no database at all.

    Raises:
        LashError: `conformance_factory_invalid`.
    """
    database = made.open if isinstance(made, Reopenable) else made
    if not hasattr(database, "durability_tier") or not hasattr(database, "runtime_persistence"):
        raise LashError(
            "conformance_factory_invalid",
            f"the factory returned {database!r}; it must return a database, or Reopenable(open, reopen) of two",
        )
