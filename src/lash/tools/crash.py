"""A tool that broke: what the operator gets to see, which the model does not."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass

_log = logging.getLogger("lash.tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCrash:
    """An exception that a tool did not raise on purpose."""

    tool_name: str
    call_id: str
    attempt: int
    error: BaseException

    @property
    def traceback(self) -> str:
        """The full traceback, causes included."""
        return "".join(traceback.format_exception(self.error))


def log_crash(crash: ToolCrash) -> None:
    """Log a crash with its traceback: the default when nobody else wants to know."""
    _log.error(
        "tool %s raised %s in call %s, attempt %d",
        crash.tool_name,
        type(crash.error).__name__,
        crash.call_id,
        crash.attempt,
        exc_info=crash.error,
    )
