"""Second handles that have ports of their own."""

from __future__ import annotations

from typing import Any

from lash.backends.memory import (
    MemoryDatabase,
)
from lash.testing.conformance import KitClock

from .mutant import mutant, second_with

ATTACHMENTS = "lash.backends.memory.attachments"
ARTIFACTS = "lash.backends.memory.artifacts"
EVENTS = "lash.backends.memory.host_events"


def _own_persistence(clock: KitClock) -> Any:
    pair = second_with("effect_journal", lambda clock: MemoryDatabase(clock=clock).effect_journal)(clock)
    pair.reopen.runtime_persistence = MemoryDatabase(clock=clock).runtime_persistence
    return pair


mutant("a second handle has queues of its own", "claims_keep_the_other_handle_out", make=_own_persistence)
mutant(
    "a second handle has session leases of its own",
    "session_leases_hold_across_handles",
    make=second_with("session_leases", lambda clock: MemoryDatabase(clock=clock).session_leases),
)
mutant(
    "a second handle has turns of its own",
    "turns_are_seen_through_the_other_handle",
    make=second_with("turn_ingress", lambda clock: MemoryDatabase(clock=clock).turn_ingress),
)
mutant(
    "a second handle has effects of its own",
    "recorded_outcomes_are_seen_through_the_other_handle",
    make=second_with("effect_journal", lambda clock: MemoryDatabase(clock=clock).effect_journal),
)
