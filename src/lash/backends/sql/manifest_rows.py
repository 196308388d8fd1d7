"""Which attachments a session is about to own, and owns, as rows (contract 2.E)."""

from __future__ import annotations

import msgspec

from lash.values import AttachmentManifestEntry


class ManifestRow(msgspec.Struct, frozen=True, gc=False):
    """A row with the session's id in place of its number."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_ms: int
    committed_at_ms: int | None

    def entry(self) -> AttachmentManifestEntry:
        """Return the row as callers see it."""
        return AttachmentManifestEntry(
            attachment_id=self.attachment_id,
            session_id=self.session_id,
            canonical_uri=self.canonical_uri,
            intent_at_ms=self.intent_at_ms,
            committed_at_ms=self.committed_at_ms,
        )


_ROW = """SELECT m.attachment_id, s.session_id, m.canonical_uri, m.intent_at_ms, m.committed_at_ms
    FROM attachment_manifest m JOIN session s USING (sid)"""

FIND_ENTRY = f"{_ROW} WHERE s.session_id = ? AND m.attachment_id = ?"
OPEN_ENTRIES = f"""{_ROW} WHERE m.committed_at_ms IS NULL AND m.intent_at_ms <= ?
    ORDER BY m.intent_at_ms, m.attachment_id, s.session_id"""
PUT_ENTRY = """INSERT INTO attachment_manifest (sid, attachment_id, canonical_uri, intent_at_ms, committed_at_ms)
    VALUES (?, ?, ?, ?, ?) ON CONFLICT (sid, attachment_id) DO UPDATE SET
    canonical_uri = excluded.canonical_uri, intent_at_ms = excluded.intent_at_ms"""
FORGET_ATTACHMENT = "DELETE FROM attachment_manifest WHERE attachment_id = ?"
FIND_NAMED = (
    "SELECT attachment_id FROM attachment_manifest WHERE attachment_id IN (SELECT value FROM json_each(?))"
)
STAMP_ATTACHMENTS = """UPDATE attachment_manifest SET committed_at_ms = ?
    WHERE sid = ? AND committed_at_ms IS NULL AND attachment_id IN (SELECT value FROM json_each(?))"""
