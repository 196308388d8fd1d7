"""Codes of the linker about triggers."""

from __future__ import annotations

from typing import Final

from lashlang.catalogue.entry import Explanation

_TARGET: Final = "process run(e: timer.Tick) { finish e.fired_at }\n"
_SOURCE: Final = 'source = timer.Schedule({ expr: "0 7 * * *" })\n'
_RIGHT: Final = (
    _TARGET
    + _SOURCE
    + "await triggers.register({ source: source, target: run, inputs: { e: trigger.event } })?"
)


def _entry(code: str, title: str, text: str, wrong: str, right: str = _RIGHT) -> Explanation:
    return Explanation(code, "link", title, text, wrong, right)


TRIGGERING: Final = (
    _entry(
        "invalid_trigger_registration",
        "a registration of the wrong form",
        "triggers.register takes one literal record with `source`, `target` and `inputs`, and perhaps"
        " `name` and"
        " `subscription_key`.",
        _TARGET + _SOURCE + "await triggers.register({ source: source, target: run })?",
    ),
    _entry(
        "unknown_trigger_source_type",
        "a source that is no trigger source",
        "The source must come from a constructor of the host, in this block, so that its event type is"
        " known.",
        _TARGET
        + 'await triggers.register({ source: "0 7 * * *", target: run, inputs: { e: trigger.event } })?',
    ),
    _entry(
        "invalid_trigger_target",
        "a target that is no process",
        "The target is the name of a process that this block declares.",
        _SOURCE
        + "await triggers.register({ source: source, target: source, inputs: { e: trigger.event } })?",
    ),
    _entry(
        "invalid_trigger_inputs",
        "inputs that are no literal record",
        "The inputs are written out, so that they can be checked against the target's parameters.",
        _TARGET + _SOURCE + "await triggers.register({ source: source, target: run, inputs: [1] })?",
    ),
    _entry(
        "unknown_trigger_input",
        "an input that the target does not have",
        "Every input is a parameter of the target.",
        _TARGET
        + _SOURCE
        + "await triggers.register({ source: source, target: run, inputs: { e: trigger.event, x: 1 } })?",
    ),
    _entry(
        "duplicate_trigger_input",
        "an input mapped twice",
        "Every parameter of the target is mapped once.",
        _TARGET
        + _SOURCE
        + "await triggers.register({ source: source, target: run, inputs: { e: trigger.event, e: 1 } })?",
    ),
    _entry(
        "missing_trigger_input",
        "a parameter of the target that no input fills",
        "Every parameter of the target is mapped once.",
        "process run(e: timer.Tick, n: int) { finish n }\n"
        + _SOURCE
        + "await triggers.register({ source: source, target: run, inputs: { e: trigger.event } })?",
    ),
    _entry(
        "missing_trigger_event_input",
        "inputs that never receive the event",
        "At least one parameter is mapped to `trigger.event`.",
        "process run(n: int) { finish n }\n"
        + _SOURCE
        + "await triggers.register({ source: source, target: run, inputs: { n: 1 } })?",
    ),
    _entry(
        "trigger_event_mismatch",
        "an event that is not of the parameter's type",
        "The source says what its events are; the parameter must take that.",
        "process run(e: int) { finish e }\n"
        + _SOURCE
        + "await triggers.register({ source: source, target: run, inputs: { e: trigger.event } })?",
    ),
    _entry(
        "trigger_event_outside_inputs",
        "`trigger.event` outside of trigger inputs",
        "It stands for an event that has not happened yet, and means something only as a value of `inputs`.",
        "x = trigger.event",
    ),
    _entry(
        "trigger_event_projection",
        "a field of `trigger.event`",
        "Only the whole event can be mapped; the process reads its fields.",
        "process run(at: str) { finish at }\n"
        + _SOURCE
        + "await triggers.register({ source: source, target: run, inputs: { at: trigger.event.fired_at } })?",
    ),
    _entry(
        "invalid_trigger_list",
        "a list filter of the wrong form",
        "triggers.list takes no argument, or one literal record of `target`, `name`, `source_type`,"
        " `enabled`.",
        "x = await triggers.list({ owner: 1 })?",
        "x = await triggers.list({ enabled: true })?",
    ),
    _entry(
        "invalid_trigger_cancel",
        "a cancellation of the wrong form",
        "triggers.cancel takes one literal record with the field `handle`.",
        'x = await triggers.cancel("trigger:1")?',
        'x = await triggers.cancel({ handle: "trigger:1" })?',
    ),
)
