"""Wrong attachment and artifact stores."""

from __future__ import annotations

from typing import Any

import msgspec

from lash.backends.memory import (
    InMemoryAttachmentStore,
    InMemoryLashlangArtifactStore,
)
from lash.errors import LashError
from lash.values import AttachmentStorePersistence, DurabilityTier

from .mutant import answers, asked_at, mutant, second_with, value

ATTACHMENTS = "lash.backends.memory.attachments"
ARTIFACTS = "lash.backends.memory.artifacts"
EVENTS = "lash.backends.memory.host_events"

mutant(
    "an attachment loses its label",
    "attachment_put_get_round_trips_bytes_and_meta",
    (
        f"{ATTACHMENTS}:InMemoryAttachmentStore.get",
        answers(lambda stored, *_: stored.replace(meta=stored.meta.replace(label=None))),
    ),
)


def _salted(original: Any) -> Any:
    count = [0]

    def bytes_hash(data: bytes) -> str:
        count[0] += 1
        return str(original(data + b"#%d" % count[0] if data == b"\t\t\t" else data))

    return bytes_hash


mutant("equal bytes have two ids", "attachment_is_content_addressed", (f"{ATTACHMENTS}:bytes_hash", _salted))
mutant(
    "an unknown attachment has another code",
    "attachment_get_unknown_is_not_found",
    (
        f"{ATTACHMENTS}:check_attachment_id",
        lambda original: lambda attachment_id: _no_colon(original, attachment_id),
    ),
)


def _no_colon(original: Any, attachment_id: str) -> None:
    if ":" in attachment_id:
        raise LashError("invalid_argument", "that is no id")
    original(attachment_id)


mutant(
    "the attachment store says durable",
    "attachment_reports_declared_persistence",
    (f"{ATTACHMENTS}:InMemoryAttachmentStore.persistence", value(AttachmentStorePersistence.DURABLE)),
)
mutant(
    "a second handle has attachments of its own",
    "attachment_store_survives_reopen",
    make=second_with("attachment_store", lambda clock: InMemoryAttachmentStore()),
)
mutant(
    "an id is a hash of the meta too",
    "attachment_ids_are_the_hash_of_the_bytes",
    (
        f"{ATTACHMENTS}:InMemoryAttachmentStore.put",
        lambda original: lambda self, data, meta: _relabelled(original, self, data, meta),
    ),
)


async def _relabelled(original: Any, self: Any, data: bytes, meta: Any) -> Any:
    ref = await original(self, data, meta)
    if meta.media_type != "application/octet-stream":
        return ref
    other = ref.replace(id=ref.id[::-1])
    self._stored[other.id] = self._stored.pop(ref.id).replace(meta=other)
    return other


mutant(
    "no bytes are no attachment",
    "empty_and_binary_bytes_are_attachments",
    (
        f"{ATTACHMENTS}:InMemoryAttachmentStore.put",
        lambda original: lambda self, data, meta: _refuses_empty(original, self, data, meta),
    ),
)


async def _refuses_empty(original: Any, self: Any, data: bytes, meta: Any) -> Any:
    if not data:
        raise LashError("invalid_argument", "there are no bytes")
    return await original(self, data, meta)


mutant(
    "the first meta of equal bytes stays",
    "the_newest_meta_of_equal_bytes_counts",
    (
        f"{ATTACHMENTS}:InMemoryAttachmentStore.put",
        lambda original: lambda self, data, meta: _first_meta(original, self, data, meta),
    ),
)


async def _first_meta(original: Any, self: Any, data: bytes, meta: Any) -> Any:
    known = dict(self._stored)
    ref = await original(self, data, meta)
    if ref.id in known:
        self._stored[ref.id] = known[ref.id]
    return ref


mutant(
    "ids are trimmed and folded",
    "attachment_ids_are_never_paths",
    (f"{ATTACHMENTS}:InMemoryAttachmentStore.get", asked_at(1, lambda text: text.strip().lower())),
)


def _shared_buffer(original: Any) -> Any:
    async def put(self: Any, data: bytes, meta: Any) -> Any:
        import asyncio

        self.staged = data
        await asyncio.sleep(0)
        ref = await original(self, data, meta)
        self._stored[ref.id] = self._stored[ref.id].replace(data=self.staged)
        return ref

    return put


mutant(
    "writers share a staging place",
    "concurrent_puts_do_not_mix",
    (f"{ATTACHMENTS}:InMemoryAttachmentStore.put", _shared_buffer),
)

# artifacts

mutant(
    "an artifact comes back without its exports",
    "artifact_put_get_round_trips",
    (
        f"{ARTIFACTS}:InMemoryLashlangArtifactStore.get_module_artifact",
        answers(lambda found, *_: found and msgspec.structs.replace(found, exports=type(found.exports)({}))),
    ),
)
_SHARED: dict[str, bytes] = {}


def _process_wide(original: Any) -> Any:
    def init(self: Any, stored: Any = None) -> None:
        original(self, _SHARED)

    return init


mutant(
    "artifacts are shared by all stores",
    "artifact_get_unknown_is_none",
    (f"{ARTIFACTS}:InMemoryLashlangArtifactStore.__init__", _process_wide),
)
mutant(
    "the artifact store says durable",
    "artifact_reports_declared_tier",
    (f"{ARTIFACTS}:InMemoryLashlangArtifactStore.durability_tier", value(DurabilityTier.DURABLE)),
)
mutant(
    "a second handle has artifacts of its own",
    "lashlang_artifact_store_survives_reopen",
    make=second_with("artifact_store", lambda clock: InMemoryLashlangArtifactStore()),
)


def _one_artifact(original: Any) -> Any:
    async def put(self: Any, artifact: Any) -> None:
        self._stored.clear()
        await original(self, artifact)

    return put


mutant(
    "a store has room for one artifact",
    "artifacts_are_stored_once_each",
    (f"{ARTIFACTS}:InMemoryLashlangArtifactStore.put_module_artifact", _one_artifact),
)


def _unverified(original: Any) -> Any:
    def artifact_bytes(artifact: Any) -> bytes:
        try:
            return bytes(original(artifact))
        except LashError:
            return b"unverified"

    return artifact_bytes


mutant(
    "artifacts are not verified",
    "artifacts_are_verified_before_they_are_stored",
    (f"{ARTIFACTS}:artifact_bytes", _unverified),
)
