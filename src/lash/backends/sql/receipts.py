"""How a turn ended, as its stamp keeps it: without what the stamp's columns say."""

from __future__ import annotations

import re
from typing import NamedTuple

from lash.backends.sql.session_rows import corrupt
from lash.rules.exact_json import exact_bytes
from lash.values import TurnReceipt, decode_record

_DERIVED_ID = re.compile(r"n([0-9a-f]{8})\.([0-9a-f]{3})\.([0-9a-f]{16})\Z").match
_TAIL_BYTES = 8


class StoredReceipt(NamedTuple):
    """A receipt as columns. `tails` stand for the ids of nodes that the turn made one after the other."""

    body: bytes
    tails: bytes | None


def stored_receipt(receipt: TurnReceipt) -> StoredReceipt:
    """Return a receipt without turn id, revision and, where they follow the pattern, node ids.

    Raises:
        LashError: `json_not_representable`.
    """
    tails = _tails(receipt)
    kept = receipt.replace(turn_id="", head_revision=0, node_ids=() if tails else receipt.node_ids)
    return StoredReceipt(exact_bytes(kept, what=f"receipt of turn {receipt.turn_id!r}"), tails)


def read_receipt(turn_id: str, head_revision: int, stored: StoredReceipt) -> TurnReceipt:
    """Return the receipt of a stamp.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    what = f"receipt of turn {turn_id!r}"
    receipt = decode_record(TurnReceipt, stored.body, what=f"table stamp: {what}")
    node_ids = receipt.node_ids
    if stored.tails is not None:
        if len(stored.tails) % _TAIL_BYTES:
            raise corrupt("stamp", what, "its node ids are cut")
        parts = [stored.tails[at : at + _TAIL_BYTES] for at in range(0, len(stored.tails), _TAIL_BYTES)]
        node_ids = tuple(
            f"n{head_revision - 1:08x}.{ordinal:03x}.{tail.hex()}" for ordinal, tail in enumerate(parts)
        )
    return receipt.replace(turn_id=turn_id, head_revision=head_revision, node_ids=node_ids)


def _tails(receipt: TurnReceipt) -> bytes | None:
    """Return what is not told by the place of each id, or None where an id does not follow the pattern."""
    tails = []
    for ordinal, node_id in enumerate(receipt.node_ids):
        match = _DERIVED_ID(node_id)
        if match is None or int(match[1], 16) != receipt.head_revision - 1 or int(match[2], 16) != ordinal:
            return None
        tails.append(match[3])
    return bytes.fromhex("".join(tails)) or None
