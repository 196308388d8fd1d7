"""Which failures of an executor are recorded (rule R-18).

A failure of the work itself is recorded and replayed. A failure of the machinery around it is not: it says
nothing about the work, and recording it would make a shutdown or a full disk permanent.
"""

from __future__ import annotations

from lash.errors import LashError

_MACHINERY = frozenset(
    {
        "runtime_effect_local_executor_unavailable",
        "runtime_effect_local_executor_mismatch",
        "runtime_effect_sleep_cancelled",
        "runtime_effect_wrong_outcome",
        "runtime_closed",
        "process_lease_lost",
        "session_lease_lost",
        "stored_data_corrupt",
    }
)


def is_recorded(error: BaseException) -> bool:
    """Whether a failure is an outcome of the work: a final `LashError` that is not the machinery's."""
    return (
        isinstance(error, LashError)
        and not error.retryable
        and error.code not in _MACHINERY
        and not error.code.startswith(("store_", "effect_replay_"))
    )
