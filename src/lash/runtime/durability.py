"""Whether what is given works together: durable in one place and forgetful in another is refused.

Contract 0.3 and decision 11: nothing durable is ever silently replaced by something that is not.
"""

from __future__ import annotations

from lash.contracts import AttachmentStore, Database, EffectHost
from lash.errors import LashError
from lash.values import AttachmentStorePersistence, DurabilityTier, Record


class DurabilityFacet(Record, frozen=True, kw_only=True):
    """One part, what it promises, and how to mend it if it is the odd one out."""

    name: str
    tier: DurabilityTier
    what: str
    mend: str


class DurabilityReport(Record, frozen=True, kw_only=True):
    """What is durable here, part by part."""

    facets: tuple[DurabilityFacet, ...]

    @property
    def tier(self) -> DurabilityTier:
        """Durable only if every part is."""
        durable = all(facet.tier is DurabilityTier.DURABLE for facet in self.facets)
        return DurabilityTier.DURABLE if durable else DurabilityTier.INLINE

    @property
    def at_fault(self) -> tuple[DurabilityFacet, ...]:
        """The forgetful parts, if there are durable ones beside them."""
        forgetful = tuple(facet for facet in self.facets if facet.tier is DurabilityTier.INLINE)
        return forgetful if len(forgetful) < len(self.facets) else ()

    def check(self) -> None:
        """Raise unless all parts promise the same.

        Raises:
            LashError: `durable_store_required:<facet>` for the first part at fault; the message names
                every one of them with its mend, and the fact `facets` lists them.
        """
        if not self.at_fault:
            return
        named = "; ".join(f"{facet.name} ({facet.what}): {facet.mend}" for facet in self.at_fault)
        raise LashError(
            f"durable_store_required:{self.at_fault[0].name}",
            f"some parts would survive a crash and others would not. {named}",
            facet=self.at_fault[0].name,
            facets=[facet.name for facet in self.at_fault],
        )


def durability_report(
    database: Database,
    *,
    effect_host: EffectHost | None = None,
    attachment_store: AttachmentStore | None = None,
) -> DurabilityReport:
    """Return what a runtime over these parts would promise."""
    host = effect_host or database.effect_host
    store = attachment_store or database.attachment_store
    durable = store.persistence is AttachmentStorePersistence.DURABLE
    return DurabilityReport(
        facets=(
            DurabilityFacet(
                name="session_store",
                tier=database.durability_tier,
                what=database.url,
                mend="open a file or a server instead of memory:",
            ),
            DurabilityFacet(
                name="effect_host",
                tier=host.durability_tier,
                what=type(host).__name__,
                mend="leave effect_host out, so that the database records effects",
            ),
            DurabilityFacet(
                name="attachment_store",
                tier=DurabilityTier.DURABLE if durable else DurabilityTier.INLINE,
                what=type(store).__name__,
                mend="leave attachment_store out, so that the database keeps attachments",
            ),
        )
    )
