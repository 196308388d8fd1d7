"""What PostgreSQL and the network report, said in lash's terms. The only place that knows their error codes.

The codes are those of `engine.failures`; `store_corrupt` for tables, `store_foreign` and `schema_newer` are
decided in `migrations`, `store_closed` in `engine`.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from lash.backends.sql.engine.failures import caused_by, store_failure, wrong_statement
from lash.errors import LashError

_TRY_AGAIN = frozenset({"40001", "40P01", "23505", "0A000"})
"""Serialization failure, deadlock, a row that another transaction stored first, a plan that a migration
outdated. The script is run again from its start and sees what won."""
_AWAY = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"})
"""Shut down by an administrator, crashed, starting, timed out, or without a connection to spare."""
_BUSY = frozenset({"55P03", "57014", "40001", "40P01", "53400"})
_NOT_ALLOWED = frozenset({"25006", "42501"})
_NOT_LET_IN = frozenset({"28000", "28P01", "3D000", "08P01", "0A000"})


_NO_SESSION = (
    "too many clients already",
    "connection slots are reserved",
    "too many connections for",
    "no more connections allowed",
)
"""What the server, or a pooler, says instead of a code when it has no session to give."""


def is_worth_another_try(error: psycopg.Error) -> bool:
    """Whether the server undid the transaction for a reason that running it again may remove."""
    return error.sqlstate in _TRY_AGAIN


def is_loss(error: psycopg.Error) -> bool:
    """Whether the connection is gone, or about to be."""
    state = error.sqlstate
    if state is None:
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    return state.startswith("08") or state in _AWAY


def is_exhaustion(error: psycopg.Error) -> bool:
    """Whether the server has no session to give, although it is there."""
    return error.sqlstate == "53300" or (
        error.sqlstate is None and any(words in str(error) for words in _NO_SESSION)
    )


def translate(error: psycopg.Error, url: str) -> LashError:
    """Return a driver error as a `LashError` that has it as its cause.

    Args:
        error: What the driver raised.
        url: The database, fit for messages.
    """
    return caused_by(_translate(error, url), error)


def unavailable(url: str, detail: str) -> LashError:
    """Return the error of a caller that could not reach the server."""
    return store_failure(
        "store_unavailable",
        f"the server of {url} is away ({detail}); start it or look at the network, then try again",
        url=url,
        detail=detail,
    )


def outcome_unknown(url: str, detail: str) -> LashError:
    """Return the error of a caller whose commit was cut off, and whose outcome nobody could tell."""
    return store_failure(
        "store_unavailable",
        f"the connection to {url} was lost while a transaction was being committed ({detail}), and the server"
        " could not be asked for its outcome; it was applied as a whole or not at all, so look before you do"
        " anything that must not be done twice",
        url=url,
        detail=detail,
        outcome="unknown",
    )


def busy(url: str, detail: str) -> LashError:
    """Return the error of a caller that waited in vain."""
    return store_failure(
        "store_busy",
        f"{url} was too busy ({detail}); nothing was written, so try again, and look for a transaction that"
        " is kept open",
        url=url,
        detail=detail,
    )


def exhausted(url: str, held: int, wanted: int, limit: int | None, waited_ms: int | None = None) -> LashError:
    """Return the error of a caller for whom the server had no session.

    Args:
        url: The database, fit for messages.
        held: How many sessions the pool has.
        wanted: How many it may have.
        limit: The server's own limit, for all its clients, if it is known.
        waited_ms: How long the caller has waited.
    """
    most = "its limit" if limit is None else f"its limit of {limit} connections (max_connections)"
    return store_failure(
        "store_busy",
        f"the server of {url} has reached {most}: this pool holds {held} of its {wanted} connections"
        + ("" if waited_ms is None else f" and none came free for {waited_ms} ms")
        + "; nothing was written: lower pool_size, close other clients, or raise max_connections",
        url=url,
        held_connections=held,
        pool_size=wanted,
        max_connections=limit,
    )


def _translate(error: psycopg.Error, url: str) -> LashError:
    state, detail = error.sqlstate or "", " ".join(str(error).split())
    if state in _BUSY:
        return busy(url, detail)
    if state == "53100":
        return _full(url, detail)
    if state == "54000":
        return _too_long(url, detail)
    if state in _NOT_ALLOWED:
        return _read_only(url, detail)
    if state.startswith("XX") and state != "XX000":
        return corrupt(url, detail)
    if state in _NOT_LET_IN or _refuses_login(error, detail):
        return _failed(url, detail)
    if is_loss(error):
        return unavailable(url, detail)
    if state.startswith(("58", "53", "XX")):
        return _failed(url, detail)
    return wrong_statement(url, f"{type(error).__name__} {state}", detail, url=url)


def _refuses_login(error: psycopg.Error, detail: str) -> bool:
    """Whether the server is there and will not let this client in: then it carries no code, only words."""
    return (
        error.sqlstate is None
        and isinstance(error, psycopg.OperationalError)
        and any(
            sign in detail for sign in ("authentication failed", "does not exist", "no pg_hba.conf entry")
        )
    )


def corrupt(url: str, detail: str, *, missing: Sequence[str] = (), changed: Sequence[str] = ()) -> LashError:
    """Return the error of a database that is not what lash made."""
    return store_failure(
        "store_corrupt",
        f"{url} is damaged ({detail}); restore it from a backup; nothing was changed",
        url=url,
        detail=detail,
        missing=list(missing),
        changed=list(changed),
    )


def _full(url: str, detail: str) -> LashError:
    return store_failure(
        "store_full",
        f"no room is left for {url} ({detail}); nothing was written: free some space, and try again",
        url=url,
        detail=detail,
    )


def _too_long(url: str, detail: str) -> LashError:
    return store_failure(
        "invalid_argument",
        f"an id or a key is too long for an index of {url} ({detail}); keep ids below 2,600 bytes here",
        url=url,
        detail=detail,
    )


def _read_only(url: str, detail: str) -> LashError:
    return store_failure(
        "store_read_only",
        f"{url} cannot be written ({detail}); connect to the primary, with a role that may create and write"
        " tables in its schema",
        url=url,
        detail=detail,
    )


def _failed(url: str, detail: str) -> LashError:
    return store_failure(
        "store_io",
        f"the server of {url} failed or does not let this client in ({detail}); check the URL, the role and"
        " the server's log",
        url=url,
        detail=detail,
    )
