"""The attachment manifest: written before the bytes, stamped by the commit (contract 2.E)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.manifest_rows import (
    FIND_ENTRY,
    FIND_NAMED,
    FORGET_ATTACHMENT,
    OPEN_ENTRIES,
    PUT_ENTRY,
    STAMP_ATTACHMENTS,
    ManifestRow,
)
from lash.backends.sql.session_rows import ensure_sid, find_session, locked_session
from lash.backends.sql.store import Store, json_list
from lash.rules.identifiers import check_session_id, check_text
from lash.rules.manifest import row_after_intent
from lash.values import AttachmentIntent, AttachmentManifestEntry


class AttachmentRows:
    """The manifest half of `RuntimePersistence`; see `AttachmentManifest` for the contract."""

    attachment_manifest: Literal["persistent", "noop"] = "persistent"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Record that a session is about to store an attachment."""
        check_session_id(intent.session_id)
        check_text(intent.attachment_id, what="attachment id")
        check_text(intent.canonical_uri, what="attachment URI")

        async def script(tx: Tx) -> None:
            sessions, entries = await tx.read(
                locked_session(intent.session_id),
                Query(ManifestRow, FIND_ENTRY, intent.session_id, intent.attachment_id),
            )
            before = entries[0].entry() if entries else None
            after = row_after_intent(before, intent)
            if after == before:
                return
            sid = await ensure_sid(tx, sessions[0] if sessions else None, intent.session_id)
            await tx.write(
                PUT_ENTRY,
                sid,
                after.attachment_id,
                after.canonical_uri,
                after.intent_at_ms,
                after.committed_at_ms,
            )

        await self._store.run(script)

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Stamp rows of a session as committed now."""
        check_session_id(session_id)
        for attachment_id in attachment_ids:
            check_text(attachment_id, what="attachment id")

        async def script(tx: Tx) -> None:
            session = await find_session(tx, session_id)
            if session is not None:
                await tx.write(STAMP_ATTACHMENTS, tx.now_ms, session.sid, json_list(attachment_ids))

        await self._store.run(script)

    async def list_uncommitted(self, older_than_ms: int) -> list[AttachmentManifestEntry]:
        """Return rows of every session that wait for a commit, oldest first."""

        async def script(tx: Tx) -> list[AttachmentManifestEntry]:
            return [row.entry() for row in await tx.fetch_all(ManifestRow, OPEN_ENTRIES, older_than_ms)]

        return await self._store.read(script)

    async def find_named(self, attachment_ids: Sequence[str]) -> list[str]:
        """Return those of the attachments that a row of any session names."""
        for attachment_id in attachment_ids:
            check_text(attachment_id, what="attachment id")

        async def script(tx: Tx) -> list[str]:
            return sorted(set(await tx.fetch_all(str, FIND_NAMED, json_list(attachment_ids))))

        return await self._store.read(script)

    async def forget(self, attachment_id: str) -> None:
        """Delete the rows of an attachment, of every session."""
        check_text(attachment_id, what="attachment id")

        async def script(tx: Tx) -> None:
            await tx.write(FORGET_ATTACHMENT, attachment_id)

        await self._store.run(script)
