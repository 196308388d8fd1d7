"""Attachments of a conversation, turned into what a model can read of them.

Text is written out. Images and documents go along where the model takes them; where it does not, the
model is told that there is a file which it cannot see.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from lash.providers.capabilities import ModelTraits
from lash.providers.failures import failed
from lash.providers.tool_arguments import clean_text
from lash.values import AttachmentRef

_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_DOCUMENTS = frozenset({"application/pdf"})
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "application/toml"})


@dataclass(frozen=True, slots=True)
class ShownText:
    """A file as text, or the notice that stands in for it."""

    text: str


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file as bytes. `is_image` tells pictures from documents."""

    media_type: str
    base64: str
    name: str
    is_image: bool

    @property
    def data_url(self) -> str:
        return f"data:{self.media_type};base64,{self.base64}"


Shown: TypeAlias = ShownText | ShownFile


def shown(ref: AttachmentRef, stored: Mapping[str, bytes], traits: ModelTraits) -> Shown:
    """Return what the model gets to see of an attachment.

    Raises:
        ModelCallError: `model_attachment_missing` when the request does not carry bytes that are needed.
    """
    media_type = ref.media_type.partition(";")[0].strip().lower()
    name = ref.label or f"attachment {ref.id[:12]}"
    is_image = media_type in _IMAGES
    if media_type.startswith("text/") or media_type in _TEXTS:
        text = clean_text(_bytes(ref, stored).decode("utf-8", "replace"))
        return ShownText(f"[{name}, {media_type}]\n{text}")
    if (is_image and traits.images) or (media_type in _DOCUMENTS and traits.documents):
        encoded = base64.b64encode(_bytes(ref, stored)).decode("ascii")
        return ShownFile(media_type=media_type, base64=encoded, name=name, is_image=is_image)
    return ShownText(f"[{name}: a file of type {media_type}, {ref.byte_len} bytes, which you cannot see]")


def _bytes(ref: AttachmentRef, stored: Mapping[str, bytes]) -> bytes:
    data = stored.get(ref.id)
    if data is None:
        raise failed("model_attachment_missing", f"the request does not carry the bytes of {ref.id}")
    return data
