"""What every driver of a runtime shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lash.contracts import Database, EffectHost
from lash.runtime.activity_bus import ActivityBus
from lash.runtime.housekeeping import DEFAULT_RETENTION_MS
from lash.values import Clock, IdSource

if TYPE_CHECKING:
    from lash.runtime.events import EventSource
    from lash.runtime.processes import ProcessHost


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeServices:
    """The parts that a turn is driven with.

    Attributes:
        database: Every durable contract.
        effect_host: Overrides how effects are run and recorded; None drives them under the session lease,
            recorded in the database.
        lease_ttl_ms: How long a driver that has died without a trace keeps its session from others.
        frame_key: The secret that suspended programs are authenticated with; empty for none.
        retention_ms: How long settled evidence is kept; None keeps it for ever.
        event_sources: The sources of events that were declared, by type: payloads are checked against them.
        processes: What tool calls start and steer processes with; None where none are run.
    """

    database: Database
    clock: Clock
    ids: IdSource
    bus: ActivityBus
    effect_host: EffectHost | None = None
    lease_ttl_ms: int = 30_000
    retention_ms: int | None = DEFAULT_RETENTION_MS
    frame_key: bytes = b""
    event_sources: Mapping[str, EventSource] = field(default_factory=dict)
    processes: ProcessHost | None = None
