"""Attachment bytes in the database, by the hash of their content (contract 2.F)."""

from __future__ import annotations

from lash.backends.sql.engine import Query, Tx
from lash.backends.sql.session_rows import BodyRow
from lash.backends.sql.store import Store
from lash.errors import LashError
from lash.rules.manifest import attachment_not_found, check_attachment_id
from lash.rules.storable import storable_bytes
from lash.values import (
    AttachmentCreateMeta,
    AttachmentRef,
    AttachmentStorePersistence,
    StoredAttachment,
    bytes_hash,
    decode_record,
)

FIND_ATTACHMENT = "SELECT 1 FROM attachment WHERE attachment_id = ?"
READ_DATA = "SELECT data FROM attachment WHERE attachment_id = ?"
READ_DESCRIPTION = "SELECT body FROM attachment_description WHERE attachment_id = ?"
ADD_ATTACHMENT = "INSERT INTO attachment (attachment_id, data) VALUES (?, ?)"
PUT_DESCRIPTION = """INSERT INTO attachment_description (attachment_id, body) VALUES (?, ?)
    ON CONFLICT (attachment_id) DO UPDATE SET body = excluded.body"""


class SqlAttachmentStore:
    """See `AttachmentStore` for the contract. Bytes and meta are stored in one transaction."""

    persistence = AttachmentStorePersistence.DURABLE

    def __init__(self, store: Store) -> None:
        self._store = store

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
        body = storable_bytes(ref, what=f"meta of attachment {ref.id}")

        async def script(tx: Tx) -> AttachmentRef:
            present, described = await tx.read(
                Query(int, FIND_ATTACHMENT, ref.id), Query(BodyRow, READ_DESCRIPTION, ref.id)
            )
            if not present:
                await tx.write(ADD_ATTACHMENT, ref.id, bytes(data))
            if [row.body for row in described] != [body]:
                await tx.write(PUT_DESCRIPTION, ref.id, body)
            return ref

        return await self._store.run(script)

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Return stored bytes and meta."""
        check_attachment_id(attachment_id)

        async def script(tx: Tx) -> StoredAttachment:
            data, described = await tx.read(
                Query(bytes, READ_DATA, attachment_id), Query(BodyRow, READ_DESCRIPTION, attachment_id)
            )
            if not data:
                raise attachment_not_found(attachment_id)
            if not described:
                raise LashError(
                    "attachment_missing_meta",
                    f"attachment {attachment_id!r} has bytes and no meta; put it again",
                    attachment_id=attachment_id,
                )
            what = f"table attachment_description: attachment {attachment_id!r}"
            return StoredAttachment(
                data=data[0], meta=decode_record(AttachmentRef, described[0].body, what=what)
            )

        return await self._store.read(script)
