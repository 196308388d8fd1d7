"""From a site and its evaluated arguments to an effect, and from outcomes back to a value of the program.

Both directions are functions of (site, arguments, ordinal) alone, which is why a frame need not hold the effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from lashlang.machine import ir
from lashlang.machine.access import unwrap
from lashlang.machine.border import Crossing, from_host, to_host
from lashlang.machine.durations import deadline_ms, duration_ms
from lashlang.machine.effects import Effect, Failed, Outcome
from lashlang.machine.fault import Fault, type_error, value_error
from lashlang.machine.meter import Meter
from lashlang.machine.sizes import ENTRY_COST, RECORD_COST, container_bytes
from lashlang.machine.values import MAX_DEPTH, Resource, Value, kind

_PREFIX: Final = {
    "start": "process start failed",
    "cancel": "cancel failed",
    "sleep": "sleep failed",
    "wait_signal": "wait signal failed",
    "signal_run": "signal run failed",
    "event": "the event was not recorded",
}
_MEMBER_BYTES: Final = RECORD_COST + 3 * ENTRY_COST
"""What one request of a join takes, beside its payload."""
_NULL: Final = frozenset({"cancel", "sleep", "signal_run", "event"})


class Requests:
    """Makes the effects of one run and settles them."""

    __slots__ = ("_meter", "_run_id")

    def __init__(self, meter: Meter, run_id: str) -> None:
        self._meter = meter
        self._run_id = run_id

    def effect(self, site: ir.Site, args: tuple[Value, ...], ordinal: int) -> Effect | None:
        """The effect that `site` asks for; None for an `await` of something that holds no handle."""
        h, kind_ = self._meter, site.kind
        if kind_ == "operation":
            receiver = site.receiver
            own = args if receiver is not None else args[1:]
            to = receiver if receiver is not None else args[0]
            return self._operation(site, site.name, to, own, ordinal, site.host_operation)
        if kind_ == "await" and not _waits(args[0]):
            return self._joined(site, [args[0]], args, ordinal)
        if kind_ == "join":
            return self._joined(site, site.shape, args, ordinal)
        payload: Value
        if kind_ == "start":
            crossing = Crossing(h) if len(args) > 1 else None
            payload = {key: to_host(h, value, crossing) for key, value in zip(site.keys, args, strict=True)}
        elif kind_ == "sleep":
            payload = duration_ms(args[0]) if site.name == "for" else deadline_ms(args[0])
        elif kind_ == "signal_run":
            crossing = Crossing(h)
            payload = {"run": to_host(h, args[0], crossing), "payload": to_host(h, args[1], crossing)}
        else:
            payload = to_host(h, args[0]) if args else None
        return Effect(kind_, site.name, payload, ordinal, site.id, self._run_id)

    def settle(
        self, site: ir.Site, args: tuple[Value, ...], effect: Effect, outcomes: tuple[Outcome, ...]
    ) -> Value:
        """The value of `site`, given the outcome of its effect (of each member, for a join).

        Raises:
            Fault: `value_error` when it failed and that aborts the program.
        """
        if effect.kind == "join":
            shape = [args[0]] if site.kind == "await" else site.shape
            values = self._assemble(site, shape, args, iter(zip(effect.members, outcomes, strict=True)))
            if site.kind == "await":
                return unwrap(self._meter, values[0]) if site.fused else values[0]
            return values
        outcome = outcomes[0]
        if site.kind in ("operation", "await"):
            what = "module operation" if site.kind == "operation" else "tool result"
            return self.wrapped(outcome, what, fused=site.fused)
        if type(outcome) is Failed:
            raise value_error(f"{_PREFIX[site.kind]}: {self._told(outcome)}")
        return None if site.kind in _NULL else from_host(self._meter, outcome.value)  # type: ignore[union-attr]  # not Failed

    def without_effect(self, site: ir.Site, args: tuple[Value, ...]) -> Value:
        """The value of an `await` that had nothing to wait for."""
        values = self._assemble(site, [args[0]], args, iter(()))
        return unwrap(self._meter, values[0]) if site.fused else values[0]

    def wrapped(self, outcome: Outcome, what: str, *, fused: bool, crossing: Crossing | None = None) -> Value:
        """The value of one operation or awaited handle: a wrapper, or what is in it when `?` is fused to it.

        Raises:
            Fault: `value_error` when it failed and is fused, `invalid_host_value` likewise.
        """
        if type(outcome) is Failed:
            text = self._told(outcome, crossing)
            if fused:
                raise value_error(f"`?` unwrapped failed {what}: {text}")
            return {"ok": False, "error": text}
        try:
            value = from_host(self._meter, outcome.value, crossing)  # type: ignore[union-attr]  # not Failed
        except Fault as fault:
            if fused or fault.code != "invalid_host_value":
                raise
            return {"ok": False, "error": fault.message}
        return value if fused else {"ok": True, "value": value}

    def _told(self, outcome: Failed, crossing: Crossing | None = None) -> str:
        """The text of a failure, checked like any host value."""
        try:
            text = from_host(self._meter, outcome.error, crossing)
        except Fault as fault:
            return fault.message
        return text if type(text) is str else "the host failed without a text"

    def _operation(
        self,
        site: ir.Site,
        name: str,
        receiver: Value,
        args: tuple[Value, ...],
        ordinal: int,
        host_operation: str | None,
        index: int = -1,
        crossing: Crossing | None = None,
    ) -> Effect:
        if type(receiver) is not Resource:
            raise type_error(f"`.{name}(…)` needs a module authority, got {kind(receiver)}")
        h = self._meter
        if len(args) == 1 and type(args[0]) is dict:
            payload = to_host(h, args[0], crossing)
        else:
            crossing = crossing or Crossing(h)
            payload = {"args": [to_host(h, arg, crossing) for arg in args]}
        return Effect(
            "operation", name, payload, ordinal, site.id, self._run_id,
            host_operation, receiver.type_name, receiver.alias, index,
        )  # fmt: skip

    # --- aggregate await ---

    def _joined(self, site: ir.Site, shape: object, args: tuple[Value, ...], ordinal: int) -> Effect | None:
        members: list[Effect] = []
        crossing = Crossing(self._meter)

        def add(leaf: object) -> None:
            index = len(members)
            crossing.spend(_MEMBER_BYTES)
            if type(leaf) is ir.Member:
                own = tuple(args[number] for number in leaf.args)
                to = args[leaf.receiver] if type(leaf.receiver) is int else leaf.receiver
                members.append(
                    self._operation(
                        site, leaf.operation, to, own, ordinal, leaf.host_operation, index, crossing
                    )
                )
            else:
                payload = to_host(self._meter, leaf, crossing)
                members.append(Effect("await", "", payload, ordinal, site.id, self._run_id, index=index))

        for leaf in self._leaves(shape, args, crossing, static=site.kind == "join"):
            add(leaf)
        crossing.charge(self._meter)
        if not members:
            return None
        return Effect("join", "", None, ordinal, site.id, self._run_id, members=tuple(members))

    def _leaves(
        self, node: object, args: tuple[Value, ...], crossing: Crossing, *, static: bool, depth: int = 0
    ) -> Iterator[object]:
        """What has to be waited for inside a shape (`static`) or a value, in order.

        The structure is rebuilt as a tree when all is there, so it is charged as one: by part, and by its bytes.
        """
        if static and type(node) is int:
            yield from self._leaves(args[node], args, crossing, static=False, depth=depth)
        elif type(node) is ir.Member or is_handle(node):
            yield node
        elif type(node) is list or type(node) is dict:
            if depth >= MAX_DEPTH:
                raise value_error(f"`await`: the value is nested deeper than {MAX_DEPTH} levels")
            self._meter.work(1 + len(node))
            crossing.part(len(node), container_bytes(node))
            for item in node.values() if type(node) is dict else node:
                yield from self._leaves(item, args, crossing, static=static, depth=depth + 1)

    def _assemble(
        self,
        site: ir.Site,
        shape: object,
        args: tuple[Value, ...],
        settled: Iterator[tuple[Effect, Outcome]],
    ) -> Value:
        """The structure that was awaited, its leaves replaced; the first failure in source order aborts."""
        faults: list[Fault] = []
        crossing = Crossing(self._meter)

        def leaf(node: object) -> Value:
            _, outcome = next(settled)
            fused = type(node) is ir.Member and node.fused
            try:
                return self.wrapped(outcome, "module operation", fused=fused, crossing=crossing)
            except Fault as fault:
                faults.append(fault)
                return None

        value = _rebuild(shape, args, leaf, static=site.kind == "join", depth=0)
        if faults:
            raise faults[0]
        return value


def _waits(value: Value) -> bool:
    """Whether awaiting `value` asks the host about `value` itself: a handle, or anything but a list or record."""
    return type(value) is not list and (type(value) is not dict or is_handle(value))


def is_handle(value: Value) -> bool:
    """Whether a record counts as a handle for `await` (lashlang.md 2.1)."""
    return type(value) is dict and ("__handle__" in value or "handle" in value)


def _rebuild(
    node: object, args: tuple[Value, ...], leaf: Callable[[object], Value], *, static: bool, depth: int
) -> Value:
    if static and type(node) is int:
        return _rebuild(args[node], args, leaf, static=False, depth=depth)
    if type(node) is ir.Member or is_handle(node):
        return leaf(node)
    if type(node) is list:
        return [_rebuild(item, args, leaf, static=static, depth=depth + 1) for item in node]
    if type(node) is dict:
        return {key: _rebuild(item, args, leaf, static=static, depth=depth + 1) for key, item in node.items()}
    return node
