"""`S3AttachmentStore`: attachments as objects of a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lash.backends.s3.objects import library
from lash.backends.sealed_attachments import opened, reference, sealed
from lash.errors import LashError
from lash.rules.manifest import attachment_not_found, check_attachment_id
from lash.values import (
    AttachmentCreateMeta,
    AttachmentRef,
    AttachmentStorePersistence,
    StoredAttachment,
)

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SHARD_DIGITS = 2
_ATTEMPTS = 10


class S3AttachmentStore:
    """See `AttachmentStore` for the contract. Many stores, on many machines, may share a bucket.

    An object is written in one request, under the condition that it is not there yet, or still is what was
    read: of writers at the same time none undoes another's. Reading verifies what it reads.

    Args:
        place: `s3://BUCKET/PREFIX`, or an `obstore` store that was made elsewhere.
        conditional: False for a server that knows no conditional writes. Then the last writer's meta counts, as
            with the condition, but two of them at once are not told apart.
        config: What `obstore.store.S3Store` takes: `endpoint`, `region`, `access_key_id`, `secret_access_key`,
            `client_options`, …; what is not given comes from the environment (`AWS_…`).

    Raises:
        LashError: `extra_missing` without obstore; `invalid_argument` for a URL of another scheme.
    """

    persistence = AttachmentStorePersistence.DURABLE

    def __init__(self, place: str | ObjectStore, *, conditional: bool = True, **config: Any) -> None:
        # config: each server's options differ, and obstore checks them
        self._obstore = library()
        self._conditional = conditional
        if isinstance(place, str):
            if not place.startswith("s3://"):
                raise LashError("invalid_argument", f"{place!r} is no s3://BUCKET/PREFIX", place=place)
            self._objects: ObjectStore = self._obstore.store.S3Store.from_url(place, **config)
        else:
            self._objects = place
        self.place = place if isinstance(place, str) else repr(place)

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes and return their reference; equal bytes are stored once, with the newest meta.

        Raises:
            LashError: `attachment_io`, retryable unless the server refused the credentials;
                `json_not_representable` for meta that JSON cannot say.
        """
        data = bytes(data)
        ref = reference(data, meta)
        with self._reported(ref.id):
            await self._put(_key(ref.id), sealed(ref, data))
        return ref

    async def get(self, attachment_id: str) -> StoredAttachment:
        """Return stored bytes and meta.

        Raises:
            LashError: `attachment_not_found`; `stored_data_corrupt` for an object that does not hold what was
                put; `attachment_io`, also for a bucket that is not there.
        """
        check_attachment_id(attachment_id)
        with self._reported(attachment_id):
            found = await self._find(_key(attachment_id))
            if found is None:
                await self._look_at_bucket()  # a bucket that is not there is no missing attachment
                raise attachment_not_found(attachment_id)
        return opened(attachment_id, found[0], place=self.place)

    async def delete(self, attachment_id: str) -> bool:
        """Remove an attachment; False when there is none. The caller knows that nobody refers to it.

        Raises:
            LashError: `attachment_not_found` for what cannot be an id; `attachment_io`.
        """
        check_attachment_id(attachment_id)
        key = _key(attachment_id)
        with self._reported(attachment_id):
            if await self._find(key) is None:
                return False
            await self._obstore.delete_async(self._objects, key)
        return True

    async def list_ids(self) -> list[str]:
        """Return the ids of all that is stored, in order.

        Raises:
            LashError: `attachment_io`.
        """
        with self._reported():
            batches = self._obstore.list(self._objects)
            names = [entry["path"].rpartition("/")[2] async for batch in batches for entry in batch]
        return sorted(names)

    async def _put(self, key: str, stored: bytes) -> None:
        """Write an object unless it is there as it should be."""
        if not self._conditional:
            await self._obstore.put_async(self._objects, key, stored, use_multipart=False)
            return
        errors = self._obstore.exceptions
        mode: Any = "create"  # or the version that is replaced
        for _ in range(_ATTEMPTS):
            try:
                await self._obstore.put_async(self._objects, key, stored, mode=mode)
            except (errors.AlreadyExistsError, errors.PreconditionError):
                found = await self._find(key)  # somebody was faster
            else:
                return
            if found is not None and found[0] == stored:
                return
            mode = "create" if found is None else found[1]
        raise LashError(
            "attachment_io",
            f"{key} in {self.place} was changed by others {_ATTEMPTS} times while it was written; try again",
            retryable=True,
        )

    async def _find(self, key: str) -> tuple[bytes, Any] | None:
        """Return an object and the version that it is, or None."""
        try:
            found = await self._obstore.get_async(self._objects, key)
            data = bytes(await found.bytes_async())
        except (self._obstore.exceptions.NotFoundError, FileNotFoundError):
            return None
        named = {name: found.meta[name] for name in ("e_tag", "version")}
        return data, {name: value for name, value in named.items() if value is not None}

    async def _look_at_bucket(self) -> None:
        await self._obstore.list_with_delimiter_async(self._objects)

    @contextmanager
    def _reported(self, attachment_id: str | None = None) -> Iterator[None]:
        errors = self._obstore.exceptions
        try:
            yield
        except (errors.BaseError, FileNotFoundError, PermissionError) as problem:
            what = "attachments" if attachment_id is None else f"attachment {attachment_id}"
            raise LashError(
                "attachment_io",
                f"{what} in {self.place}: {str(problem).strip()[:500]}",
                retryable=not isinstance(
                    problem, (errors.PermissionDeniedError, errors.UnauthenticatedError)
                ),
                attachment_id=attachment_id,
                place=self.place,
            ) from problem


def _key(attachment_id: str) -> str:
    return f"{attachment_id[:_SHARD_DIGITS]}/{attachment_id}"
