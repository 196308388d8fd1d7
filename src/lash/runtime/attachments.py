"""Attachments of one session: the intent first, then the bytes (contract 2.E, "scoped wrapper")."""

from __future__ import annotations

from lash.contracts import AttachmentManifest, AttachmentStore
from lash.errors import LashError
from lash.values import (
    AttachmentCreateMeta,
    AttachmentIntent,
    AttachmentRef,
    AttachmentStorePersistence,
    Clock,
    StoredAttachment,
    bytes_hash,
)


class SessionAttachments:
    """Stores bytes for a session, so that a sweep can tell what nobody committed to."""

    def __init__(
        self, session_id: str, *, manifest: AttachmentManifest, store: AttachmentStore, clock: Clock
    ) -> None:
        self._session_id = session_id
        self._manifest = manifest
        self._store = store
        self._clock = clock

    @property
    def persistence(self) -> AttachmentStorePersistence:
        """Whether the bytes outlive the operating-system process."""
        return self._store.persistence

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes.

        Raises:
            LashError: `attachment_manifest_record_failed` when the intent could not be written: the bytes
                were not written either.
        """
        attachment_id = bytes_hash(data)
        try:
            await self._manifest.record_intent(
                AttachmentIntent(
                    attachment_id=attachment_id,
                    session_id=self._session_id,
                    canonical_uri=f"sha256:{attachment_id}",
                    intent_at_ms=self._clock.now_ms(),
                )
            )
        except LashError as problem:
            raise LashError(
                "attachment_manifest_record_failed",
                f"attachment {attachment_id} of session {self._session_id!r} was not stored: {problem}",
                retryable=problem.retryable,
                attachment_id=attachment_id,
            ) from problem
        return await self._store.put(data, meta)

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Return stored bytes; see `AttachmentStore.get`."""
        return await self._store.get(attachment_id)
