"""What SQLite and the file system report, said in lash's terms. The only place that knows their error codes.

Every other module lets driver errors pass and translates them once, where they leave the engine.

| code              | what happened                                              | retryable |
|-------------------|------------------------------------------------------------|-----------|
| `store_full`      | no room: disk, quota, file size limit or page limit         | yes       |
| `store_busy`      | another process held the database longer than the time-out | yes       |
| `store_read_only` | the file or its directory may not be written               | no        |
| `store_corrupt`   | not a database, or a damaged one                           | no        |
| `store_foreign`   | a database that belongs to another program                 | no        |
| `schema_newer`    | a database written by a newer lash                         | no        |
| `store_io`        | the file system failed, or the file cannot be opened       | no        |
| `store_closed`    | the engine is not connected, or no longer                  | no        |
| `store_backend`   | a statement was wrong or broke a constraint: a bug of ours | no        |

`store_foreign` and `schema_newer` are decided in `migrations`, `store_closed` in `engine`.
"""

import errno

import apsw

from lash.errors import LashError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def translate(error: apsw.Error, path: str, *, system_errno: int = 0) -> LashError:
    """Return a driver error as a `LashError` that has it as its cause.

    Args:
        error: What the driver raised.
        path: The database file, which the message names.
        system_errno: What the operating system answered last on that connection; it tells a file size limit
            or a quota from a broken disk, both of which SQLite reports as an I/O error.
    """
    translated = _translate(error, path, system_errno)
    translated.__cause__ = error
    return translated


def translate_os(error: OSError, path: str) -> LashError:
    """Return an error of the file system, met beside the database, as a `LashError` that has it as its
    cause.
    """
    if error.errno in _NO_ROOM:
        translated = _full(path, str(error))
    elif error.errno in _NOT_ALLOWED:
        translated = read_only(path, str(error))
    else:
        translated = io_failure(path, str(error))
    translated.__cause__ = error
    return translated


def busy(path: str, waited_ms: int) -> LashError:
    """Return the error of a caller that waited in vain for other processes to let go of the database."""
    return LashError(
        "store_busy",
        f"another process held {path} for more than {waited_ms} ms; nothing was written, so try again, and"
        " look for a process that is stopped or for a tool that keeps a transaction open",
        retryable=True,
        path=path,
    )


def corrupt(path: str, detail: str) -> LashError:
    """Return the error of a file that cannot be read as a database."""
    return LashError(
        "store_corrupt",
        f"{path} is not a database or is damaged ({detail}); restore it from a backup, or try"
        " `sqlite3 FILE .recover`; nothing was changed",
        path=path,
        detail=detail,
    )


def _translate(error: apsw.Error, path: str, system_errno: int) -> LashError:
    detail = str(error)
    match error:
        case apsw.FullError():
            return _full(path, detail)
        case apsw.IOError() if system_errno in _NO_ROOM:
            return _full(path, detail)
        case apsw.BusyError() | apsw.LockedError():
            return LashError(
                "store_busy",
                f"{path} stayed locked by another connection ({detail}); nothing was written, so try again",
                retryable=True,
                path=path,
                detail=detail,
            )
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            return read_only(path, detail)
        case apsw.CantOpenError() if system_errno in _NOT_ALLOWED:
            return read_only(path, detail)
        case apsw.CorruptError() | apsw.NotADBError():
            return corrupt(path, detail)
        case apsw.IOError() | apsw.CantOpenError() | apsw.ProtocolError() | apsw.NoMemError():
            return io_failure(path, detail)
        case _:
            return LashError(
                "store_backend",
                f"a statement on {path} failed ({type(error).__name__}: {detail}); this is a bug in lash,"
                " please report it with this message",
                path=path,
                detail=detail,
            )


def _full(path: str, detail: str) -> LashError:
    return LashError(
        "store_full",
        f"no room is left for {path} ({detail}); nothing was written: free some space, or raise the limit,"
        " and try again",
        retryable=True,
        path=path,
        detail=detail,
    )


def read_only(path: str, detail: str) -> LashError:
    return LashError(
        "store_read_only",
        f"{path} cannot be written ({detail}); this process needs to write the file and its directory",
        path=path,
        detail=detail,
    )


def io_failure(path: str, detail: str) -> LashError:
    return LashError(
        "store_io",
        f"the file system failed for {path} ({detail}); check that the directory exists and that the disk is"
        " sound, then open the database again",
        path=path,
        detail=detail,
    )
