"""A database whose attachment bytes are kept elsewhere.

The manifest, which says who owns what, stays in the database and its transactions: the intent is written before
the bytes, the commit that needs them stamps it. So a crash in between leaves bytes that nobody committed to, and
never a commit without its bytes.
"""

from __future__ import annotations

from typing import Any, Protocol, cast, runtime_checkable

from lash.contracts import AttachmentStore, Database, SessionCatalog
from lash.values import SessionDeletion


@runtime_checkable
class Deleting(Protocol):
    """An attachment store that can let go of what nobody refers to."""

    async def delete(self, attachment_id: str) -> bool:
        """Remove an attachment; False when there is none."""
        ...


def with_attachments(database: Database, store: AttachmentStore) -> Database:
    """Return the database with another place for the bytes of its attachments."""
    # Everything else is the database's own, whatever ports it has; a checker cannot see that.
    return cast("Database", _DatabaseWithAttachments(database, store))


class _DatabaseWithAttachments:
    def __init__(self, database: Database, store: AttachmentStore) -> None:
        self._database = database
        self.attachment_store = store

    @property
    def session_catalog(self) -> SessionCatalog:
        catalog = self._database.session_catalog
        if not isinstance(self.attachment_store, Deleting):
            return catalog
        return cast("SessionCatalog", _CatalogThatDeletesBytes(catalog, self.attachment_store))

    def __getattr__(self, name: str) -> Any:  # whatever the database's own attribute is
        return getattr(self._database, name)


class _CatalogThatDeletesBytes:
    """A catalog whose deletions reach the store that the bytes are in.

    The rows go first. A crash before the bytes are gone leaves some that nobody names.
    """

    def __init__(self, catalog: SessionCatalog, store: Deleting) -> None:
        self._catalog = catalog
        self._store = store

    async def delete_session(self, session_id: str) -> SessionDeletion:
        """Remove what a session owns, and the bytes that no other session names; see `SessionCatalog`."""
        deletion = await self._catalog.delete_session(session_id)
        deleted = deletion.attachment_count
        for attachment_id in deletion.orphaned_attachment_ids:
            deleted += await self._store.delete(attachment_id)
        return deletion.replace(attachment_count=deleted)

    def __getattr__(self, name: str) -> Any:  # whatever the catalog's own attribute is
        return getattr(self._catalog, name)
