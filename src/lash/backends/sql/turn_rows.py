"""What is known of a turn: its batch, its stamp, its receipt."""

from __future__ import annotations

import msgspec

from lash.backends.sql.digests import unpacked_digest
from lash.backends.sql.engine import Query
from lash.backends.sql.receipts import StoredReceipt, read_receipt
from lash.rules.turns import TurnRow, accepted_source_key
from lash.values import TurnReceipt


class ReceiptRow(msgspec.Struct, frozen=True, gc=False):
    """A stamp as those see it who ask how a turn ended."""

    turn_id: str
    head_revision: int
    receipt: bytes | None
    node_tails: bytes | None

    def decoded(self) -> TurnReceipt | None:
        """Return the receipt of a driven turn.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        if self.receipt is None:
            return None
        return read_receipt(self.turn_id, self.head_revision, StoredReceipt(self.receipt, self.node_tails))


_SID = "(SELECT sid FROM session WHERE session_id = ?)"

ACCEPTED_ROWS = f"""SELECT content_hash, batch_id, enqueue_seq, state, turn_id, run_turn_id, claim_owner_id,
    claim_token, claim_expires_at_ms FROM queue
    WHERE sid = {_SID} AND source_key = ? AND turn_id IS NOT NULL ORDER BY enqueue_seq"""  # noqa: S608
FIND_RECEIPT = (
    f"SELECT turn_id, head_revision, receipt, node_tails FROM stamp WHERE sid = {_SID} AND turn_id = ?"  # noqa: S608
)
RECEIPTS_AFTER = f"""SELECT turn_id, head_revision, receipt, node_tails FROM stamp
    WHERE sid = {_SID} AND head_revision > ? AND receipt IS NOT NULL ORDER BY head_revision LIMIT ?"""  # noqa: S608


def accepted_rows(session_id: str, turn_id: str) -> Query[TurnRow]:
    """Return the read of every batch that was accepted under a turn id, cancelled ones included."""
    return Query(_turn_row, ACCEPTED_ROWS, session_id, accepted_source_key(turn_id))


def receipt_of(session_id: str, turn_id: str) -> Query[ReceiptRow]:
    """Return the read of a turn's stamp."""
    return Query(ReceiptRow, FIND_RECEIPT, session_id, turn_id)


def _turn_row(
    content_hash: bytes | None,
    batch_id: str,
    enqueue_seq: int,
    state: str,
    turn_id: str,
    run_turn_id: str | None,
    claim_owner_id: str | None,
    claim_token: str | None,
    claim_expires_at_ms: int,
) -> TurnRow:
    digest = (
        None
        if content_hash is None
        else unpacked_digest(content_hash, table="queue", what=f"batch {batch_id!r}")
    )
    return TurnRow(
        batch_id=batch_id,
        enqueue_seq=enqueue_seq,
        state=state,
        turn_id=turn_id,
        content_hash=digest,
        run_turn_id=run_turn_id,
        claim_owner_id=claim_owner_id,
        claim_token=claim_token,
        claim_expires_at_ms=claim_expires_at_ms,
    )
