"""How a trigger fills the parameters of the process that it starts.

A template maps each parameter to the whole event or to a value fixed at registration. It is data: it is
stored with the subscription and applied once for each occurrence, long after the program that registered it
is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from lashlang.errors import LangError

EVENT_MARKER: Final = "$lash.trigger.event"
"""The only key of the record that stands for the event in the `inputs` of a registration."""


class EventBinding(msgspec.Struct, frozen=True, tag_field="kind", tag="event"):
    """The parameter receives the whole event."""


class FixedBinding(msgspec.Struct, frozen=True, eq=False, tag_field="kind", tag="fixed"):
    """The parameter always receives `value`, which is JSON; compares by its canonical text, so `1` is not
    `true`.
    """

    value: object

    def _text(self) -> bytes:
        return msgspec.json.encode(self.value, order="sorted")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FixedBinding) and self._text() == other._text()

    def __hash__(self) -> int:
        return hash(self._text())


TriggerInputBinding = EventBinding | FixedBinding


class TriggerInputTemplate(msgspec.Struct, frozen=True):
    """Parameter name to what it receives."""

    inputs: dict[str, TriggerInputBinding]

    @classmethod
    def from_inputs(cls, inputs: object) -> TriggerInputTemplate:
        """The template of the `inputs` record that a registration evaluates to.

        Raises:
            LangError: `trigger_template_invalid` when it is no record, or no input is the event.
        """
        if not isinstance(inputs, Mapping):
            raise LangError("trigger_template_invalid", "the inputs of a trigger must be a record")
        bindings = {str(name): _binding(value) for name, value in inputs.items()}
        if not any(isinstance(binding, EventBinding) for binding in bindings.values()):
            raise LangError("trigger_template_invalid", "no input of the trigger receives the event")
        return cls(bindings)

    @classmethod
    def from_wire(cls, wire: object) -> TriggerInputTemplate:
        """The template of `{name: {"kind": "event"} | {"kind": "fixed", "value": …}}`.

        Raises:
            LangError: `trigger_template_invalid` for any other form.
        """
        try:
            return cls(msgspec.convert(wire, dict[str, TriggerInputBinding]))
        except msgspec.ValidationError as error:
            message = f"not a trigger input template: {error}"
            raise LangError("trigger_template_invalid", message) from None

    def to_wire(self) -> dict[str, dict[str, object]]:
        """The template as JSON, which `from_wire` reads."""
        return {name: _wire(binding) for name, binding in self.inputs.items()}

    def arguments(self, event: object) -> dict[str, object]:
        """The process arguments for one occurrence with payload `event`."""
        return {
            name: binding.value if isinstance(binding, FixedBinding) else event
            for name, binding in self.inputs.items()
        }


def _binding(value: object) -> TriggerInputBinding:
    is_event = isinstance(value, Mapping) and len(value) == 1 and value.get(EVENT_MARKER) is True
    return EventBinding() if is_event else FixedBinding(value)


def _wire(binding: TriggerInputBinding) -> dict[str, object]:
    if isinstance(binding, FixedBinding):
        return {"kind": "fixed", "value": binding.value}
    return {"kind": "event"}
