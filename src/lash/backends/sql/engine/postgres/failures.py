"""What PostgreSQL and the network report, said in lash's terms. The only place that knows their error codes.

Every other module lets driver errors pass and translates them once, where they leave the engine.

| code                | what happened                                                 | retryable |
|---------------------|---------------------------------------------------------------|-----------|
| `store_unavailable` | the server cannot be reached, refuses to serve, or went away  | yes       |
| `store_busy`        | a lock, a connection or a quiet moment could not be had        | yes       |
| `store_full`        | no room on the server's disk                                  | yes       |
| `store_read_only`   | the server is a standby, or this role may not write            | no        |
| `store_corrupt`     | damaged pages, or tables that are not what was migrated        | no        |
| `store_foreign`     | tables of another program                                     | no        |
| `schema_newer`      | a schema of a newer lash                                      | no        |
| `store_io`          | the server failed, or does not let this client in             | no        |
| `store_closed`      | the engine is not connected, or no longer                     | no        |
| `invalid_argument`  | an id is longer than what an index of the server holds        | no        |
| `store_backend`     | a statement was wrong or broke a constraint: a bug of ours     | no        |

`store_corrupt` for tables, `store_foreign` and `schema_newer` are decided in `migrations`, `store_closed` in
`engine`.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from lash.errors import LashError

_TRY_AGAIN = frozenset({"40001", "40P01", "23505", "0A000"})
"""Serialization failure, deadlock, a row that another transaction stored first, a plan that a migration
outdated. The script is run again from its start and sees what won."""
_AWAY = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"})
"""Shut down by an administrator, crashed, starting, timed out, or without a connection to spare."""
_BUSY = frozenset({"55P03", "57014", "40001", "40P01", "53400"})
_NOT_ALLOWED = frozenset({"25006", "42501"})
_NOT_LET_IN = frozenset({"28000", "28P01", "3D000", "08P01", "0A000"})


def is_worth_another_try(error: psycopg.Error) -> bool:
    """Whether the server undid the transaction for a reason that running it again may remove."""
    return error.sqlstate in _TRY_AGAIN


def is_loss(error: psycopg.Error) -> bool:
    """Whether the connection is gone, or about to be."""
    state = error.sqlstate
    if state is None:
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    return state.startswith("08") or state in _AWAY


def translate(error: psycopg.Error, url: str) -> LashError:
    """Return a driver error as a `LashError` that has it as its cause.

    Args:
        error: What the driver raised.
        url: The database, fit for messages.
    """
    translated = _translate(error, url)
    translated.__cause__ = error
    return translated


def unavailable(url: str, detail: str) -> LashError:
    """Return the error of a caller that could not reach the server."""
    return LashError(
        "store_unavailable",
        f"the server of {url} is away ({detail}); start it or look at the network, then try again",
        retryable=True,
        url=url,
        detail=detail,
    )


def outcome_unknown(url: str, detail: str) -> LashError:
    """Return the error of a caller whose commit was cut off, and whose outcome nobody could tell."""
    return LashError(
        "store_unavailable",
        f"the connection to {url} was lost while a transaction was being committed ({detail}), and the server"
        " could not be asked for its outcome; it was applied as a whole or not at all, so look before you do"
        " anything that must not be done twice",
        retryable=True,
        url=url,
        detail=detail,
        outcome="unknown",
    )


def busy(url: str, detail: str) -> LashError:
    """Return the error of a caller that waited in vain."""
    return LashError(
        "store_busy",
        f"{url} was too busy ({detail}); nothing was written, so try again, and look for a transaction that"
        " is kept open",
        retryable=True,
        url=url,
        detail=detail,
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
    return LashError(
        "store_backend",
        f"a statement on {url} failed ({type(error).__name__} {state}: {detail}); this is a bug in lash, please"
        " report it with this message",
        url=url,
        detail=detail,
    )


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
    return LashError(
        "store_corrupt",
        f"{url} is damaged ({detail}); restore it from a backup; nothing was changed",
        url=url,
        detail=detail,
        missing=list(missing),
        changed=list(changed),
    )


def _full(url: str, detail: str) -> LashError:
    return LashError(
        "store_full",
        f"no room is left for {url} ({detail}); nothing was written: free some space, and try again",
        retryable=True,
        url=url,
        detail=detail,
    )


def _too_long(url: str, detail: str) -> LashError:
    return LashError(
        "invalid_argument",
        f"an id or a key is too long for an index of {url} ({detail}); keep ids below 2,600 bytes here",
        url=url,
        detail=detail,
    )


def _read_only(url: str, detail: str) -> LashError:
    return LashError(
        "store_read_only",
        f"{url} cannot be written ({detail}); connect to the primary, with a role that may create and write"
        " tables in its schema",
        url=url,
        detail=detail,
    )


def _failed(url: str, detail: str) -> LashError:
    return LashError(
        "store_io",
        f"the server of {url} failed or does not let this client in ({detail}); check the URL, the role and"
        " the server's log",
        url=url,
        detail=detail,
    )
