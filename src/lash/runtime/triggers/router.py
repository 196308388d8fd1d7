"""From an event to what it starts (runtime 5.3; contract 5, B-20).

Occurrence and deliveries are recorded in one transaction before anything is started, and what a delivery starts has
an id that follows from it: started again it is the same process or turn (R-51). So whoever is cut off between the
two, anybody may go on, and nothing is lost or done twice. A start that fails is told, and fails nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lash.agents import WORK_EVENT_TYPES
from lash.errors import LashError
from lash.runtime.events import EventRecorder, EventSource, check_against
from lash.runtime.processes import ProcessHost
from lash.runtime.services import RuntimeServices
from lash.runtime.triggers.event_turns import event_turn
from lash.values import (
    CausedByHostEvent,
    FunctionTarget,
    Json,
    LashlangProcessInput,
    ProcessHandleDescriptor,
    ProcessProvenance,
    ProcessRegistration,
    ProcessScope,
    ProcessStartGrant,
    RecoveryDisposition,
    TriggerDelivery,
    TriggerDeliveryReservation,
    TriggerDeliveryState,
    TriggerTarget,
    TurnTarget,
    materialised_inputs,
    target_work,
)

# The session is gone, so there is nobody to start it for: nothing to try again.
_TARGET_GONE: Final = frozenset({"session_deleted", "session_unknown"})
# Somebody has it already, and it has ended and was pruned since.
_STARTED: Final = frozenset({"process_no_longer_retained"})


@dataclass(frozen=True, slots=True)
class EmittedDelivery:
    """What has become of one subscription's share of an event.

    Attributes:
        subscription_id: Whose share.
        process_id: The process that it starts, or the id of the turn.
        state: `reserved` while no runtime that can start it has done so.
        reason: Why it is not started.
    """

    subscription_id: str
    process_id: str
    state: TriggerDeliveryState
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event that is recorded.

    Attributes:
        occurrence_id: Its id.
        deliveries: What it started, or will start, for each subscription.
        replayed: Whether it had been recorded before, under the same key.
    """

    occurrence_id: str
    deliveries: tuple[EmittedDelivery, ...]
    replayed: bool


class TriggerRouter:
    """Records events and starts what they trigger.

    Args:
        services: What all drivers share.
        host: Plans processes, and knows the durable functions of this runtime.
    """

    def __init__(self, services: RuntimeServices, host: ProcessHost) -> None:
        self._services = services
        self._store = services.database.host_event_store
        self._recorder = EventRecorder(self._store, services.event_sources)
        self._host = host

    async def emit(
        self,
        source: EventSource | str,
        payload: object,
        *,
        idempotency_key: str,
        source_key: str | None = None,
    ) -> Emitted:
        """Record an event and start what it triggers.

        Args:
            source: Where it comes from; a bare type is the only source of its type.
            payload: What happened, as JSON.
            idempotency_key: The same event again has the same key, and happens once.
            source_key: The key of the source, where its value is not at hand.

        Raises:
            LashError: `trigger_payload_invalid`; `host_event_invalid_request`;
                `host_event_idempotency_conflict` for a key that was used for another event.
        """
        ingest = await self._recorder.record(
            source, payload, idempotency_key=idempotency_key, source_key=source_key
        )
        deliveries = [await self._delivered(delivery) for delivery in ingest.deliveries]
        return Emitted(ingest.occurrence.occurrence_id, tuple(deliveries), ingest.replayed)

    async def deliver(self, delivery: TriggerDelivery) -> EmittedDelivery:
        """Start what a delivery asks for, unless it is settled or this runtime cannot; never raises for its failure."""
        reservation = await self._store.find_reservation(delivery.occurrence_id, delivery.subscription_id)
        if reservation is None:
            return _as_it_is(delivery)
        try:
            await self._start(reservation)
        except LashError as problem:
            if problem.retryable or problem.code == "trigger_target_not_served":
                return _as_it_is(delivery.replace(reason=f"{problem.code}: {problem.message}"))
            if problem.code not in _STARTED:
                gone = problem.code in _TARGET_GONE
                state = TriggerDeliveryState.DISCARDED if gone else TriggerDeliveryState.FAILED
                return await self._marked(delivery, state, f"{problem.code}: {problem.message}")
        return await self._marked(delivery, TriggerDeliveryState.STARTED, None)

    async def _delivered(self, delivery: TriggerDelivery) -> EmittedDelivery:
        if delivery.state is not TriggerDeliveryState.RESERVED:
            return _as_it_is(delivery)
        return await self.deliver(delivery)

    async def _marked(
        self, delivery: TriggerDelivery, state: TriggerDeliveryState, reason: str | None
    ) -> EmittedDelivery:
        try:
            marked = await self._store.mark_delivery(
                delivery.occurrence_id, delivery.subscription_id, state, reason=reason
            )
        except LashError as problem:
            if problem.code != "host_event_delivery_settled":
                raise
            found = await self._store.list_deliveries(occurrence_id=delivery.occurrence_id)
            mine = [one for one in found if one.subscription_id == delivery.subscription_id]
            return _as_it_is(mine[0])  # another one came first; the id is the same
        return _as_it_is(marked)

    async def _start(self, reservation: TriggerDeliveryReservation) -> None:
        subscription, payload = reservation.subscription, reservation.occurrence.payload
        check_against(subscription.event_ty, subscription.source_type, payload)
        match target_work(subscription.target):
            case TurnTarget() as turn:
                ingress = self._services.database.turn_ingress
                await ingress.accept_turn(event_turn(reservation, turn))
            case FunctionTarget() as function:
                await self._start_function(reservation, function)
            case TriggerTarget() as program:
                await self._start_program(reservation, program)

    async def _start_function(self, reservation: TriggerDeliveryReservation, target: FunctionTarget) -> None:
        definition = self._host.definitions.get(target.name)
        if definition is None:
            raise LashError(
                "trigger_target_not_served",
                f"no runtime that was given the process {target.name!r} has looked yet; it is started by the next "
                "one that was",
                process=target.name,
            )
        owner = ProcessScope(session_id=reservation.subscription.session_id)
        plan = self._host.starts.of_work(
            reservation.process_id,
            definition,
            (),
            self._inputs(reservation),
            agent=None,
            owner=owner,
            caused_by=_cause(reservation),
            wake_target=owner if target.wakes else None,
            label=reservation.subscription.name,
        )
        registration = (await plan.complete()).replace(wake_target=owner)
        await self._register(registration, plan.descriptor)

    async def _start_program(self, reservation: TriggerDeliveryReservation, target: TriggerTarget) -> None:
        owner = ProcessScope(session_id=reservation.subscription.session_id)
        session = await self._services.database.session_catalog.find_session(owner.session_id)
        registration = ProcessRegistration(
            id=reservation.process_id,
            input=LashlangProcessInput(
                module_ref=target.module_ref,
                process_ref=dict(target.process_ref) if isinstance(target.process_ref, dict) else {},
                required_surface_ref=target.required_surface_ref,
                process_name=target.process_name,
                args=self._inputs(reservation),
            ),
            provenance=ProcessProvenance(
                owner_scope=owner,
                host_profile_id="default" if session is None else f"agent:{session.agent}",
                caused_by=_cause(reservation),
            ),
            recovery=RecoveryDisposition.RERUNNABLE,
            wake_target=owner,
        ).with_extra_event_types(WORK_EVENT_TYPES)
        await self._register(registration, ProcessHandleDescriptor(kind="program", label=target.process_name))

    async def _register(self, registration: ProcessRegistration, descriptor: ProcessHandleDescriptor) -> None:
        grant = ProcessStartGrant(owner_scope=registration.provenance.owner_scope, descriptor=descriptor)
        await self._services.database.process_registry.register_process(registration, grants=[grant])

    def _inputs(self, reservation: TriggerDeliveryReservation) -> dict[str, Json]:
        return materialised_inputs(reservation.subscription.input_template, reservation.occurrence.payload)


def _cause(reservation: TriggerDeliveryReservation) -> CausedByHostEvent:
    return CausedByHostEvent(
        occurrence_id=reservation.occurrence.occurrence_id,
        subscription_id=reservation.subscription.subscription_id,
    )


def _as_it_is(delivery: TriggerDelivery) -> EmittedDelivery:
    return EmittedDelivery(delivery.subscription_id, delivery.process_id, delivery.state, delivery.reason)
