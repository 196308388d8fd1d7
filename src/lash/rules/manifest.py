"""The attachment manifest: rows keyed by (session, attachment), so that sessions never share one (R-43)."""

from __future__ import annotations

import re

from lash.errors import LashError
from lash.values import AttachmentIntent, AttachmentManifestEntry

_CONTENT_ID = re.compile(r"[0-9a-f]{64}\Z")


def row_after_intent(
    row: AttachmentManifestEntry | None, intent: AttachmentIntent
) -> AttachmentManifestEntry:
    """Return the row once `intent` is recorded: the newer time wins, a committed row stays (2.E.1)."""
    if row is None:
        return AttachmentManifestEntry(
            attachment_id=intent.attachment_id,
            session_id=intent.session_id,
            canonical_uri=intent.canonical_uri,
            intent_at_ms=intent.intent_at_ms,
        )
    if row.committed_at_ms is not None or row.intent_at_ms >= intent.intent_at_ms:
        return row
    return row.replace(intent_at_ms=intent.intent_at_ms)


def row_after_commit(row: AttachmentManifestEntry, now_ms: int) -> AttachmentManifestEntry:
    """Return the row once it is committed; the first commit time is kept (2.E.2)."""
    return row if row.committed_at_ms is not None else row.replace(committed_at_ms=now_ms)


def is_left_over(row: AttachmentManifestEntry, older_than_ms: int) -> bool:
    """Whether the row waits for a commit since `older_than_ms` or longer; the bound is inclusive (R-4)."""
    return row.committed_at_ms is None and row.intent_at_ms <= older_than_ms


def check_attachment_id(attachment_id: str) -> None:
    """Refuse ids that no bytes can have: ids are hashes and never paths (R-44).

    Raises:
        LashError: `attachment_not_found`.
    """
    if not _CONTENT_ID.match(attachment_id):
        raise attachment_not_found(attachment_id)


def attachment_not_found(attachment_id: str) -> LashError:
    """Return the error for bytes that are not there."""
    return LashError(
        "attachment_not_found",
        f"attachment {attachment_id!r} is not in this store",
        attachment_id=attachment_id,
    )
