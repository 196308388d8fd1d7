"""A suspended program as a line of the turn's journal.

What is kept is everything that makes going on independent of how much was done: the frame of the waiting
program, what it printed and called so far, and what the programs before it in the turn gave. The bytes are
authenticated and bound to the turn; whoever changes them is found out (`frame_key`). A frame is not written
at each wait but when the journal behind the last one has outgrown it, so all frames of a turn together are no
longer than twice its journal.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from lash.effects import decode_outcome
from lash.errors import LashError
from lash.values import (
    AwaitEventOutcome,
    EffectRecord,
    EffectScope,
    EffectState,
    ExecResponse,
    Json,
    JsonRecord,
)

_VERSION = 1
_MAC_BYTES = 32
_SLACK_BYTES = 256
_MAX_TAIL = 256  # effects behind a frame


class FinishedProgram(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What an earlier program of the turn gave."""

    effect_id: int
    response: ExecResponse


class SavedProgram(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A program that waits, and what came before it in its turn.

    Attributes:
        effect_id: The effect that it runs for.
        code_ref: Exactly which program it is.
        frame: Where it stands, as the language writes it down.
        printed: What it printed so far.
        calls: The calls that it made so far.
        attachments: What those calls stored: the turn's commit keeps it.
        finished: What the programs before it gave.
    """

    version: int = _VERSION
    effect_id: int
    code_ref: str
    frame: bytes
    printed: tuple[Json, ...] = ()
    calls: tuple[Json, ...] = ()
    attachments: tuple[str, ...] = ()
    finished: tuple[FinishedProgram, ...] = ()

    def to_text(self, key: bytes) -> str:
        """Return the authenticated form, as text."""
        data = msgspec.msgpack.encode(self)
        return base64.b64encode(data + _mac(key, data)).decode("ascii")

    @classmethod
    def from_text(cls, text: Json, key: bytes) -> SavedProgram:
        """Return what `to_text` wrote.

        Raises:
            LashError: `frame_key` when it was changed, or written with another key; `frame_version` when
                another version of lash wrote it.
        """
        try:
            whole = base64.b64decode(str(text), validate=True)
        except ValueError:
            whole = b""
        data, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, _mac(key, data)):
            raise LashError(
                "frame_key",
                "a stored program was changed, belongs to another turn, or was written under another frame_key",
            )
        saved = msgspec.msgpack.decode(data, type=cls)
        if saved.version != _VERSION:
            raise LashError(
                "frame_version",
                f"the stored program has version {saved.version}; this lash reads version {_VERSION}",
                version=saved.version,
                supported=_VERSION,
            )
        return saved


def frame_effect_id(effect_id: int, ordinal: int) -> str:
    """Return the id under which the frame of a program is recorded that waits for its n-th effect."""
    return f"{effect_id}:frame:{ordinal}"


def latest_saved(journal: Sequence[EffectRecord], key: bytes) -> tuple[SavedProgram, int] | None:
    """Return the program that was written down last, and the length of its stored form; None for none.

    Args:
        journal: What is recorded of the turn's stretch in the current frame of its session.
        key: What the stored form is authenticated with.

    Raises:
        LashError: as `SavedProgram.from_text`.
    """
    best: tuple[int, int] | None = None
    outcome: bytes | None = None
    replay_key = ""
    for record in journal:
        head, _, ordinal = record.identity.effect_id.partition(":frame:")
        if not ordinal or record.state is not EffectState.DONE or record.result is None:
            continue
        place = (int(head), int(ordinal))
        if record.result.outcome is not None and (best is None or place > best):
            best, outcome, replay_key = place, record.result.outcome, record.identity.replay_key
    if outcome is None:
        return None
    decoded = decode_outcome(outcome, replay_key)
    assert isinstance(decoded, AwaitEventOutcome), "a frame is recorded as the answer of an event"
    return SavedProgram.from_text(decoded.value, key), len(outcome)


def is_frame_due(*, frame_bytes: int | None, tail_bytes: int, tail_effects: int) -> bool:
    """Whether the journal behind the last frame has outgrown it; always where there is no frame yet."""
    if frame_bytes is None:
        return True
    return tail_bytes >= frame_bytes + _SLACK_BYTES or tail_effects >= _MAX_TAIL


def frame_key(secret: bytes, scope: EffectScope) -> bytes:
    """Return the key for the frames of a scope. Without a secret it only tells damage and mix-ups apart."""
    return blake2b(scope.key.encode(), key=secret[:64], digest_size=32, person=b"lash-frame").digest()


def _mac(key: bytes, data: bytes) -> bytes:
    return blake2b(data, digest_size=_MAC_BYTES, key=key).digest()
