"""Tools that end the turn: finish, fail, go on in another frame."""

from __future__ import annotations

import pytest
from tests.unit.turn.script import (
    call,
    config,
    failed,
    issue_codes,
    output_rule,
    play,
    says,
    settled,
    shape,
)

from lash.values import FailTurn, FinishTurn, SwitchAgentFrame, plain


def tools(**controls):
    """Tools that carry a directive, by call id; a name that starts with `bad` fails as well."""

    def run(part):
        control = controls.get(part.call_id)
        done = failed(part) if part.name.startswith("bad") else settled(part)
        return done.replace(control=plain(control) if control is not None else None)

    return run


def test_a_tool_finishes_the_turn_with_a_text():
    played = play(config(), says("hm", call("c1"), call("c2")), tool=tools(c1=FinishTurn("all done \n")))
    end = played.conclusion
    assert (end.stop, end.text, end.output, end.has_output) == (None, "all done", "all done \n", True)
    assert shape(end.messages)[2:] == ["tool c1: result of c1", "tool c2: result of c2"]
    assert played.sequence[-2:] == ["3 tools", "finish"]


def test_a_tool_finishes_the_turn_with_a_value_beside_what_the_model_said():
    end = play(config(), says("here it is", call("c1")), tool=tools(c1=FinishTurn({"n": 1}))).conclusion
    assert (end.text, end.output, end.has_output) == ("here it is", {"n": 1}, True)


def test_a_tool_may_finish_with_null():
    end = play(config(), says(call("c1")), tool=tools(c1=FinishTurn(None))).conclusion
    assert (end.output, end.has_output) == (None, True)


def test_the_first_directive_in_call_order_wins():
    both = tools(c2=FinishTurn("second"), c3=FailTurn("third"))
    end = play(
        config(),
        says(call("c1"), call("c2"), call("c3")),
        tool=both,
        settle_order=lambda results: list(reversed(results)),
    ).conclusion
    assert (end.stop, end.output) == (None, "second")


def test_a_tool_fails_the_turn():
    end = play(config(), says("trying", call("c1")), tool=tools(c1=FailTurn({"why": "no disk"}))).conclusion
    assert (end.stop, end.text, issue_codes(end)) == ("tool_failure", "trying", ["failed_by_tool"])
    assert (end.issues[0].call_id, end.issues[0].facts) == ("c1", {"failure": {"why": "no disk"}})


def test_a_failed_call_can_fail_the_turn_with_its_own_words():
    end = play(config(), says(call("c1", "bad")), tool=tools(c1=FailTurn("no disk"))).conclusion
    assert (end.stop, end.issues[0].message) == ("tool_failure", "no disk")


@pytest.mark.parametrize("control", [FinishTurn("x"), SwitchAgentFrame("f2")])
def test_a_failed_call_can_neither_finish_nor_switch(control):
    played = play(
        config(), says(call("c1", "bad"), call("c2")), tool=tools(c1=control, c2=FinishTurn("mine"))
    )
    assert played.conclusion.output == "mine"
    alone = play(config(), says(call("c1", "bad")), says("go on"), tool=tools(c1=control)).conclusion
    assert (alone.stop, alone.text, alone.has_output, alone.switch) == (None, "go on", False, None)


def test_a_tool_switches_the_frame():
    control = SwitchAgentFrame("f2", initial_nodes=({"a": 1},), task="carry on")
    end = play(config(), says("over to you", call("c1")), tool=tools(c1=control)).conclusion
    assert (end.stop, end.switch, end.text, end.has_output) == (None, control, "over to you", False)


def test_a_directive_that_is_none_stops_the_turn_loudly():
    end = play(
        config(), says(call("c1")), tool=lambda part: settled(part, control={"type": "explode"})
    ).conclusion
    assert (end.stop, issue_codes(end)) == ("tool_failure", ["tool_control_invalid"])


def test_a_tools_value_must_fit_a_typed_turn():
    rule = output_rule(native=True)
    good = play(config(output=rule), says(call("c1")), tool=tools(c1=FinishTurn({"answer": 3}))).conclusion
    assert (good.stop, good.output) == (None, {"answer": 3})
    bad = play(config(output=rule), says(call("c1")), tool=tools(c1=FinishTurn("three"))).conclusion
    assert (bad.stop, bad.has_output, issue_codes(bad)) == ("invalid_output", False, ["invalid_output"])
    assert bad.issues[0].call_id == "c1"


def test_a_directive_goes_before_a_submission_of_the_same_answer():
    end = play(
        config(output=output_rule()),
        says(call("c1", "submit", answer=1), call("c2")),
        tool=tools(c2=FinishTurn({"answer": 2})),
    ).conclusion
    assert end.output == {"answer": 2}
