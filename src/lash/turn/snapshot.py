"""A turn in flight as bytes, and back.

The version grows with every change of what is stored. Neither another version nor an unknown field is
ever read: a turn that goes on from half of its state would ask for the wrong effect.
"""

from __future__ import annotations

import msgspec

from lash.errors import LashError
from lash.turn.state import TurnState
from lash.values.record import Record

SNAPSHOT_VERSION = 1


class TurnSnapshot(Record, frozen=True, kw_only=True):
    """The stored form. `protocol` names whose memory it holds."""

    version: int
    protocol: str
    state: TurnState


class _Head(msgspec.Struct):
    """What every version of the stored form begins with."""

    version: int


_encoder = msgspec.json.Encoder()
_head_decoder = msgspec.json.Decoder(_Head)
_decoder = msgspec.json.Decoder(TurnSnapshot)


def encode_snapshot(state: TurnState, protocol: str) -> bytes:
    """Return the stored form of a turn in flight."""
    return _encoder.encode(TurnSnapshot(version=SNAPSHOT_VERSION, protocol=protocol, state=state))


def decode_snapshot(data: bytes, *, turn_id: str, protocol: str) -> TurnState:
    """Return the state that `encode_snapshot` stored.

    Args:
        data: The stored form.
        turn_id: The turn that it must be of.
        protocol: The protocol that it must belong to.

    Raises:
        LashError: `turn_snapshot_unsupported` when it is of another version, has unknown fields or is no
            snapshot at all; `turn_snapshot_mismatch` when it is of another turn or protocol.
    """
    try:
        version = _head_decoder.decode(data).version
        if version != SNAPSHOT_VERSION:
            raise LashError(
                "turn_snapshot_unsupported",
                f"the snapshot of turn {turn_id!r} has version {version}; this lash reads version"
                f" {SNAPSHOT_VERSION}. Drive the turn from its start: recorded effects are replayed.",
                turn_id=turn_id,
                version=version,
                supported=SNAPSHOT_VERSION,
            )
        snapshot = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise LashError(
            "turn_snapshot_unsupported",
            f"the snapshot of turn {turn_id!r} cannot be read: {problem}. Drive the turn from its start:"
            " recorded effects are replayed.",
            turn_id=turn_id,
        ) from problem
    found = (snapshot.state.turn_id, snapshot.protocol)
    if found != (turn_id, protocol):
        raise LashError(
            "turn_snapshot_mismatch",
            f"the snapshot is of turn {found[0]!r} under protocol {found[1]!r}, not of turn {turn_id!r}"
            f" under {protocol!r}",
            turn_id=turn_id,
            protocol=protocol,
            found_turn_id=found[0],
            found_protocol=found[1],
        )
    return snapshot.state
