"""How many model calls a turn may take, and what its last answer is."""

from __future__ import annotations

import pytest
from tests.unit.turn.script import (
    call,
    config,
    issue_codes,
    output_rule,
    play,
    says,
    shape,
    surface,
)

from lash.errors import LashError
from lash.values import CheckpointDelivery, Message, ModelFailure, TextPart

MORE = CheckpointDelivery(messages=(Message(id="q", role="user", parts=(TextPart("and this?"),)),))


def test_at_the_limit_one_call_without_tools_asks_for_a_last_answer():
    played = play(
        config(max_turns=2, surface=surface("read")),
        says(call("c1")),
        says(call("c2")),
        says("what I found"),
    )
    end = played.conclusion
    assert (end.stop, end.text, end.model_calls) == ("max_turns", "what I found", 3)
    assert [question.tool_choice for question in played.questions] == ["auto", "auto", "none"]
    assert [tool.name for tool in played.questions[2].tools] == ["read"], "vendors want them with old calls"
    assert issue_codes(end) == ["max_turns"]
    assert played.sequence[-3:] == ["9 sync(true)", "10 llm", "finish"]


def test_the_note_that_asks_for_it_is_shown_last_and_stored_nowhere():
    played = play(config(max_turns=1), says(call("c1")), says("bye"))
    last = played.questions[-1]
    note = last.transient[-1].message
    assert (note.role, last.prompt[-1]) == ("system", note)
    assert "1 step" in note.text
    assert note not in played.conclusion.messages
    assert shape(played.conclusion.messages)[-1] == "assistant: bye"


def test_an_answer_in_the_last_iteration_is_a_natural_end():
    played = play(config(max_turns=2), says(call("c1")), says("done"))
    assert (played.conclusion.stop, played.conclusion.issues) == (None, ())


def test_a_turn_that_stops_at_the_limit_runs_the_last_tools_and_asks_no_more():
    played = play(config(max_turns=2, on_max_turns="stop"), says("a", call("c1")), says("b", call("c2")))
    end = played.conclusion
    assert (end.stop, end.text, end.model_calls) == ("max_turns", "b", 2)
    assert shape(end.messages)[-1] == "tool c2: result of c2"
    assert played.sequence[-2:] == ["7 tools", "finish"], "no checkpoint: nothing more is let in"
    assert issue_codes(end) == ["max_turns"]


def test_a_message_that_comes_before_completion_at_the_limit_gets_the_last_answer():
    played = play(config(max_turns=1), says("one"), says("both"), deliveries=[MORE])
    end = played.conclusion
    assert (end.stop, end.text) == ("max_turns", "both")
    assert shape(played.questions[1].messages) == ["user: question", "assistant: one", "user: and this?"]


def test_a_message_that_comes_before_completion_where_the_limit_stops_is_stored():
    played = play(config(max_turns=1, on_max_turns="stop"), says("one"), deliveries=[MORE])
    end = played.conclusion
    assert (end.stop, end.text) == ("max_turns", "one")
    assert shape(end.messages)[-1] == "user: and this?"


def test_calls_in_the_last_answer_are_not_run_and_get_results():
    played = play(config(max_turns=1), says(call("c1")), says("once more", call("c2"), call("c3")))
    end = played.conclusion
    assert (end.stop, end.text, len(played.batches)) == ("max_turns", "once more", 1)
    lines = shape(end.messages)[-2:]
    assert all("no steps left" in line for line in lines)
    assert [line.split(":")[0] for line in lines] == ["tool c2", "tool c3"]
    assert [line.call_id for line in end.tool_calls] == ["c1", "c2", "c3"]


def test_a_last_call_that_fails_is_still_the_limits_stop():
    failure = ModelFailure(kind="timeout", code="model_timeout", message="slow")
    end = play(config(max_turns=1), says("looking", call("c1")), failure).conclusion
    assert (end.stop, end.text) == ("max_turns", "looking")
    assert issue_codes(end) == ["model_timeout", "max_turns"]


def test_a_last_answer_that_is_cut_off_is_still_the_limits_stop():
    end = play(
        config(max_turns=1), says(call("c1")), says("a long", terminal_reason="output_limit")
    ).conclusion
    assert (end.stop, end.text) == ("max_turns", "a long")
    assert issue_codes(end) == ["output_limit", "max_turns"]


def test_a_last_answer_that_is_cancelled_is_cancelled():
    end = play(config(max_turns=1), says(call("c1")), says("a l", terminal_reason="cancelled")).conclusion
    assert (end.stop, end.text) == ("cancelled", "a l")


def test_an_empty_last_answer_is_the_limits_stop_without_text():
    end = play(config(max_turns=1), says("hm", call("c1")), says()).conclusion
    assert (end.stop, end.text) == ("max_turns", "")


def test_the_limit_counts_from_the_first_iteration_of_the_turn():
    played = play(config(max_turns=1, first_iteration=7), says(call("c1")), says("bye"))
    assert (played.conclusion.stop, len(played.questions)) == ("max_turns", 2)


def test_a_typed_turn_may_still_submit_at_the_limit_and_nothing_else():
    played = play(
        config(max_turns=1, surface=surface("read"), output=output_rule()),
        says(call("c1")),
        says("best guess", call("c2", "submit", answer=4)),
    )
    last, end = played.questions[-1], played.conclusion
    assert ([tool.name for tool in last.tools], last.tool_choice) == (["submit"], "required")
    assert "'submit'" in last.prompt[-1].text
    assert (end.stop, end.output, end.has_output, end.text) == (
        "max_turns",
        {"answer": 4},
        True,
        "best guess",
    )
    assert shape(end.messages)[-1] == "tool c2: The answer was accepted."


def test_calls_beside_a_last_submission_are_answered_in_call_order():
    played = play(
        config(max_turns=1, output=output_rule()),
        says(call("c1")),
        says(call("c2"), call("c3", "submit", answer=4), call("c4", "submit", answer=5)),
    )
    lines = shape(played.conclusion.messages)[-3:]
    assert [line.split(":")[0] for line in lines] == ["tool c2", "tool c3", "tool c4"]
    assert played.conclusion.output == {"answer": 4}
    assert [line.call_id for line in played.conclusion.tool_calls] == ["c1", "c2"]


def test_a_last_submission_that_does_not_fit_leaves_no_output():
    end = play(
        config(max_turns=1, output=output_rule()), says(call("c1")), says(call("c2", "submit", answer="x"))
    ).conclusion
    assert (end.stop, end.has_output) == ("max_turns", False)
    assert issue_codes(end) == ["invalid_output", "max_turns"]
    assert "answer must be an integer" in shape(end.messages)[-1]


def test_a_native_typed_turn_may_still_answer_in_its_schema_at_the_limit():
    played = play(
        config(max_turns=1, output=output_rule(native=True)), says(call("c1")), says('{"answer": 4}')
    )
    end = played.conclusion
    assert (end.stop, end.output, end.has_output) == ("max_turns", {"answer": 4}, True)
    assert played.questions[-1].output is not None
    assert played.questions[-1].tool_choice == "none"


@pytest.mark.parametrize(
    "terms", [{"max_turns": 0}, {"turn_id": " "}, {"output": output_rule(max_repairs=-1)}]
)
def test_terms_that_allow_no_turn_are_refused(terms):
    with pytest.raises(LashError) as caught:
        config(**terms)
    assert caught.value.code == "turn_config_invalid"
