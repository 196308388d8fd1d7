"""Wrong event logs and wakes."""

from __future__ import annotations

import asyncio
from typing import Any

from lash.backends.waiting import first_found
from lash.errors import LashError
from lash.rules.process_events import Append
from lash.values import wake_id

from .mutant import answers, asked_at, async_skipped, gives, mutant, skipped, value

LOG = "lash.backends.memory.process_log"
RULES = "lash.rules.process_events"
MEANING = "lash.rules.event_semantics"
SELECT = "lash.rules.selectors"

mutant(
    "a cursor includes its own event",
    "event_streams_filter_order_and_wait_without_leaking_old_events",
    (f"{LOG}:ProcessLog.events_after", asked_at(2, lambda sequence: sequence - 1)),
)
mutant(
    "a wait takes any type",
    "a_wait_takes_the_first_match_after_its_cursor",
    (f"{LOG}:ProcessLog.wait_event_after", lambda original: _waits_for_anything),
)


async def _waits_for_anything(self: Any, process_id: str, event_type: str, sequence: int) -> Any:
    async def look() -> Any:
        self._tables.processes.check_known(process_id)
        events = self._tables.processes.events(process_id, sequence)
        wanted = [one for one in events if one.event_type == event_type]
        return next((one.event() for one in [*wanted, *events]), None)

    return await first_found(self._tables.hub.subscribe, f"process:{process_id}", look)


def _serves_one(original: Any) -> Any:
    async def wait_event_after(self: Any, process_id: str, event_type: str, sequence: int) -> Any:
        waiting = self._tables.processes.__dict__.setdefault("waiting", set())
        if (process_id, event_type) in waiting:
            return await asyncio.Event().wait()
        waiting.add((process_id, event_type))
        try:
            return await original(self, process_id, event_type, sequence)
        finally:
            waiting.discard((process_id, event_type))

    return wait_event_after


mutant(
    "one of those who wait for a type is served",
    "many_waiters_are_all_woken",
    (f"{LOG}:ProcessLog.wait_event_after", _serves_one),
)


def _swallows_cancellation(original: Any) -> Any:
    async def wait_event_after(self: Any, process_id: str, event_type: str, sequence: int) -> Any:
        try:
            return await original(self, process_id, event_type, sequence)
        except asyncio.CancelledError:
            return None

    return wait_event_after


mutant(
    "a cancelled wait returns nothing",
    "a_cancelled_wait_leaves_nothing_behind",
    (f"{LOG}:ProcessLog.wait_event_after", _swallows_cancellation),
)


def _burns_sequences(original: Any) -> Any:
    def decide(self: Any, process_id: str, request: Any) -> Any:
        try:
            return original(self, process_id, request)
        except LashError as error:
            if error.code == "process_event_undeclared" and process_id in self._tables.processes.processes:
                record = self._tables.processes.record(process_id)
                self._tables.processes.put(record.replace(last_sequence=record.last_sequence + 1))
            raise

    return decide


mutant(
    "a refused append uses a sequence",
    "sequences_have_no_gaps_under_concurrent_appends",
    (f"{LOG}:ProcessLog._decide", _burns_sequences),
)
mutant(
    "a replay key is one for all processes",
    "sequences_belong_to_their_process",
    (f"{LOG}:ProcessLog._decide", lambda original: _shared_keys(original)),
)


def _shared_keys(original: Any) -> Any:
    def decide(self: Any, process_id: str, request: Any) -> Any:
        table, key = self._tables.processes, request.replay_key
        if key is not None and table.under_key(process_id, key) is None:
            for (other, other_key), sequence in list(table._by_key.items()):
                if other_key == key and other != process_id:
                    known = table.event_at(other, sequence)
                    return Append(result=known.result(), record=table.record(process_id), is_new=False)
        return original(self, process_id, request)

    return decide


def _dedupes_by_content(original: Any) -> Any:
    def decide(self: Any, process_id: str, request: Any) -> Any:
        if request.replay_key is None:
            for stored in self._tables.processes.events(process_id):
                event = stored.event()
                if event.event_type == request.event_type and event.payload == request.payload:
                    record = self._tables.processes.record(process_id)
                    return Append(result=stored.result(), record=record, is_new=False)
        return original(self, process_id, request)

    return decide


mutant(
    "equal events without a key are one",
    "equal_appends_without_a_key_are_two_events",
    (f"{LOG}:ProcessLog._decide", _dedupes_by_content),
)
mutant(
    "a key answers whatever the payload",
    "keyed_events_materialize_idempotent_wakes",
    (f"{RULES}:check_same_event", skipped),
)


def _python_payloads(original: Any) -> Any:
    def check(event: Any, request: Any) -> None:
        if (event.event_type, event.payload) != (request.event_type, request.payload):
            original(event, request)

    return check


mutant(
    "payloads compare as Python values",
    "a_key_stands_for_one_payload",
    (f"{RULES}:check_same_event", _python_payloads),
)


def _checks_the_end_first(original: Any) -> Any:
    def decide(record: Any, request: Any, recorded: Any, now_ms: int) -> Any:
        if recorded is not None and record.is_terminal and request.event_type == "note":
            raise LashError("process_already_terminal", "it is over")
        return original(record, request, recorded, now_ms)

    return decide


mutant(
    "a replay after the end is refused",
    "a_replay_is_answered_before_anything_is_checked",
    (f"{LOG}:decide_append", _checks_the_end_first),
)
mutant(
    "payloads are not checked",
    "refused_appends_use_no_sequence",
    (f"{RULES}:check_payload", skipped),
)


def _keyless_cancel(original: Any) -> Any:
    def decide(record: Any, request: Any, recorded: Any, now_ms: int) -> Any:
        if request.event_type == "process.cancel_requested" and not request.replay_key:
            request = request.replace(replay_key=f"made-up:{record.last_sequence}")
        return original(record, request, recorded, now_ms)

    return decide


mutant(
    "a cancel request needs no key",
    "terminal_and_cancel_events_require_keys",
    (f"{LOG}:decide_append", _keyless_cancel),
)


def _undeclared_is_invalid(original: Any) -> Any:
    def declared(record: Any, name: str) -> Any:
        try:
            return original(record, name)
        except LashError as error:
            raise LashError("process_event_payload_invalid", error.message) from error

    return declared


mutant(
    "an undeclared type has the code of a bad payload",
    "refused_appends_use_no_sequence",
    (f"{RULES}:_declared", _undeclared_is_invalid),
)


def _quiet_after_the_end(original: Any) -> Any:
    def decide(record: Any, request: Any, recorded: Any, now_ms: int) -> Any:
        if record.is_terminal and recorded is None:
            raise LashError("process_already_terminal", "it is over")
        return original(record, request, recorded, now_ms)

    return decide


mutant(
    "an ended process takes no events",
    "ended_processes_take_notes_but_no_second_end",
    (f"{LOG}:decide_append", _quiet_after_the_end),
)


def _one_request(original: Any) -> Any:
    def decide(self: Any, process_id: str, request: Any) -> Any:
        if request.event_type == "process.cancel_requested" and request.replay_key:
            known = [
                e for e in self._tables.processes.events(process_id) if e.event_type == request.event_type
            ]
            if known:
                record = self._tables.processes.record(process_id)
                return Append(result=known[0].result(), record=record, is_new=False)
        return original(self, process_id, request)

    return decide


mutant(
    "one cancel request a process",
    "cancel_requests_are_keyed_by_their_reason",
    (f"{LOG}:ProcessLog._decide", _one_request),
)


def _without_cause(event: Any, *_: Any) -> Any:
    return event.replace(invocation=event.invocation.replace(caused_by=None))


mutant(
    "an event does not know its process as its cause",
    "custom_wake_events_preserve_typed_provenance_and_replay",
    (f"{RULES}:_event", gives(_without_cause)),
)
mutant(
    "a wake's id is made of its event",
    "wake_ids_are_what_they_are_everywhere",
    (
        f"{RULES}:_delivery",
        gives(lambda made, *_: made.replace(wake_id=wake_id(made.target_session_id, made.dedupe_key))),
    ),
)
mutant(
    "a wake without a target goes to the owner",
    "wake_semantic_events_without_target_fail_without_persisting",
    (
        f"{RULES}:_wake_target",
        lambda original: lambda record, request: original(record, request) or record.provenance.owner_scope,
    ),
)


def _takes_new_target(original: Any) -> Any:
    def decide(record: Any, request: Any, recorded: Any, now_ms: int) -> Any:
        append = original(record, request, recorded, now_ms)
        delivery, target = append.result.wake_delivery, request.wake_target_scope
        if append.is_new or delivery is None or target is None:
            return append
        moved = delivery.replace(target_session_id=target.session_id, target_scope_id=target.id)
        return type(append)(
            result=append.result.replace(wake_delivery=moved), record=append.record, is_new=False
        )

    return decide


mutant(
    "a replay names the target anew",
    "a_replay_keeps_the_target_of_the_first_append",
    (f"{LOG}:decide_append", _takes_new_target),
)


def _acks_ahead(original: Any) -> Any:
    async def ack_wake(self: Any, process_id: str, sequence: int) -> None:
        self.__dict__.setdefault("acked", set()).add((process_id, sequence))
        await original(self, process_id, sequence)

    return ack_wake


def _hides_acked(original: Any) -> Any:
    async def wake_events_after(self: Any, process_id: str, sequence: int) -> Any:
        acked = self.__dict__.get("acked", set())
        found = await original(self, process_id, sequence)
        return [event for event in found if (process_id, event.sequence) not in acked]

    return wake_events_after


mutant(
    "an acknowledgement hides wakes to come",
    "acknowledging_what_is_no_wake_has_no_effect",
    (f"{LOG}:ProcessLog.ack_wake", _acks_ahead),
    (f"{LOG}:ProcessLog.wake_events_after", _hides_acked),
)
mutant(
    "an acknowledgement changes nothing",
    "validates_custom_events_and_materializes_wakes",
    (f"{LOG}:ProcessLog.ack_wake", async_skipped),
)
mutant(
    "an acknowledgement hides every wake",
    "acknowledging_hides_one_wake_and_no_event",
    (
        f"{LOG}:ProcessLog.wake_events_after",
        answers(
            lambda found, self, process_id, *_: (
                [] if any(stored.is_acked for stored in self._tables.processes.events(process_id)) else found
            )
        ),
    ),
)
mutant(
    "a replayed delivery is made now",
    "a_delivery_carries_the_time_of_its_event",
    (f"{LOG}:decide_append", lambda original: _made_now(original)),
)


def _made_now(original: Any) -> Any:
    def decide(record: Any, request: Any, recorded: Any, now_ms: int) -> Any:
        append = original(record, request, recorded, now_ms)
        delivery = append.result.wake_delivery
        if delivery is None:
            return append
        return type(append)(
            result=append.result.replace(wake_delivery=delivery.replace(created_at_ms=now_ms)),
            record=append.record,
            is_new=append.is_new,
        )

    return decide


mutant(
    "a constant condition always holds",
    "wake_semantics_matrix_materializes_declared_wakes",
    (f"{MEANING}:_wake", lambda original: _const_holds(original)),
)


def _const_holds(original: Any) -> Any:
    from lash.values import SelectConst

    def wake(spec: Any, payload: Any, identity: str) -> Any:
        constant = isinstance(spec.when, SelectConst)
        return original(spec.replace(when=None) if constant else spec, payload, identity)

    return wake


def _field_by_field(original: Any) -> Any:
    def substituted(template: str, texts: dict[str, str]) -> str:
        for place, text in sorted(texts.items()):
            template = template.replace(place, text)
        return template

    return substituted


mutant(
    "templates are replaced field by field",
    "templates_are_replaced_in_one_pass",
    (f"{SELECT}:_substituted", _field_by_field),
)
mutant(
    "values render as Python does",
    "values_render_as_canonical_text",
    (f"{MEANING}:render", lambda original: lambda found: found if isinstance(found, str) else str(found)),
)
mutant("zero is false", "zero_is_true_and_empty_things_are_false", (f"{MEANING}:is_truthy", value(bool)))


mutant(
    "a pointer is unescaped before it is split",
    "pointers_follow_their_standard",
    (
        f"{SELECT}:_resolve",
        lambda original: lambda payload, pointer: original(payload, pointer.replace("~1", "/")),
    ),
)


def _null_is_absent(original: Any) -> Any:
    from lash.values import SelectPresent

    def select(selector: Any, payload: Any) -> Any:
        if isinstance(selector, SelectPresent) and isinstance(payload, dict):
            return payload.get(selector.pointer[1:]) is not None
        return original(selector, payload)

    return select


mutant("a present null is absent", "a_present_null_is_present", (f"{MEANING}:select", _null_is_absent))


def _burnt_keys(original: Any) -> Any:
    def decide(self: Any, process_id: str, request: Any) -> Any:
        burnt = self._tables.processes.__dict__.setdefault("burnt", set())
        if request.replay_key and (process_id, request.replay_key) in burnt:
            raise LashError("process_event_replay_conflict", "the key was used")
        try:
            return original(self, process_id, request)
        except LashError as error:
            if error.code == "process_wake_target_missing":
                burnt.add((process_id, request.replay_key))
            raise

    return decide


mutant(
    "a refused append burns its key",
    "a_refused_append_does_not_burn_its_key",
    (f"{LOG}:ProcessLog._decide", _burnt_keys),
)
