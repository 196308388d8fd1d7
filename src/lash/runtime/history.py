"""A session's committed history, resident: what the model is shown, and the digest that names it.

The message log only grows, so a model call can look at a prefix of it without copying. A runtime keeps the
histories of the sessions it drives and reads only what is new; nothing here is trusted before the claim has
told the revision (rule R-6).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from lash.values import (
    AttachmentPart,
    AttachmentRef,
    EventNode,
    HistoryRef,
    Message,
    ProtocolEvent,
    SessionNodePayload,
    SessionNodeRecord,
    ToolResultPart,
    canonical_json,
    plain,
)


class MessageLog(Sequence[Message]):
    """A prefix of a growing list of messages, followed by a turn's own. Shares, never copies, the prefix."""

    __slots__ = ("_length", "_log", "_own")

    def __init__(self, log: list[Message], length: int, own: Sequence[Message] = ()) -> None:
        self._log = log
        self._length = length
        self._own = own

    def __len__(self) -> int:
        return self._length + len(self._own)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | Sequence[Message]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(index)
        return self._log[at] if at < self._length else self._own[at - self._length]

    def __iter__(self) -> Iterator[Message]:
        for at in range(self._length):
            yield self._log[at]
        yield from self._own


class History:
    """What a session's current frame has of its active path.

    Args:
        frame_id: Only nodes of this frame are shown; None for the initial frame, whose nodes name none.
    """

    def __init__(self, frame_id: str | None = None) -> None:
        self.frame_id = frame_id
        self._log: list[Message] = []
        self.protocol_events: list[ProtocolEvent] = []
        self.attachments: list[AttachmentRef] = []  # what the messages refer to and a model may see
        self.leaf_node_id: str | None = None
        self.digest = ""

    @classmethod
    def of(
        cls, path: Iterable[SessionNodeRecord], digest: str | None = None, frame_id: str | None = None
    ) -> History:
        """Return the history of a path, root first; `digest` is that of the whole path, if it is known."""
        history = cls(frame_id)
        history.extend(path, digest)
        return history

    def extend(self, nodes: Iterable[SessionNodeRecord], digest: str | None = None) -> None:
        """Add the nodes that a commit put after the leaf; `digest` is that of the new path, if it is known."""
        for node in nodes:
            if digest is None:
                self.digest = rolling_digest(self.digest, node.payload)
            self.leaf_node_id = node.node_id
            if node.agent_frame_id != self.frame_id:
                continue  # behind a boundary: part of the path, and not of what is shown
            if isinstance(node.payload, EventNode) and isinstance(node.payload.event, ProtocolEvent):
                self.protocol_events.append(node.payload.event)
            if isinstance(node.payload, EventNode) and isinstance(node.payload.event, Message):
                self._log.append(node.payload.event)
                self.attachments += seen_attachments(node.payload.event)
        if digest is not None:
            self.digest = digest

    @property
    def messages(self) -> Sequence[Message]:
        """The messages as they are now; a commit that comes later does not show in it."""
        return MessageLog(self._log, len(self._log))

    def ref(self) -> HistoryRef:
        """Return how an envelope names this history."""
        view = "path" if self.frame_id is None else f"frame:{self.frame_id}"
        return HistoryRef(leaf_node_id=self.leaf_node_id, digest=self.digest, view=view)

    def continued_in(self, frame_id: str, seeds: Iterable[Message]) -> History:
        """Return the history of a frame that is opened after this one, with what it begins with."""
        history = History(frame_id)
        history.leaf_node_id, history.digest = self.leaf_node_id, self.digest
        for seed in seeds:
            history.digest = rolling_digest(history.digest, EventNode(event=seed))
            history._log.append(seed)
            history.attachments += seen_attachments(seed)
        return history

    def followed_by(self, own: Sequence[Message]) -> MessageLog:
        """Return the history as it is now with a turn's own messages after it."""
        return MessageLog(self._log, len(self._log), own)


def rolling_digest(before: str, payload: SessionNodePayload) -> str:
    """Return the digest of a path from the digest of the path before its last node."""
    content = hashlib.sha256(before.encode())
    content.update(canonical_json(plain(payload)))
    return content.hexdigest()


def seen_attachments(message: Message) -> list[AttachmentRef]:
    """Return the attachments of a message that a model may see."""
    refs: list[AttachmentRef] = []
    for part in message.parts:
        match part:
            case AttachmentPart(ref=ref):
                refs.append(ref)
            case ToolResultPart():
                refs += part.shown_attachments
            case _:
                pass
    return refs
