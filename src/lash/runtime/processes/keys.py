"""The keys of the durable waits that belong to processes. None of them begins like the end of a process."""

from __future__ import annotations

from lash.runtime.processes.operations import Operation
from lash.values import signal_wait_key

__all__ = ["retry_wait_key", "signal_wait_key", "sleep_wait_key", "wait_key"]


def wait_key(process_id: str, name: str) -> str:
    """Return the key of `ctx.wait(name)`: what somebody outside resolves."""
    return f"wait:{process_id}:{name}"


def sleep_wait_key(operation: Operation) -> str:
    """Return the key of a timer."""
    return f"timer:{operation.replay_key}"


def retry_wait_key(process_id: str, fencing_token: int) -> str:
    """Return the key of the pause after a run that the machinery has failed."""
    return f"retry:{process_id}:{fencing_token}"
