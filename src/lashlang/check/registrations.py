"""Linking rules of the trigger registry: `triggers.register`, `triggers.list`, `triggers.cancel`.

A registration is one literal record, so that its target and inputs can be checked before anything is
registered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lashlang.check.relations import ANY, BOOL, DICT, STR, union
from lashlang.check.suggestions import listed
from lashlang.syntax import (
    Entry,
    Expr,
    Field,
    MethodCall,
    Name,
    ProcessValue,
    RecordLiteral,
    TriggerEvent,
    TypeAny,
    TypeExpr,
    TypeList,
    TypeProcess,
    TypeRef,
    TypeTriggerHandle,
    format_type,
)

if TYPE_CHECKING:
    from lashlang.check.checker import Checker

Checked = tuple[tuple[Expr, ...], TypeExpr]

_REGISTER_KEYS: Final = ("source", "target", "inputs", "name", "subscription_key")
_SHAPE: Final = (
    "write: triggers.register({ source: …, target: process_name, inputs: { event: trigger.event } })"
)
_FILTERS: Final[dict[str, TypeExpr]] = {
    "target": ANY,
    "name": STR,
    "source_type": STR,
    "enabled": BOOL,
}


def _register(checker: Checker, node: MethodCall) -> Checked:
    checker.require("triggers", node)
    record = _literal(node)
    if record is None:
        message = "triggers.register takes one literal record"
        checker.error("invalid_trigger_registration", node, message, hint=_SHAPE)
        return node.args, ANY
    entries = {entry.key: entry for entry in record.entries}
    for entry in record.entries:
        if entry.key not in _REGISTER_KEYS:
            message = f"a trigger registration has no field `{entry.key}`"
            checker.error("invalid_trigger_registration", _key_span(entry), message, hint=_SHAPE)
    missing = [key for key in ("source", "target", "inputs") if key not in entries]
    if missing:
        message = f"the trigger registration lacks {listed(missing)}"
        checker.error("invalid_trigger_registration", record, message, hint=_SHAPE)
        return node.args, ANY
    event: TypeExpr = ANY
    linked: list[Entry] = []
    target: Expr | None = None
    for entry in record.entries:
        if entry.key == "inputs":
            linked.append(entry)
            continue
        value, ty = checker.expr(entry.value)
        if entry.key == "source":
            event = _source_event(checker, entry, ty)
        elif entry.key == "target":
            target = _target(checker, entry, value, ty)
        linked.append(Entry(entry.key, value, start=entry.start, end=entry.end))
    inputs = _inputs(checker, entries["inputs"], target, event)
    made = [inputs if entry.key == "inputs" else entry for entry in linked]
    return (RecordLiteral(tuple(made), start=record.start, end=record.end),), TypeTriggerHandle(event)


def _literal(node: MethodCall) -> RecordLiteral | None:
    only = node.args[0] if len(node.args) == 1 else None
    return only if isinstance(only, RecordLiteral) else None


def _key_span(entry: Entry) -> tuple[int, int]:
    return (entry.start, entry.start + len(entry.key))


def _source_event(checker: Checker, entry: Entry, ty: TypeExpr) -> TypeExpr:
    """The type of the events of a source; reports a source that is none."""
    surface = checker.surface
    if isinstance(ty, TypeRef) and ty.name in surface.trigger_sources:
        checker.needs.trigger_source(ty.name)
        return surface.data_types[surface.trigger_sources[ty.name]]
    sources = listed(surface.trigger_sources)
    hint = f"make it in this block with one of: {sources}" if sources else "this host has no trigger sources"
    message = f"the source is {format_type(ty)}, which is no trigger source"
    checker.error("unknown_trigger_source_type", entry.value, message, hint=hint)
    return ANY


def _target(checker: Checker, entry: Entry, value: Expr, ty: TypeExpr) -> Expr | None:
    """The process that a registration starts; reports what is none."""
    if isinstance(value, ProcessValue):
        return value
    if isinstance(ty, TypeProcess) and ty.inputs == 1:
        return None
    hint = "name a process that this block declares"
    checker.error(
        "invalid_trigger_target", entry.value, "the target of a trigger must be a process", hint=hint
    )
    return None


def _inputs(checker: Checker, entry: Entry, target: Expr | None, event: TypeExpr) -> Entry:
    record = entry.value
    if not isinstance(record, RecordLiteral):
        hint = "write: inputs: { event: trigger.event }"
        checker.error(
            "invalid_trigger_inputs", record, "the inputs of a trigger are one literal record", hint=hint
        )
        return entry
    params: dict[str, TypeExpr] | None = None
    if isinstance(target, ProcessValue) and target.name in checker.processes:
        params = dict(checker.processes[target.name].params)
    seen: set[str] = set()
    events = 0
    linked: list[Entry] = []
    for item in record.entries:
        if item.key in seen:
            message = f"the input `{item.key}` is mapped twice"
            checker.error("duplicate_trigger_input", _key_span(item), message)
        elif params is not None and item.key not in params:
            message = f"the target has no parameter `{item.key}`"
            hint = f"it has {listed(params) or 'no parameters'}"
            checker.error("unknown_trigger_input", _key_span(item), message, hint=hint)
        seen.add(item.key)
        value = _input_value(checker, item, (params or {}).get(item.key, ANY), event)
        events += isinstance(value, TriggerEvent)
        linked.append(Entry(item.key, value, start=item.start, end=item.end))
    missing = [name for name in params or () if name not in seen]
    if missing:
        message = f"the inputs lack {listed(missing)} of the target"
        checker.error("missing_trigger_input", record, message)
    elif not events and not checker.errors.mentions("trigger_event_projection", record.span):
        hint = "map one parameter to trigger.event"
        checker.error("missing_trigger_event_input", record, "no input receives the event", hint=hint)
    made = RecordLiteral(tuple(linked), start=record.start, end=record.end)
    return Entry(entry.key, made, start=entry.start, end=entry.end)


def _input_value(checker: Checker, item: Entry, wanted: TypeExpr, event: TypeExpr) -> Expr:
    match item.value:
        case Field(target=Name(name="trigger"), name="event"):
            if not checker.relations.assignable(event, wanted):
                message = f"`{item.key}` is {format_type(wanted)}, but the event is {format_type(event)}"
                checker.error("trigger_event_mismatch", item.value, message)
            return TriggerEvent(start=item.value.start, end=item.value.end)
    value, ty = checker.expr(item.value)
    authority = checker.authority_of(wanted)
    if authority is not None and not isinstance(ty, TypeAny) and checker.authority_of(ty) != authority:
        message = f"the parameter `{item.key}` is {authority}, not {format_type(ty)}"
        checker.error("incompatible_process_argument", item.value, message)
    return value


def _list(checker: Checker, node: MethodCall) -> Checked:
    checker.require("triggers", node)
    args, _ = checker.exprs(node.args)
    if not node.args:
        return args, TypeList(DICT)
    record = _literal(node)
    hint = "write: triggers.list({ name: …, source_type: …, enabled: true, target: process_name })"
    if record is None:
        checker.error("invalid_trigger_list", node, "triggers.list takes one literal record", hint=hint)
        return args, TypeList(DICT)
    for entry in record.entries:
        wanted = _FILTERS.get(entry.key)
        if wanted is None:
            message = f"triggers.list has no filter `{entry.key}`"
            checker.error("invalid_trigger_list", _key_span(entry), message, hint=hint)
            continue
        _, ty = checker.expr(entry.value)
        if not checker.relations.assignable(ty, wanted):
            message = f"the filter `{entry.key}` is {format_type(wanted)}, not {format_type(ty)}"
            checker.error("incompatible_operation_input", entry.value, message)
    return args, TypeList(DICT)


def _cancel(checker: Checker, node: MethodCall) -> Checked:
    checker.require("triggers", node)
    args, _ = checker.exprs(node.args)
    record = _literal(node)
    hint = "write: triggers.cancel({ handle: handle })"
    if record is None or [entry.key for entry in record.entries] != ["handle"]:
        message = "triggers.cancel takes one literal record with the field `handle`"
        checker.error("invalid_trigger_cancel", node if record is None else record, message, hint=hint)
        return args, BOOL
    _, ty = checker.expr(record.entries[0].value)
    if not checker.relations.assignable(ty, union((STR, DICT))):
        message = f"a trigger handle is a record or its id, not {format_type(ty)}"
        checker.error("incompatible_operation_input", record.entries[0].value, message)
    return args, BOOL


TRIGGER_OPERATIONS: Final[dict[str, Callable[[Checker, MethodCall], Checked]]] = {
    "triggers.register": _register,
    "triggers.list": _list,
    "triggers.cancel": _cancel,
}
"""Host operation name to its rule."""
