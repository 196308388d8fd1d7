"""Attachment bytes in memory, by the hash of their content (contract 2.F)."""

from __future__ import annotations

from lash.rules.manifest import attachment_not_found, check_attachment_id
from lash.values import (
    AttachmentCreateMeta,
    AttachmentRef,
    AttachmentStorePersistence,
    StoredAttachment,
    bytes_hash,
)


class InMemoryAttachmentStore:
    """See `AttachmentStore` for the contract. What is stored here ends with the process.

    Args:
        stored: Where to keep the attachments; a dict of its own by default.
    """

    persistence = AttachmentStorePersistence.EPHEMERAL

    def __init__(self, stored: dict[str, StoredAttachment] | None = None) -> None:
        self._stored = {} if stored is None else stored

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes and return their reference; equal bytes are stored once, with the newest meta."""
        ref = AttachmentRef(
            id=bytes_hash(data),
            media_type=meta.media_type,
            byte_len=len(data),
            width=meta.width,
            height=meta.height,
            label=meta.label,
        )
        self._stored[ref.id] = StoredAttachment(data=bytes(data), meta=ref)
        return ref

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Return stored bytes and meta."""
        check_attachment_id(attachment_id)
        stored = self._stored.get(attachment_id)
        if stored is None:
            raise attachment_not_found(attachment_id)
        return stored
