"""What a program printed, as the model reads it: head and tail of a long text, the whole of it kept apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lash.errors import LashError
from lash.runtime.attachments import SessionAttachments
from lash.values import WHOLE_RESULT_LABEL, AttachmentCreateMeta, AttachmentRef, Json

PREVIEW_CHARS = 10_000
_IMAGES_MAX = 8
_MEDIA_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of one program.

    Attributes:
        shown: What the model sees, one text for each output.
        cut: For each output that was cut: `output` (its index), `chars`, `attachment` (where the whole is).
        kept: The attachments that hold the whole ones.
        images: Pictures that were printed: the model gets to see them.
    """

    shown: tuple[str, ...]
    cut: tuple[dict[str, Json], ...]
    kept: tuple[AttachmentRef, ...]
    images: tuple[AttachmentRef, ...]


async def outputs_of(printed: Sequence[Json], attachments: SessionAttachments) -> Outputs:
    """Return what is shown of everything that a program printed. Empty texts say nothing and are left out."""
    shown: list[str] = []
    cut: list[dict[str, Json]] = []
    kept: list[AttachmentRef] = []
    for value in printed:
        text = output_text(value)
        if not text:
            continue
        if len(text) > PREVIEW_CHARS:
            meta = AttachmentCreateMeta(media_type=_MEDIA_TYPE, label=WHOLE_RESULT_LABEL)
            ref = await attachments.put(text.encode(), meta)
            cut.append({"output": len(shown), "chars": len(text), "attachment": ref.id})
            kept.append(ref)
            text = preview(text)
        shown.append(text)
    return Outputs(tuple(shown), tuple(cut), tuple(kept), await _images(printed, attachments))


async def _images(printed: Sequence[Json], attachments: SessionAttachments) -> tuple[AttachmentRef, ...]:
    """Return the pictures in what was printed, as tools give them: `{ attachment: { id, media_type, … } }`."""
    found: dict[str, AttachmentRef] = {}
    for image_id in _image_ids(printed):
        if image_id in found or len(found) == _IMAGES_MAX:
            continue
        try:
            meta = (await attachments.get(image_id)).meta
        except LashError as problem:
            if problem.retryable:
                raise
            continue  # a record that only looks like one
        if meta.media_type.startswith("image/"):
            found[image_id] = meta
    return tuple(found.values())


def _image_ids(value: Json) -> Iterator[str]:
    match value:
        case {"attachment": {"id": str(image_id), "media_type": str(media_type)}} if media_type.startswith(
            "image/"
        ):
            yield image_id
        case dict():
            for item in value.values():
                yield from _image_ids(item)
        case list() | tuple():
            for item in value:
                yield from _image_ids(item)
        case _:
            return


def output_text(value: Json) -> str:
    """Return a printed value as text: a string as it is, anything else as compact JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def preview(text: str) -> str:
    """Return head and tail of a text that is too long to be shown."""
    half = (PREVIEW_CHARS - 60) // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} of {len(text):,} characters …]\n{text[-half:]}"
