"""Bytes on their way between a tool and the attachment store."""

from __future__ import annotations

from lash.errors import ToolError


class Attachment:
    """Bytes that a tool returns, alone or anywhere inside its result.

    They are stored, and the model gets a reference. Not a dataclass on purpose: the encoder of results
    would take a dataclass apart and never see that it is an attachment.

    Args:
        data: The bytes.
        media_type: Their MIME type, such as `image/png`.
        label: A name for people and models.
    """

    __slots__ = ("data", "label", "media_type")

    def __init__(
        self, data: bytes, media_type: str = "application/octet-stream", label: str | None = None
    ) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise ToolError(
                "attachment_invalid",
                f"an Attachment holds bytes, not a {type(data).__name__}: encode it first",
            )
        self.data = bytes(data)
        self.media_type = media_type
        self.label = label

    def __repr__(self) -> str:
        return f"Attachment({len(self.data)} bytes, {self.media_type!r}, label={self.label!r})"
