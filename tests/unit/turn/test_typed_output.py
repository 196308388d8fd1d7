"""Typed answers: asked for natively or through a submit tool, judged, sent back, given up on."""

from __future__ import annotations

import pytest
from tests.unit.turn.script import (
    ANSWER_SCHEMA,
    broken_call,
    call,
    config,
    issue_codes,
    output_rule,
    play,
    says,
    shape,
    surface,
)

from lash.turn import submit_tool_spec
from lash.turn.structured_output import native_output_spec
from lash.values import CheckpointDelivery, Message, OutputSpec, TextPart, stable_hash

NATIVE = output_rule(native=True)
SUBMIT = output_rule()


def list_rule(**changes):
    return output_rule(
        spec=OutputSpec(name="rows", schema={"type": "array", "items": {"type": "integer"}}),
        validate_output=lambda value: None if isinstance(value, list) else "must be a list",
        **changes,
    )


def test_a_vendor_that_holds_answers_to_a_schema_is_given_it():
    played = play(config(output=NATIVE, surface=surface("read")), says('{"answer": 7}'))
    question, end = played.questions[0], played.conclusion
    assert question.output == OutputSpec(name="result", schema=ANSWER_SCHEMA)
    assert ([tool.name for tool in question.tools], question.tool_choice) == (["read"], "auto")
    assert (end.stop, end.output, end.has_output, end.text) == (None, {"answer": 7}, True, '{"answer": 7}')


def test_other_vendors_offer_a_submit_tool_and_must_use_a_tool():
    played = play(config(output=SUBMIT, surface=surface("read")), says(call("c1", "submit", answer=7)))
    question, end = played.questions[0], played.conclusion
    assert question.output is None
    assert [tool.name for tool in question.tools] == ["read", "submit"]
    assert question.tools[1].digest == stable_hash(submit_tool_spec(SUBMIT))
    assert question.tool_choice == "required"
    assert (end.stop, end.output, end.has_output) == (None, {"answer": 7}, True)
    assert end.tool_calls == (), "a submission is an answer, not a call"
    assert played.batches == []
    assert shape(end.messages)[1:] == ["assistant:  [c1]", "tool c1: The answer was accepted."]
    assert played.sequence[-2:] == ["3 checkpoint before_completion", "finish"]


def test_the_submit_tool_can_be_named():
    rule = output_rule(submit_tool="deliver")
    played = play(config(output=rule), says(call("c1", "deliver", answer=1)))
    assert [tool.name for tool in played.questions[0].tools] == ["deliver"]
    assert played.conclusion.output == {"answer": 1}


def test_calls_beside_a_submission_are_run_before_it_counts():
    played = play(config(output=SUBMIT), says(call("c1", "submit", answer=7), call("c2", "write")))
    assert [part.name for part in played.batches[0].calls] == ["write"]
    assert shape(played.conclusion.messages)[2:] == [
        "tool c1: The answer was accepted.",
        "tool c2: result of c2",
    ]
    assert played.conclusion.output == {"answer": 7}


def test_only_the_first_submission_of_an_answer_counts():
    end = play(
        config(output=SUBMIT), says(call("c1", "submit", answer=1), call("c2", "submit", answer=2))
    ).conclusion
    assert end.output == {"answer": 1}
    assert "duplicate_submission" in shape(end.messages)[-1]


def test_a_submission_that_does_not_fit_goes_back_as_the_calls_result():
    played = play(
        config(output=SUBMIT), says(call("c1", "submit", answer="x")), says(call("c2", "submit", answer=1))
    )
    assert played.sequence[2:4] == ["3 checkpoint after_work", "4 sync(true)"]
    result = played.questions[1].messages[-1].parts[0]
    assert result.is_error
    assert "answer must be an integer" in result.content
    assert (played.conclusion.stop, played.conclusion.output) == (None, {"answer": 1})


def test_a_submission_whose_arguments_are_no_object_goes_back_too():
    played = play(
        config(output=SUBMIT), says(broken_call("c1", "submit")), says(call("c2", "submit", answer=1))
    )
    assert "not a JSON object" in shape(played.questions[1].messages)[-1]
    assert played.conclusion.output == {"answer": 1}


def test_prose_where_a_submission_is_wanted_goes_back_with_what_to_call():
    played = play(config(output=SUBMIT), says("it is seven"), says(call("c1", "submit", answer=7)))
    note = played.questions[1].messages[-1]
    assert (note.role, note.origin.kind) == ("user", "output_repair")
    assert "'submit'" in note.text
    assert played.conclusion.output == {"answer": 7}


def test_an_answer_in_json_text_is_taken_where_a_server_ignores_tools():
    end = play(config(output=SUBMIT), says('```json\n{"answer": 7}\n```')).conclusion
    assert (end.stop, end.output) == (None, {"answer": 7})


def test_native_text_that_does_not_fit_goes_back_and_stays_in_the_history():
    played = play(config(output=NATIVE), says("seven"), says('{"answer": "7"}'), says('{"answer": 7}'))
    lines = shape(played.conclusion.messages)
    assert lines[1] == "assistant: seven"
    assert "not JSON" in lines[2]
    assert lines[3] == 'assistant: {"answer": "7"}'
    assert "answer must be an integer" in lines[4]
    assert played.conclusion.output == {"answer": 7}


@pytest.mark.parametrize(("max_repairs", "model_calls"), [(0, 1), (1, 2), (2, 3)])
def test_after_the_last_repair_the_turn_stops(max_repairs, model_calls):
    rule = output_rule(native=True, max_repairs=max_repairs)
    end = play(config(output=rule), *[says("no")] * model_calls).conclusion
    assert (end.stop, end.has_output, end.model_calls, end.text) == (
        "invalid_output",
        False,
        model_calls,
        "no",
    )
    assert issue_codes(end) == ["invalid_output"]
    assert end.issues[0].facts == {"repairs": max_repairs}


def test_repairs_of_submissions_and_of_text_are_counted_together():
    end = play(
        config(output=SUBMIT), says("no"), says(call("c1", "submit", answer="x")), says("no again")
    ).conclusion
    assert (end.stop, end.model_calls) == ("invalid_output", 3)


def test_rounds_of_tools_are_no_repairs():
    rounds = [says(call(f"c{number}")) for number in range(4)]
    end = play(
        config(output=output_rule(native=True, max_repairs=0)), *rounds, says('{"answer": 1}')
    ).conclusion
    assert (end.stop, end.output) == (None, {"answer": 1})


def test_repairs_count_against_the_limit_of_model_calls():
    end = play(config(output=NATIVE, max_turns=1, on_max_turns="stop"), says("no")).conclusion
    assert (end.stop, end.model_calls) == ("max_turns", 1)


def test_an_empty_answer_after_tools_is_not_a_typed_one():
    end = play(config(output=output_rule(native=True, max_repairs=0)), says(call("c1")), says()).conclusion
    assert end.stop == "invalid_output"


def test_a_message_before_completion_makes_the_model_submit_again():
    more = CheckpointDelivery(messages=(Message(id="q", role="user", parts=(TextPart("no, 8"),)),))
    played = play(
        config(output=SUBMIT),
        says(call("c1", "submit", answer=7)),
        says(call("c2", "submit", answer=8)),
        deliveries=[more],
    )
    assert played.conclusion.output == {"answer": 8}


def test_a_users_tool_of_the_submit_tools_name_is_refused_before_the_model_is_paid():
    played = play(config(output=SUBMIT, surface=surface("submit")))
    assert (played.conclusion.stop, played.conclusion.model_calls) == ("runtime_error", 0)
    assert issue_codes(played.conclusion) == ["output_tool_name_taken"]


def test_a_users_tool_of_that_name_is_an_ordinary_one_where_the_vendor_holds_the_schema():
    played = play(
        config(output=NATIVE, surface=surface("submit")),
        says(call("c1", "submit")),
        says('{"answer": 1}'),
    )
    assert [line.name for line in played.conclusion.tool_calls] == ["submit"]
    assert len(played.batches) == 1


def test_a_value_that_is_no_object_is_asked_for_inside_of_one():
    wrapped = {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"type": "integer"}}},
        "required": ["value"],
        "additionalProperties": False,
    }
    assert submit_tool_spec(list_rule()).input_schema == wrapped
    assert native_output_spec(list_rule()).schema == wrapped
    submitted = play(config(output=list_rule()), says(call("c1", "submit", value=[1, 2])))
    assert submitted.conclusion.output == [1, 2]
    native = play(config(output=list_rule(native=True)), says('{"value": [3]}'))
    assert native.conclusion.output == [3]


@pytest.mark.parametrize("text", ["[1]", '{"values": [1]}', '{"value": [1], "more": 1}', '{"value": 3}'])
def test_a_wrapped_value_that_is_not_where_it_belongs_goes_back(text):
    end = play(config(output=list_rule(native=True, max_repairs=0)), says(text)).conclusion
    assert end.stop == "invalid_output"


def test_a_schema_that_is_a_reference_is_replaced_by_what_it_refers_to():
    schema = {
        "$ref": "#/$defs/A",
        "$defs": {
            "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}},
            "B": {"type": "string"},
        },
    }
    rule = output_rule(spec=OutputSpec(name="a", schema=schema))
    assert submit_tool_spec(rule).input_schema == {
        "type": "object",
        "properties": {"b": {"$ref": "#/$defs/B"}},
        "$defs": schema["$defs"],
    }


def test_definitions_of_a_wrapped_schema_stay_where_references_look_for_them():
    schema = {"type": "array", "items": {"$ref": "#/$defs/B"}, "$defs": {"B": {"type": "string"}}}
    rule = output_rule(spec=OutputSpec(name="bs", schema=schema))
    built = submit_tool_spec(rule).input_schema
    assert built["$defs"] == schema["$defs"]
    assert built["properties"] == {"value": {"type": "array", "items": {"$ref": "#/$defs/B"}}}


def test_a_reference_that_leads_nowhere_is_left_as_it_is():
    rule = output_rule(spec=OutputSpec(name="a", schema={"$ref": "#/$defs/Gone"}))
    assert submit_tool_spec(rule).input_schema["properties"] == {"value": {"$ref": "#/$defs/Gone"}}


@pytest.mark.parametrize(
    "garbage",
    [
        "[" * 100_000,
        '{"answer": 1e999}',
        '{"answer": NaN}',
        '{"answer": ' + "9" * 400 + "}",
        "\ud800",
        '"\ud800"',
        "{}}",
    ],
    ids=["deep", "infinite", "nan", "huge", "surrogate", "surrogate text", "trailing"],
)
def test_garbage_goes_back_instead_of_breaking_the_turn(garbage):
    anything = output_rule(native=True, max_repairs=0, validate_output=lambda _: None)
    end = play(config(output=anything), says(garbage)).conclusion
    assert (end.stop, end.has_output) == ("invalid_output", False)
