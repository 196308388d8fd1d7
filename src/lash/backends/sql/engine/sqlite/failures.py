"""What SQLite and the file system report, said in lash's terms. The only place that knows their error codes.

The codes are those of `engine.failures`; `store_foreign` and `schema_newer` are decided in `migrations`,
`store_closed` in `engine`.
"""

import errno

import apsw

from lash.backends.sql.engine.failures import caused_by, store_failure, wrong_statement
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
    return caused_by(_translate(error, path, system_errno), error)


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
    return caused_by(translated, error)


def busy(path: str, waited_ms: int) -> LashError:
    """Return the error of a caller that waited in vain for other processes to let go of the database."""
    return store_failure(
        "store_busy",
        f"another process held {path} for more than {waited_ms} ms; nothing was written, so try again, and"
        " look for a process that is stopped or for a tool that keeps a transaction open",
        path=path,
    )


def corrupt(path: str, detail: str) -> LashError:
    """Return the error of a file that cannot be read as a database."""
    return store_failure(
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
            return store_failure(
                "store_busy",
                f"{path} stayed locked by another connection ({detail}); nothing was written, so try again",
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
            return wrong_statement(path, type(error).__name__, detail, path=path)


def _full(path: str, detail: str) -> LashError:
    return store_failure(
        "store_full",
        f"no room is left for {path} ({detail}); nothing was written: free some space, or raise the limit,"
        " and try again",
        path=path,
        detail=detail,
    )


def read_only(path: str, detail: str) -> LashError:
    return store_failure(
        "store_read_only",
        f"{path} cannot be written ({detail}); this process needs to write the file and its directory",
        path=path,
        detail=detail,
    )


def io_failure(path: str, detail: str) -> LashError:
    return store_failure(
        "store_io",
        f"the file system failed for {path} ({detail}); check that the directory exists and that the disk is"
        " sound, then open the database again",
        path=path,
        detail=detail,
    )
