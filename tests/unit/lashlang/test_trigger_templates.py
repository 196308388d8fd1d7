"""Trigger input templates: from a registration's record, over the wire, to the arguments of a process."""

import pickle

import pytest

from lashlang.errors import LangError
from lashlang.triggers import EventBinding, FixedBinding, TriggerInputTemplate

TEMPLATE = TriggerInputTemplate(
    {"tick": EventBinding(), "label": FixedBinding("am"), "n": FixedBinding(None)}
)
WIRE = {
    "tick": {"kind": "event"},
    "label": {"kind": "fixed", "value": "am"},
    "n": {"kind": "fixed", "value": None},
}


def test_record_of_a_registration_becomes_a_template():
    inputs = {"tick": {"$lash.trigger.event": True}, "label": "am", "n": None}
    assert TriggerInputTemplate.from_inputs(inputs) == TEMPLATE


@pytest.mark.parametrize(
    "value",
    [
        {"$lash.trigger.event": 1},
        {"$lash.trigger.event": True, "x": 1},
        {"x": {"$lash.trigger.event": True}},
        True,
    ],
)
def test_what_only_resembles_the_marker_is_a_fixed_value(value):
    template = TriggerInputTemplate.from_inputs({"a": {"$lash.trigger.event": True}, "b": value})
    assert template.inputs["b"] == FixedBinding(value)


@pytest.mark.parametrize("inputs", [{}, {"a": 1}, [], None, "x"])
def test_inputs_without_event_are_refused(inputs):
    with pytest.raises(LangError) as caught:
        TriggerInputTemplate.from_inputs(inputs)
    assert caught.value.code == "trigger_template_invalid"


def test_template_goes_over_the_wire_and_back():
    assert TEMPLATE.to_wire() == WIRE
    assert TriggerInputTemplate.from_wire(WIRE) == TEMPLATE


@pytest.mark.parametrize(
    "wire", [None, [], {"a": 1}, {"a": {"kind": "other"}}, {"a": {"kind": "fixed"}}, {"a": {}}]
)
def test_other_wire_forms_are_refused(wire):
    with pytest.raises(LangError) as caught:
        TriggerInputTemplate.from_wire(wire)
    assert caught.value.code == "trigger_template_invalid"


def test_arguments_put_the_event_in_its_places():
    assert TEMPLATE.arguments({"at": 1}) == {"tick": {"at": 1}, "label": "am", "n": None}


def test_fixed_values_compare_as_json():
    assert FixedBinding(1) != FixedBinding(True)
    assert FixedBinding({"a": 1, "b": 2}) == FixedBinding({"b": 2, "a": 1})
    assert FixedBinding(1) != EventBinding()
    assert len({FixedBinding({"a": 1}), FixedBinding({"a": 1})}) == 1


def test_template_survives_pickle():
    assert pickle.loads(pickle.dumps(TEMPLATE)) == TEMPLATE
