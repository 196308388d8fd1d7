"""The codes of what a store reports, and which of them may go away by themselves: one table for every engine.

| code                | what happened                                                               | retryable |
|---------------------|-----------------------------------------------------------------------------|-----------|
| `store_full`        | no room: disk, quota, file size limit or page limit                         | yes       |
| `store_busy`        | a lock, a connection or a quiet moment could not be had in time             | yes       |
| `store_unavailable` | a server cannot be reached, refuses to serve, or went away                  | yes       |
| `store_read_only`   | it may not be written: rights, or a server that is a standby                | no        |
| `store_corrupt`     | damaged, or no longer what was migrated                                     | no        |
| `store_foreign`     | it belongs to another program                                               | no        |
| `schema_newer`      | written by a newer lash                                                     | no        |
| `store_io`          | the file system or the server failed, or does not let this program in       | no        |
| `store_closed`      | the engine is not connected, or no longer                                   | no        |
| `invalid_argument`  | an id is longer than what an index of a server holds                        | no        |
| `store_backend`     | a statement was wrong or broke a constraint: a bug of ours                  | no        |

Each engine has a `failures` module that knows the error codes of its driver and says them in these; every other
module lets driver errors pass, and they are translated once, where they leave the engine.
"""

from __future__ import annotations

from typing import TypeVar

from lash.errors import LashError

_IS_RETRYABLE = {
    "store_full": True,
    "store_busy": True,
    "store_unavailable": True,
    "store_read_only": False,
    "store_corrupt": False,
    "store_foreign": False,
    "schema_newer": False,
    "store_io": False,
    "store_closed": False,
    "invalid_argument": False,
    "store_backend": False,
}
E = TypeVar("E", bound=BaseException)


def store_failure(code: str, message: str, **facts: object) -> LashError:
    """Return the error of a store.

    Args:
        code: One of the table above.
        message: What happened, to which store, and what to do.
        facts: `path` or `url`, `detail`, and whatever else a program may want to know.
    """
    return LashError(code, message, retryable=_IS_RETRYABLE[code], **facts)


def wrong_statement(place: str, kind: str, detail: str, **facts: object) -> LashError:
    """Return the error for a failure that only a bug of ours explains."""
    return store_failure(
        "store_backend",
        f"a statement on {place} failed ({kind}: {detail}); this is a bug in lash, please report it with this"
        " message",
        **facts,
        detail=detail,
    )


def caused_by(failure: LashError, error: BaseException) -> LashError:
    """Return a failure with the driver's error as its cause."""
    failure.__cause__ = error
    return failure
