"""Attachments: references, stored bytes, and the write-ahead manifest (contracts 1.18, 2.E, 2.F)."""

from __future__ import annotations

from enum import StrEnum

from lash.values.record import Record

# Labels the full text of a tool result that was too long for the model: kept for people, not shown to it.
WHOLE_RESULT_LABEL = "lash:whole-tool-result"


class AttachmentStorePersistence(StrEnum):
    """Whether an attachment store keeps bytes beyond the operating-system process."""

    EPHEMERAL = "ephemeral"
    DURABLE = "durable"


class AttachmentCreateMeta(Record, frozen=True):
    """What the caller says of new bytes. `media_type` is a MIME type, `width`/`height` are pixels."""

    media_type: str
    width: int | None = None
    height: int | None = None
    label: str | None = None


class AttachmentRef(Record, frozen=True):
    """A stored attachment: `id` is the SHA-256 of its bytes, `byte_len` their number."""

    id: str
    media_type: str
    byte_len: int
    width: int | None = None
    height: int | None = None
    label: str | None = None


class StoredAttachment(Record, frozen=True):
    """Bytes as they came, with what is known of them."""

    data: bytes
    meta: AttachmentRef


class AttachmentIntent(Record, frozen=True, kw_only=True):
    """Written before the bytes: `session_id` is about to own `attachment_id`."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_ms: int


class AttachmentManifestEntry(Record, frozen=True, kw_only=True):
    """An intent, and when a commit made it permanent."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_ms: int
    committed_at_ms: int | None = None
