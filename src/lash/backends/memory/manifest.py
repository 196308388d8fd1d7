"""The attachment manifest, in its two declared flavours (contract 2.E)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lash.backends.memory.tables import Tables
from lash.rules.manifest import is_left_over, row_after_commit, row_after_intent
from lash.values import AttachmentIntent, AttachmentManifestEntry


class MemoryManifest:
    """Rows by (session, attachment); the `noop` flavour takes every call and keeps nothing."""

    def __init__(self, tables: Tables, flavour: Literal["persistent", "noop"]) -> None:
        self.attachment_manifest: Literal["persistent", "noop"] = flavour
        self._tables = tables

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Record that a session is about to store an attachment; see `AttachmentManifest`."""
        if self.attachment_manifest == "persistent":
            key = (intent.session_id, intent.attachment_id)
            self._tables.manifest[key] = row_after_intent(self._tables.manifest.get(key), intent)

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Stamp rows of a session as committed now; see `AttachmentManifest`."""
        if self.attachment_manifest == "persistent":
            now_ms = self._tables.clock.now_ms()
            stamp_attachments(self._tables, session_id, attachment_ids, now_ms)

    async def list_uncommitted(self, older_than_ms: int) -> list[AttachmentManifestEntry]:
        """Return rows that wait for a commit, of every session; see `AttachmentManifest`."""
        left = [row for row in self._tables.manifest.values() if is_left_over(row, older_than_ms)]
        return sorted(left, key=lambda row: (row.intent_at_ms, row.attachment_id, row.session_id))

    async def find_named(self, attachment_ids: Sequence[str]) -> list[str]:
        """Return those of the attachments that a row of any session names; see `AttachmentManifest`."""
        named = {key[1] for key in self._tables.manifest}
        return sorted(named.intersection(attachment_ids))

    async def forget(self, attachment_id: str) -> None:
        """Delete the rows of an attachment, of every session; see `AttachmentManifest`."""
        for key in [key for key in self._tables.manifest if key[1] == attachment_id]:
            del self._tables.manifest[key]


def stamp_attachments(tables: Tables, session_id: str, attachment_ids: Sequence[str], now_ms: int) -> None:
    """Mark a session's rows as committed; ids without a row of that session are ignored (2.E.2)."""
    for attachment_id in attachment_ids:
        row = tables.manifest.get((session_id, attachment_id))
        if row is not None:
            tables.manifest[session_id, attachment_id] = row_after_commit(row, now_ms)
