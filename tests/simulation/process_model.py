"""What processes do, in a hundred lines of dicts, written from the contract and not from the rules.

The types that it knows: `line` takes integers; `wake` wakes with its own identity if the payload says
`/text`; `group` wakes under the dedupe key `/g`; `end` is terminal and completes with its payload.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

TERMINAL = {
    "process.completed": "completed",
    "process.failed": "failed",
    "process.cancelled": "cancelled",
    "end": "completed",
}
KNOWN = {"line", "wake", "group", "process.cancel_requested", *TERMINAL}


class Refused(Exception):  # it is an answer, not a fault
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Event:
    event_type: str
    payload: Any
    occurred_at_ms: int
    target: str | None = None  # of its wake
    dedupe_key: str | None = None
    batch: int | None = None
    acked: bool = False


@dataclass
class Lease:
    process_id: str
    owner: str
    fence: int
    expires_at_ms: int


@dataclass
class Process:
    events: list[Event] = field(default_factory=list)
    by_key: dict[str, int] = field(default_factory=dict)
    state: str = "running"
    output: Any = None
    external: str | None = None
    fence: int = 0
    live: Lease | None = None  # the last grant, expired or not, unless it was given back
    ended_under: int | None = None  # the fence under which it was completed


@dataclass
class Model:
    now_ms: int
    processes: dict[str, Process] = field(default_factory=dict)
    queues: dict[str, list[tuple[str, int]]] = field(default_factory=dict)  # session -> (key, batch)
    makers: dict[int, tuple[str, int]] = field(default_factory=dict)  # batch -> the event that made it

    def append(
        self, process_id: str, event_type: str, payload: Any, key: str | None, target: str | None
    ) -> int:
        """Return the sequence of the event, or raise `Refused`."""
        process = self.processes[process_id]
        if key is not None and key in process.by_key:
            sequence = process.by_key[key]
            known = process.events[sequence - 1]
            if (known.event_type, _text(known.payload)) != (event_type, _text(payload)):
                raise Refused("process_event_replay_conflict")
            return sequence
        if event_type not in KNOWN:
            raise Refused("process_event_undeclared")
        if key is None and (event_type in TERMINAL or event_type == "process.cancel_requested"):
            raise Refused("process_event_replay_required")
        if event_type == "line" and (not isinstance(payload, int) or isinstance(payload, bool)):
            raise Refused("process_event_payload_invalid")
        event = Event(event_type, payload, self.now_ms)
        self._give_meaning(process, event, f"{process_id}:{len(process.events) + 1}", target)
        process.events.append(event)
        if key is not None:
            process.by_key[key] = len(process.events)
        if event.target is not None and event.dedupe_key is not None:
            event.batch = self._enqueue(process_id, len(process.events), event)
        return len(process.events)

    def _give_meaning(self, process: Process, event: Event, identity: str, target: str | None) -> None:
        members = event.payload if isinstance(event.payload, dict) else {}
        if event.event_type == "end":
            output: Any = {"type": "success", "value": event.payload}
        elif event.event_type in TERMINAL:
            if "await_output" not in members:
                raise Refused("process_event_selector_unmatched")
            output = members["await_output"]
            kind = {"success": "completed", "failure": "failed", "cancelled": "cancelled"}[output["type"]]
            if kind != TERMINAL[event.event_type]:
                raise Refused("process_event_payload_invalid")
        else:
            output = None
        if event.event_type == "group":
            if not {"g", "text"} <= members.keys():
                raise Refused("process_event_selector_unmatched")
            event.dedupe_key = members["g"]
        if event.event_type == "wake" and "text" in members:
            event.dedupe_key = identity
        if output is not None and process.state != "running":
            raise Refused("process_already_terminal")
        if event.dedupe_key is not None:
            if target is None:
                raise Refused("process_wake_target_missing")
            event.target = target
        if output is not None:
            process.state, process.output = TERMINAL[event.event_type], output

    def _enqueue(self, process_id: str, sequence: int, event: Event) -> int:
        queue = self.queues.setdefault(event.target or "", [])
        key = f"group:{event.dedupe_key}" if event.event_type == "group" else f"{process_id}:{sequence}"
        for known, batch in queue:
            if known == key:
                return batch
        batch = len(self.makers) + 1
        self.makers[batch] = (process_id, sequence)
        queue.append((key, batch))
        return batch

    def complete(self, process_id: str, output: dict[str, Any]) -> None:
        state = {"success": "completed", "failure": "failed", "cancelled": "cancelled"}[output["type"]]
        event_type = f"process.{state}"
        self.append(
            process_id,
            event_type,
            {"await_output": output},
            f"process:{process_id}:terminal:{event_type}",
            None,
        )

    def set_external_ref(self, process_id: str, ref: str) -> None:
        process = self.processes[process_id]
        payload = {"backend": "b", "id": ref}
        process.events.append(Event("process.external_ref_set", payload, self.now_ms))
        process.external = ref

    def claim(self, process_id: str, owner: str, ttl_ms: int) -> Lease:
        process = self.processes[process_id]
        held = process.live
        if held is not None and held.expires_at_ms > self.now_ms and held.owner != owner:
            raise Refused("process_lease_held")
        process.fence += 1
        process.live = Lease(process_id, owner, process.fence, self.now_ms + ttl_ms)
        return process.live

    def renew(self, lease: Lease, ttl_ms: int) -> None:
        self._check(lease)
        lease.expires_at_ms = self.now_ms + ttl_ms

    def release(self, lease: Lease) -> None:
        process = self.processes[lease.process_id]
        if process.live is lease:
            process.live = None

    def complete_with_lease(self, lease: Lease, output: dict[str, Any]) -> None:
        process = self.processes[lease.process_id]
        if process.ended_under == lease.fence:
            self.complete(lease.process_id, output)
            return
        self._check(lease)
        self.complete(lease.process_id, output)
        process.live, process.ended_under = None, lease.fence

    def ack(self, process_id: str, sequence: int) -> None:
        events = self.processes[process_id].events
        if 0 < sequence <= len(events) and events[sequence - 1].dedupe_key is not None:
            events[sequence - 1].acked = True

    def _check(self, lease: Lease) -> None:
        if self.processes[lease.process_id].live is not lease or lease.expires_at_ms <= self.now_ms:
            raise Refused("process_lease_lost")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
