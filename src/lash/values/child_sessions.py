"""Sessions that processes have for their agents: how they are called, how deep they are, whose they count for.

The id of such a session is its parent's with a suffix, so that parents and depth follow from the id alone, in
every process and without a read. The suffix follows from the process that the session belongs to.
"""

from __future__ import annotations

import re

from lash.values.hashing import stable_hash

_SUFFIX = re.compile(r"/sub-[0-9a-f]{16}\Z")

SUBAGENT_DEPTH_MAX = 5  # runtime 4.9: no agent is further from its root


def child_session_id(parent_session_id: str, process_id: str) -> str:
    """Return the session of a process that asks an agent for a parent."""
    return f"{parent_session_id}/sub-{stable_hash(['subagent', parent_session_id, process_id])[:16]}"


def parent_session_id(session_id: str) -> str | None:
    """Return the parent of a child session; None for one that is no child."""
    match = _SUFFIX.search(session_id)
    return None if match is None else session_id[: match.start()]


def is_child_session(session_id: str) -> bool:
    """Whether a session works for another one."""
    return _SUFFIX.search(session_id) is not None


def session_ancestors(session_id: str) -> tuple[str, ...]:
    """Return the parents of a session, the nearest first; nothing for one that is no child."""
    found: list[str] = []
    parent = parent_session_id(session_id)
    while parent is not None:
        found.append(parent)
        parent = parent_session_id(parent)
    return tuple(found)


def session_depth(session_id: str) -> int:
    """Return how many agents stand above a session's: 0 for one that a user has begun."""
    return len(session_ancestors(session_id))
