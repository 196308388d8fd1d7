"""Recording events: the part of `emit` that has to be done before anything else may fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from lash.contracts import HostEventStore
from lash.runtime.events.sources import EventSource, source_of
from lash.runtime.services import RuntimeServices
from lash.tools import to_json
from lash.values import HostEventIngest, HostEventOccurrenceRequest

NO_SOURCES: Final[Mapping[str, EventSource]] = {}


class EventRecorder:
    """Checks events against what was declared, and records them with the deliveries that they make.

    Args:
        store: Where they are recorded.
        sources: The sources that were declared, by type.
    """

    def __init__(self, store: HostEventStore, sources: Mapping[str, EventSource] = NO_SOURCES) -> None:
        self._store = store
        self._sources = sources

    async def record(
        self, source: Any, payload: Any, *, idempotency_key: str, source_key: str | None = None
    ) -> HostEventIngest:
        """Record an event, once for each key, and reserve what it starts, in one transaction.

        Args:
            source: An `EventSource`, a stored source, or a bare type.
            payload: What happened, as JSON.
            idempotency_key: The same event again has the same key.
            source_key: The key of the source, where its value is not at hand.

        Raises:
            LashError: see `TriggerRouter.emit`.
        """
        from_ = source_of(source)
        value = to_json(payload)
        from_.check(value)
        declared = self._sources.get(from_.type)
        if declared is not None:
            declared.check(value)
        return await self._store.record_and_reserve(
            HostEventOccurrenceRequest(
                source_type=from_.type,
                source_key=source_key or from_.source.key,
                idempotency_key=idempotency_key,
                payload=value,
                source=from_.source.value,
            )
        )


def tool_emission(
    services: RuntimeServices, call_key: str
) -> Callable[[Any, Any, str | None], Awaitable[str]]:
    """Return what a tool emits events with. What they start is started by whoever looks after deliveries.

    Args:
        services: What all drivers share.
        call_key: The idempotency key of the call: run again, it emits the same events.
    """
    recorder = EventRecorder(services.database.host_event_store, services.event_sources)

    async def emit(source: Any, payload: Any, idempotency_key: str | None) -> str:
        key = idempotency_key or f"tool:{call_key}:{source_of(source).type}"
        ingest = await recorder.record(source, payload, idempotency_key=key)
        return ingest.occurrence.occurrence_id

    return emit
