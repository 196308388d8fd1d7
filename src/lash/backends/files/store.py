"""`FileAttachmentStore`: attachments in a folder of the machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lash.backends.files.folder import AttachmentFolder
from lash.backends.sealed_attachments import opened, reference, sealed
from lash.rules.manifest import attachment_not_found, check_attachment_id
from lash.system import RandomIds
from lash.values import (
    AttachmentCreateMeta,
    AttachmentRef,
    AttachmentStorePersistence,
    IdSource,
    StoredAttachment,
)

T = TypeVar("T")


class FileAttachmentStore:
    """See `AttachmentStore` for the contract. Many stores, in many processes, may share a folder.

    What was put is on the disk, its name included, before `put` answers; a process that is killed, or a machine
    that loses power, leaves an attachment whole or not at all. Reading verifies what it reads.

    Args:
        folder: Where the attachments are kept; made with the first one.
        ids: Makes the names of files that are being written; random by default.
    """

    persistence = AttachmentStorePersistence.DURABLE

    def __init__(self, folder: str | os.PathLike[str], *, ids: IdSource | None = None) -> None:
        self.folder = Path(folder).absolute()
        self._files = AttachmentFolder(self.folder, ids or RandomIds())

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes and return their reference; equal bytes are stored once, with the newest meta.

        Raises:
            LashError: `attachment_io` when the file system fails, retryable when it is full;
                `json_not_representable` for meta that JSON cannot say.
        """
        data = bytes(data)
        ref = reference(data, meta)
        stored = sealed(ref, data)
        await self._in_thread(lambda: self._files.write(ref.id, stored))
        return ref

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Return stored bytes and meta.

        Raises:
            LashError: `attachment_not_found`; `stored_data_corrupt` for a file that does not hold what was put;
                `attachment_io`.
        """
        check_attachment_id(attachment_id)
        stored = await self._in_thread(lambda: self._files.read(attachment_id))
        if stored is None:
            raise attachment_not_found(attachment_id)
        return opened(attachment_id, stored, place=str(self.folder))

    async def delete(self, attachment_id: str) -> bool:
        """Remove an attachment; False when there is none. The caller knows that nobody refers to it.

        Raises:
            LashError: `attachment_not_found` for what cannot be an id; `attachment_io`.
        """
        check_attachment_id(attachment_id)
        return await self._in_thread(lambda: self._files.remove(attachment_id))

    async def list_ids(self) -> list[str]:
        """Return the ids of all that is stored, in order.

        Raises:
            LashError: `attachment_io`.
        """
        return await self._in_thread(self._files.ids)

    async def sweep(self) -> int:
        """Remove what writers that were killed left half-written, and return how many files that were.

        What a living writer is at work on is left alone, however old it is. The first `put` of a store does
        this as well.

        Raises:
            LashError: `attachment_io`.
        """
        return await self._in_thread(self._files.sweep)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)
