"""Triggers: subscriptions, occurrences and deliveries (contract 1.19)."""

from __future__ import annotations

from enum import StrEnum

from lash.errors import LashError
from lash.values.hashing import stable_hash
from lash.values.record import Json, JsonRecord, Record


class TriggerTarget(JsonRecord, frozen=True, kw_only=True, eq=False):
    """The lashlang process that a subscription starts."""

    module_ref: str
    required_surface_ref: str
    process_ref: Json
    process_name: str


class TriggerSubscriptionDraft(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A subscription to make. `input_template` maps each parameter to the event or to a fixed value."""

    session_id: str
    source_type: str
    source_key: str
    source: Json
    event_ty: Json
    module_ref: str
    required_surface_ref: str
    process_ref: Json
    process_name: str
    input_template: dict[str, Json] = {}
    name: str | None = None


class TriggerSubscriptionRecord(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A subscription as stored."""

    subscription_id: str
    handle: str
    session_id: str
    source_type: str
    source_key: str
    source: Json
    event_ty: Json
    module_ref: str
    required_surface_ref: str
    process_ref: Json
    process_name: str
    created_at_ms: int
    updated_at_ms: int
    input_template: dict[str, Json] = {}
    name: str | None = None
    enabled: bool = True

    @property
    def target(self) -> TriggerTarget:
        return TriggerTarget(
            module_ref=self.module_ref,
            required_surface_ref=self.required_surface_ref,
            process_ref=self.process_ref,
            process_name=self.process_name,
        )


class TriggerSubscriptionFilter(JsonRecord, frozen=True, kw_only=True, eq=False):
    """A conjunction of the members that are given; an empty one matches all."""

    session_id: str | None = None
    handle: str | None = None
    name: str | None = None
    source_type: str | None = None
    source_key: str | None = None
    target: TriggerTarget | None = None
    enabled: bool | None = None

    @classmethod
    def for_session(cls, session_id: str) -> TriggerSubscriptionFilter:
        return cls(session_id=session_id)

    @classmethod
    def for_source_type(cls, source_type: str) -> TriggerSubscriptionFilter:
        return cls(source_type=source_type)

    def matches(self, record: TriggerSubscriptionRecord) -> bool:
        """Whether `record` has every given member."""
        return (
            (self.session_id is None or record.session_id == self.session_id)
            and (self.handle is None or record.handle == self.handle)
            and (self.name is None or record.name == self.name)
            and (self.source_type is None or record.source_type == self.source_type)
            and (self.source_key is None or record.source_key == self.source_key)
            and (self.target is None or record.target == self.target)
            and (self.enabled is None or record.enabled is self.enabled)
        )


class HostEventOccurrenceRequest(JsonRecord, frozen=True, kw_only=True, eq=False):
    """Something that happened. `idempotency_key` is global to the store (contract 2.G.5)."""

    source_type: str
    source_key: str
    idempotency_key: str
    payload: Json = None
    source: Json = None

    def check(self) -> None:
        """Raise `host_event_invalid_request` when a text that identifies the occurrence is blank."""
        for name in ("source_type", "source_key", "idempotency_key"):
            if not getattr(self, name).strip():
                raise LashError("host_event_invalid_request", f"{name} of an occurrence is blank", field=name)

    @property
    def occurrence_id(self) -> str:
        return f"host_event:{stable_hash([self.source_type, self.source_key, self.idempotency_key])}"

    @property
    def request_hash(self) -> str:
        """What a repeat under the same key must share; an absent source equals an explicit null."""
        return stable_hash([self.source_type, self.source_key, self.payload, self.source])


class HostEventOccurrenceRecord(JsonRecord, frozen=True, kw_only=True, eq=False):
    """An occurrence as stored."""

    occurrence_id: str
    source_type: str
    source_key: str
    idempotency_key: str
    occurred_at_ms: int
    payload: Json = None
    source: Json = None


class TriggerDeliveryReservation(Record, frozen=True, kw_only=True):
    """One subscription's share of an occurrence, handed out once."""

    occurrence: HostEventOccurrenceRecord
    subscription: TriggerSubscriptionRecord
    process_id: str


class TriggerDeliveryState(StrEnum):
    """What has become of a delivery (contract 5, B-20)."""

    RESERVED = "reserved"
    STARTED = "started"
    FAILED = "failed"
    DISCARDED = "discarded"


class TriggerDelivery(Record, frozen=True, kw_only=True):
    """A delivery as stored: its process is started once, by whoever gets to it.

    `reason` says why it failed or was discarded.
    """

    occurrence_id: str
    subscription_id: str
    process_id: str
    reserved_at_ms: int
    updated_at_ms: int
    state: TriggerDeliveryState = TriggerDeliveryState.RESERVED
    reason: str | None = None


class HostEventIngest(Record, frozen=True, kw_only=True):
    """What recording an occurrence and reserving its deliveries came to, in one transaction.

    `reservations` are the new ones; `deliveries` are all of the occurrence, those of earlier calls included.
    """

    occurrence: HostEventOccurrenceRecord
    reservations: tuple[TriggerDeliveryReservation, ...] = ()
    deliveries: tuple[TriggerDelivery, ...] = ()
    replayed: bool = False


def trigger_source_key(source_type: str, source: Json) -> str:
    """Return the key that equal sources share, whatever the order of their keys."""
    return f"source:{source_type}:sha256:{stable_hash([source_type, source])}"


def deterministic_delivery_process_id(occurrence_id: str, subscription_id: str) -> str:
    """Return the id of the process that a delivery starts: the same delivery starts one process."""
    return f"process:host-event:{stable_hash([occurrence_id, subscription_id])}"
