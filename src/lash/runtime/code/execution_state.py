"""The variables of a session's programs as the checkpoint keeps them, one body for each agent frame."""

from __future__ import annotations

from lash.errors import LashError
from lashlang import LangError, pack_values, unpack_values


def encode_variables(variables: dict[str, object]) -> bytes:
    """Return variables as the checkpoint's execution state. Equal variables have equal bytes.

    Raises:
        LangError: `value_too_large` for what cannot be stored; the program that made it is told.
    """
    return pack_values(variables)


def decode_variables(body: bytes | None) -> dict[str, object]:
    """Return the variables in an execution state; none for a session that has none yet.

    Raises:
        LashError: `execution_state_unreadable` for bytes that another version or protocol wrote.
    """
    if not body:
        return {}
    try:
        return dict(unpack_values(body))
    except LangError as problem:
        raise LashError(
            "execution_state_unreadable",
            f"the stored variables cannot be read: {problem.message}. Open the session with the version of "
            "lash that wrote them, or begin a new one",
            reason=problem.code,
        ) from problem
