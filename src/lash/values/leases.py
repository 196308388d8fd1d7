"""The session lease: who drives a session's turns (contract 5, B-4)."""

from __future__ import annotations

from lash.values.record import Record


class SessionLease(Record, frozen=True, kw_only=True):
    """The right to drive a session until `expires_at_ms`.

    `generation` grows with every claim and is never reused; `lease_token` is a nonce of this claim.
    """

    session_id: str
    owner_id: str
    lease_token: str
    generation: int
    claimed_at_ms: int
    expires_at_ms: int
