"""Where attachment bytes live (contract 2.F)."""

from __future__ import annotations

from typing import Protocol

from lash.values import AttachmentCreateMeta, AttachmentRef, AttachmentStorePersistence, StoredAttachment


class AttachmentStore(Protocol):
    """Content-addressed bytes: the id is the SHA-256 of the bytes, and of nothing else."""

    @property
    def persistence(self) -> AttachmentStorePersistence:
        """Whether bytes outlive the operating-system process."""
        ...

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes and return their reference. Empty bytes are legal; equal bytes are stored once.

        Contract:
            F1.1: Crash-atomic: a reader sees all of it or nothing.
            F1.2: The reference echoes the caller's meta; id and length are computed.
        """
        ...

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Return stored bytes and meta.

        Raises:
            LashError: `attachment_not_found` for unknown ids, and for anything that is not 64 lower-case
                hex digits: ids are never paths (R-44); `attachment_missing_meta`; `attachment_io`.
        """
        ...
