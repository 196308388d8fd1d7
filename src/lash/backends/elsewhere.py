"""A database whose attachment bytes are kept elsewhere.

The manifest, which says who owns what, stays in the database and its transactions: the intent is written before
the bytes, the commit that needs them stamps it. So a crash in between leaves bytes that nobody committed to, and
never a commit without its bytes.
"""

from __future__ import annotations

from typing import Any, Protocol, cast, runtime_checkable

from lash.contracts import AttachmentManifest, AttachmentStore, Database, SessionCatalog
from lash.errors import LashError
from lash.values import AttachmentCreateMeta, SessionDeletion


@runtime_checkable
class Deleting(AttachmentStore, Protocol):
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
        manifest = self._database.runtime_persistence()
        return cast("SessionCatalog", _CatalogThatDeletesBytes(catalog, manifest, self.attachment_store))

    def __getattr__(self, name: str) -> Any:  # whatever the database's own attribute is
        return getattr(self._database, name)


class _CatalogThatDeletesBytes:
    """A catalog whose deletions reach the store that the bytes are in.

    The rows go first. A crash before the bytes are gone leaves some that nobody names. Another session may come
    to name the same bytes meanwhile, and find them still there: so the rows are asked again once the bytes are
    gone, and bytes that somebody names by then are put back.
    """

    def __init__(self, catalog: SessionCatalog, manifest: AttachmentManifest, store: Deleting) -> None:
        self._catalog = catalog
        self._manifest = manifest
        self._store = store

    async def delete_session(self, session_id: str) -> SessionDeletion:
        """Remove what a session owns, and the bytes that no other session names; see `SessionCatalog`."""
        deletion = await self._catalog.delete_session(session_id)
        deleted = deletion.attachment_count
        for attachment_id in deletion.orphaned_attachment_ids:
            deleted += await self._delete(attachment_id)
        return deletion.replace(attachment_count=deleted)

    async def _delete(self, attachment_id: str) -> bool:
        if await self._manifest.find_named([attachment_id]):
            return False
        try:
            stored = await self._store.get(attachment_id)
        except LashError as problem:
            if problem.code != "attachment_not_found":
                raise
            return False
        await self._store.delete(attachment_id)
        if not await self._manifest.find_named([attachment_id]):
            return True
        ref = stored.meta
        meta = AttachmentCreateMeta(ref.media_type, width=ref.width, height=ref.height, label=ref.label)
        await self._store.put(stored.data, meta)
        return False

    def __getattr__(self, name: str) -> Any:  # whatever the catalog's own attribute is
        return getattr(self._catalog, name)
