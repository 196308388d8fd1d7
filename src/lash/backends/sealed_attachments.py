"""What a file or an object holds of an attachment: a line of JSON that says what it is, and the bytes.

Both lie in one place, so that bytes without meta, or the meta of others, cannot be. The line names the length
and the hash of the bytes and its own hash; reading checks all three, and what does not fit is reported, never
served.
"""

from __future__ import annotations

import msgspec

from lash.errors import LashError
from lash.rules.storable import storable_bytes
from lash.values import AttachmentCreateMeta, AttachmentRef, StoredAttachment, bytes_hash, decode_record

MAGIC = b"lash-attachment-1 "
_LINE_END = b"\n"


class Heading(msgspec.Struct, frozen=True):
    """The line in front of the bytes."""

    ref_hash: str
    ref: msgspec.Raw


def reference(data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
    """Return the reference of new bytes: id and length are computed, the rest is the caller's."""
    return AttachmentRef(
        id=bytes_hash(data),
        media_type=meta.media_type,
        byte_len=len(data),
        width=meta.width,
        height=meta.height,
        label=meta.label,
    )


def sealed(ref: AttachmentRef, data: bytes) -> bytes:
    """Return what is stored of an attachment.

    Raises:
        LashError: `json_not_representable` for meta that JSON cannot say.
    """
    body = storable_bytes(ref, what=f"meta of attachment {ref.id}")
    heading = msgspec.json.encode(Heading(ref_hash=bytes_hash(body), ref=msgspec.Raw(body)))
    return b"".join((MAGIC, heading, _LINE_END, data))


def opened(attachment_id: str, stored: bytes, *, place: str) -> StoredAttachment:
    """Return the attachment that was stored under an id.

    Raises:
        LashError: `stored_data_corrupt` when it is not whole, or not that attachment.
    """
    if not stored.startswith(MAGIC):
        raise corrupt(attachment_id, place, "it does not begin like an attachment")
    line, end, data = stored[len(MAGIC) :].partition(_LINE_END)
    if not end:
        raise corrupt(attachment_id, place, "it ends before its bytes begin")
    try:
        heading = msgspec.json.decode(line, type=Heading)
    except msgspec.DecodeError as problem:
        raise corrupt(attachment_id, place, f"its heading does not decode: {problem}") from problem
    body = bytes(heading.ref)
    if bytes_hash(body) != heading.ref_hash:
        raise corrupt(attachment_id, place, "its meta was changed")
    ref = decode_record(AttachmentRef, body, what=f"meta of attachment {attachment_id!r} in {place}")
    if ref.id != attachment_id or len(data) != ref.byte_len or bytes_hash(data) != attachment_id:
        raise corrupt(
            attachment_id, place, f"it should hold {ref.byte_len} bytes with that hash, and does not"
        )
    return StoredAttachment(data=data, meta=ref)


def corrupt(attachment_id: str, place: str, why: str) -> LashError:
    """Return the error for an attachment that is not what was stored."""
    return LashError(
        "stored_data_corrupt",
        f"attachment {attachment_id} in {place} is damaged: {why}; restore it from a copy, or put the bytes again",
        attachment_id=attachment_id,
        place=place,
    )
