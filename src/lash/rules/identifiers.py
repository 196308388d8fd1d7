"""What an id may be: any text that every store can keep exactly as it is (contract 0.1, B-5).

Ids are opaque: no trimming, no normalisation, no limit of length. Lone surrogates are no text at all, and a
NUL ends a text early in more than one store.
"""

from __future__ import annotations

from lash.errors import LashError


def check_session_id(session_id: str) -> None:
    """Refuse what cannot be the id of a session.

    Raises:
        LashError: `invalid_argument` for a blank id, or one with a lone surrogate or a NUL.
    """
    check_text(session_id, what="session id")
    if not session_id.strip():
        raise LashError("invalid_argument", "a session id must not be blank", what="session id")


def check_text(value: str, *, what: str) -> None:
    """Refuse text that cannot be stored as it is.

    Raises:
        LashError: `invalid_argument`.
    """
    if "\0" in value:
        raise _refused(value, what, "a NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as problem:
            raise _refused(value, what, "a lone surrogate") from problem


def _refused(value: str, what: str, why: str) -> LashError:
    shown = ascii(value if len(value) <= 80 else value[:80] + "…")
    return LashError("invalid_argument", f"the {what} {shown} holds {why}; choose another one", what=what)
