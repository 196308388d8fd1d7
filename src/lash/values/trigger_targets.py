"""What a subscription starts: a program's process, a durable function, or a turn (contract 1.19).

The seed's subscription names a lashlang process. What it starts beside that is stored in the same four members,
under module refs that no module has, so that lists and filters treat all targets alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from lash.errors import LashError
from lash.values.record import Json, JsonRecord, Record, plain
from lash.values.triggers import TriggerTarget

_FUNCTION: Final = "lash:function"
_TURN: Final = "lash:turn"

EVENT_INPUT: Final[dict[str, Json]] = {"kind": "event"}
"""In an input template: the parameter gets the payload of the event."""


class FunctionTarget(Record, frozen=True, kw_only=True, tag="function"):
    """A `@lash.process`, by name. `wakes` has the session woken when it ends."""

    name: str
    wakes: bool = False


class TurnTarget(JsonRecord, frozen=True, kw_only=True, tag="turn", eq=False):
    """A turn of the subscribing session: `text`, with what has happened below it."""

    agent: str
    text: str = ""
    on_busy: Literal["queue", "inject"] = "queue"


TriggerWork: TypeAlias = FunctionTarget | TurnTarget | TriggerTarget


def fixed_input(value: Json) -> dict[str, Json]:
    """Return the member of an input template whose parameter always gets `value`."""
    return {"kind": "fixed", "value": value}


def stored_target(work: TriggerWork) -> TriggerTarget:
    """Return what a subscription stores of its target."""
    match work:
        case TriggerTarget():
            return work
        case FunctionTarget(name=name):
            module_ref = _FUNCTION
        case TurnTarget(agent=name):
            module_ref = _TURN
    return TriggerTarget(
        module_ref=module_ref, required_surface_ref="", process_ref=plain(work), process_name=name
    )


def target_work(target: TriggerTarget) -> TriggerWork:
    """Return what a stored target starts.

    Raises:
        LashError: `stored_data_corrupt`.
    """
    kinds: dict[str, type[FunctionTarget] | type[TurnTarget]] = {_FUNCTION: FunctionTarget, _TURN: TurnTarget}
    kind = kinds.get(target.module_ref)
    if kind is None:
        return target
    try:
        return msgspec.convert(target.process_ref, kind)
    except msgspec.ValidationError as problem:
        raise LashError(
            "stored_data_corrupt",
            f"the target {target.process_name!r} of a trigger is no {kind.__name__}: {problem}",
        ) from problem


def materialised_inputs(template: Mapping[str, Json], payload: Json) -> dict[str, Json]:
    """Return the arguments that an event gives its target.

    Raises:
        LashError: `trigger_inputs_invalid` for a member that is neither the event nor a fixed value.
    """
    inputs: dict[str, Json] = {}
    for name, member in template.items():
        match member:
            case {"kind": "event"}:
                inputs[name] = payload
            case {"kind": "fixed", "value": value}:
                inputs[name] = value
            case _:
                raise LashError(
                    "trigger_inputs_invalid",
                    f"the input {name!r} of a trigger is neither the event nor a fixed value: {member!r}",
                    parameter=name,
                )
    return inputs
