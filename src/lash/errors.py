"""The one error type that lash raises on purpose, and the one for its own bugs.

Every deliberate failure is a `LashError` with a stable `code` (listed in `docs/errors.md`). Callers
branch on the code, never on the text or the class. Facts are JSON values, readable as attributes, and
travel with the error through pickle, copy and the effect journal.
"""

from __future__ import annotations

from typing import Any, Self

import msgspec


class LashError(Exception):
    """A failure that lash foresaw.

    Args:
        code: Stable, lower snake case (`head_revision_conflict`); facets follow a colon.
        message: What happened, to which ids, and what to do about it.
        retryable: Whether the same call with the same input may succeed later.
        facts: JSON values that the message is made of; each is readable as an attribute.
    """

    def __init__(self, code: str, message: str = "", *, retryable: bool = False, **facts: Any) -> None:
        self.code = code
        self.message = message or code
        self.retryable = retryable
        self.facts: dict[str, Any] = facts
        super().__init__(f"{code}: {message}" if message else code)

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that are no real attribute. `facts` itself is missing while an
        # exception is being rebuilt, so it must not recurse.
        if name != "facts" and name in self.facts:
            return self.facts[name]
        raise AttributeError(f"{type(self).__name__} {self.__dict__.get('code')!r} has no fact {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.code, self.message, self.retryable, self.facts, self.__cause__))

    def record(self) -> ErrorRecord:
        """Return this error as data, for the effect journal and for reports."""
        return ErrorRecord(
            code=self.code, message=self.message, retryable=self.retryable, facts=dict(self.facts)
        )

    @classmethod
    def from_record(cls, record: ErrorRecord) -> Self:
        """Return the error that `record` was made of (its class is not kept: codes are what counts)."""
        return cls(record.code, record.message, retryable=record.retryable, **record.facts)


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A `LashError` as data."""

    code: str
    message: str = ""
    retryable: bool = False
    facts: dict[str, Any] = {}  # facts are arbitrary JSON by design


class ToolError(LashError):
    """A failure that a tool reports to the model on purpose.

    Args:
        code: Short snake-case class of the failure, chosen by the tool.
        message: What the model should read.
        retryable: Whether the tool's retry policy may run it again.
    """


class LashBug(Exception):  # not a LashError on purpose
    """An invariant of lash itself broke. Outside `LashError`, so that `except LashError` cannot hide it."""


def _rebuild(
    cls: type[LashError],
    code: str,
    message: str,
    retryable: bool,
    facts: dict[str, Any],
    cause: BaseException | None,
) -> LashError:
    error = cls(code, message if message != code else "", retryable=retryable, **facts)
    error.__cause__ = cause
    return error
