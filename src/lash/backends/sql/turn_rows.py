"""What is known of a turn: its batch, its stamp, its receipt."""

from __future__ import annotations

import msgspec

from lash.backends.sql.engine import Query
from lash.rules.turns import TurnRow, accepted_source_key
from lash.values import TurnReceipt, decode_record


class ReceiptRow(msgspec.Struct, frozen=True, gc=False):
    """A stamp as those see it who ask how a turn ended."""

    turn_id: str
    receipt: bytes | None

    def decoded(self) -> TurnReceipt | None:
        """Return the receipt of a driven turn.

        Raises:
            LashError: `stored_data_corrupt`.
        """
        if self.receipt is None:
            return None
        return decode_record(TurnReceipt, self.receipt, what=f"table stamp: receipt of turn {self.turn_id!r}")


_SID = "(SELECT sid FROM session WHERE session_id = ?)"

ACCEPTED_ROWS = f"""SELECT batch_id, enqueue_seq, state, turn_id, content_hash, run_turn_id, claim_owner_id,
    claim_token, claim_expires_at_ms FROM queue
    WHERE sid = {_SID} AND source_key = (SELECT ?) AND turn_id IS NOT NULL ORDER BY enqueue_seq"""  # noqa: S608
FIND_RECEIPT = f"SELECT turn_id, receipt FROM stamp WHERE sid = {_SID} AND turn_id = ?"  # noqa: S608


def accepted_rows(session_id: str, turn_id: str) -> Query[TurnRow]:
    """Return the read of every batch that was accepted under a turn id, cancelled ones included."""
    return Query(TurnRow, ACCEPTED_ROWS, session_id, accepted_source_key(turn_id))


def receipt_of(session_id: str, turn_id: str) -> Query[ReceiptRow]:
    """Return the read of a turn's stamp."""
    return Query(ReceiptRow, FIND_RECEIPT, session_id, turn_id)
