"""Turns of programs, without I/O: what a program leads to, and that every snapshot goes on alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.turn.script import Played, call, config, issue_codes, output_rule, play, says, settled, shape

from lash.turn import CodeProtocol, CodeRules, EndedByTool, Submitted
from lash.turn.code_notes import context_hint
from lash.values import (
    CheckpointDelivery,
    ExecFailure,
    ExecResponse,
    FailTurn,
    FinishTurn,
    Message,
    ProtocolEvent,
    ReasoningPart,
    SwitchAgentFrame,
    TextPart,
    TokenUsage,
    ToolCallRecord,
    plain,
)


def program(code: str, prose: str = "") -> Any:
    return says(f"{prose}```lashlang\n{code}\n```")


def submits(value: Any, *printed: str) -> ExecResponse:
    return ExecResponse(observations=printed, terminal_finish=plain(Submitted(value)))


def run(*model: Any, code: Any = None, rules: CodeRules | None = None, **how: Any) -> Played:
    terms = how.pop("terms", config())
    answers = {} if code is None else {"code": code.__getitem__ if isinstance(code, dict) else code}
    protocol = CodeProtocol(rules or CodeRules(), **how.pop("opening", {}))
    return play(terms, *model, protocol=protocol, **answers, **how)


SUBMIT = CodeRules(termination="submit_required", max_repairs=2)


def test_one_program_and_then_a_submission_ask_for_the_effects_in_the_nominal_order():
    played = run(
        program("print 1"),
        program("submit 2"),
        code={"print 1": ExecResponse(observations=("1",)), "submit 2": submits(2)},
    )
    assert played.sequence[:-1] == [
        "1 sync(false)",
        "2 llm",
        "3 exec",
        "4 checkpoint after_work",
        "5 sync(true)",
        "6 llm",
        "7 exec",
        "8 checkpoint before_completion",
    ]
    assert (played.conclusion.output, played.conclusion.has_output, played.conclusion.text) == (2, True, "2")
    assert played.conclusion.stop is None


def test_the_history_holds_the_answer_as_it_was_emitted_the_output_and_the_submitted_answer():
    played = run(program("print 1", "Let me see.\n"), code=lambda _: submits("done", "1"))
    assert shape(played.conclusion.messages) == [
        "user: question",
        "assistant: Let me see.\n```lashlang\nprint 1\n```",
        "user: Output:\n1\n[submitted]",
        "assistant: done",
    ]


def test_what_follows_the_first_program_is_ignored_and_not_kept():
    played = run(
        says("```lashlang\na\n```\nnow I pretend to see the output: 7\n```lashlang\nb\n```"),
        code=lambda _: submits(1),
    )
    assert played.conclusion.messages[1].text == "```lashlang\na\n```"


def test_native_calls_are_dropped_and_reasoning_is_kept_before_the_text():
    played = run(
        says(ReasoningPart(text="hm", signature="s"), call("c1"), "```lashlang\nx\n```"),
        code=lambda _: submits(1),
    )
    assert played.conclusion.messages[1].parts == (
        ReasoningPart(text="hm", signature="s"),
        TextPart(text="```lashlang\nx\n```"),
    )


def test_no_tool_is_offered_and_the_status_stands_behind_every_message():
    played = run(program("x"), says("done"), opening={"variables": ("n: int = 3",)})
    first, second = played.questions
    assert (first.tools, first.tool_choice) == ((), "none")
    assert first.prompt[-1].text.startswith("[status]\nVariables:\nn: int = 3\n\nStep 1.")
    assert second.prompt[-1].text.startswith("[status]\nVariables:\nn: int = 3\n\nStep 2.")
    assert [m.id for m in second.prompt[:-1]] == [m.id for m in second.messages]
    assert first.prompt[-1] not in played.conclusion.messages


def test_the_prompt_before_the_status_only_grows():
    played = run(*[program("x")] * 3, says("done"))
    for before, after in zip(played.questions, played.questions[1:], strict=False):
        assert after.prompt[: len(before.messages)] == before.messages
        assert after.instructions == before.instructions


def test_variables_that_a_program_left_are_told_before_the_next():
    played = run(program("x"), says("done"), code=lambda _: ExecResponse(variables=("x: int = 1",)))
    assert "Variables:\nx: int = 1" in played.questions[1].prompt[-1].text


def test_prose_ends_the_turn_where_it_may():
    played = run(says("The answer is 4.  \n"))
    assert (played.conclusion.text, played.conclusion.stop, played.conclusion.has_output) == (
        "The answer is 4.",
        None,
        False,
    )
    assert played.sequence[-2].startswith("3 checkpoint before_completion")


def test_prose_gets_a_reminder_where_only_submit_ends_and_the_turn_stops_after_the_repairs():
    played = run(*[says("I think it is 4")] * 3, rules=SUBMIT)
    assert played.conclusion.stop == "invalid_output"
    assert issue_codes(played.conclusion) == ["program_missing"]
    assert "holds no program" in played.questions[1].prompt[-2].text
    assert len(played.questions) == 3


def test_an_empty_answer_is_never_the_end():
    played = run(says(" \n"), says("four"))
    assert played.conclusion.text == "four"
    assert "The answer was empty" in played.questions[1].prompt[-2].text


def test_a_program_that_fails_goes_back_with_its_error():
    failing = ExecResponse(observations=("before",), error="error[type_error]: no")
    played = run(program("a"), program("b"), code={"a": failing, "b": submits(1)})
    assert played.conclusion.messages[2].text == "Output:\nbefore\nThe program failed.\nerror[type_error]: no"
    assert played.conclusion.output == 1


def test_repairs_are_counted_in_a_row_and_apart_from_the_turns():
    outcomes = {"bad": ExecResponse(error="no"), "good": ExecResponse()}
    steps = [program(name) for name in ("bad", "bad", "good", "bad", "bad", "bad")]
    played = run(*steps, code=outcomes, rules=CodeRules(max_repairs=2), terms=config(max_turns=50))
    assert played.conclusion.stop == "invalid_output"
    assert len(played.questions) == 6
    assert issue_codes(played.conclusion) == ["program_failed"]


def test_an_executor_that_fails_is_told_like_a_program_that_fails():
    played = run(program("a"), says("sorry"), code=lambda _: ExecFailure("no room"))
    assert played.conclusion.messages[2].text.endswith("The program failed.\nno room")


def test_a_submitted_value_that_does_not_fit_goes_back_with_the_schema_and_then_stops_the_turn():
    wrong = submits({"answer": "x"})
    played = run(*[program("a")] * 3, code=lambda _: wrong, terms=config(output=output_rule(max_repairs=2)))
    assert (played.conclusion.stop, issue_codes(played.conclusion)) == ("invalid_output", ["invalid_output"])
    note = played.questions[1].prompt[-2].text
    assert 'It was: {"answer": "x"}' in note
    assert "answer must be an integer" in note
    assert '"required": ["answer"]' in note


def test_a_submitted_value_that_fits_is_the_typed_answer():
    played = run(program("a"), code=lambda _: submits({"answer": 4}), terms=config(output=output_rule()))
    assert (played.conclusion.output, played.conclusion.text) == ({"answer": 4}, '{"answer": 4}')


def test_prose_that_is_the_typed_answer_counts_where_prose_may_end():
    played = run(says('```json\n{"answer": 4}\n```'), terms=config(output=output_rule()))
    assert played.conclusion.output == {"answer": 4}


def test_a_cut_output_is_named_by_an_expression_that_counts_the_sessions_messages():
    cut = ExecResponse(
        observations=("short", "head…tail"),
        observation_truncation=({"output": 1, "chars": 25_000, "attachment": "a1"},),
    )
    played = run(program("a"), says("ok"), code=lambda _: cut, opening={"history_length": 10})
    text = played.conclusion.messages[2].text
    assert "output 1 has 25,000 characters; the whole text is `history[12].output[1]`" in text
    event = next(one for one in played.conclusion.records if isinstance(one, ProtocolEvent))
    assert event.payload["whole"] == [{"output": 1, "chars": 25_000, "attachment": "a1"}]


def test_an_output_that_its_message_tells_whole_is_stored_once():
    played = run(program("a"), says("ok"), code=lambda _: ExecResponse(observations=("only this",)))
    assert not [one for one in played.conclusion.records if isinstance(one, ProtocolEvent)]


def test_calls_of_programs_are_listed_in_the_conclusion():
    line = ToolCallRecord(call_id="p3.0", name="read", args={"path": "a"}, result="text")
    played = run(program("a"), code=lambda _: submits(1).replace(tool_calls=(plain(line),)))
    assert played.conclusion.tool_calls == (line,)


@pytest.mark.parametrize(
    ("control", "stop", "output"),
    [(FinishTurn({"answer": 1}), None, {"answer": 1}), (FailTurn("enough"), "tool_failure", None)],
)
def test_a_call_may_end_the_turn(control, stop, output):
    result = settled(call("p3.0"), control=plain(control))
    played = run(program("a"), code=lambda _: ExecResponse(terminal_finish=plain(EndedByTool(result))))
    assert (played.conclusion.stop, played.conclusion.output) == (stop, output)


def test_a_call_may_switch_the_frame():
    result = settled(call("p3.0"), control=plain(SwitchAgentFrame("f2")))
    played = run(program("a"), code=lambda _: ExecResponse(terminal_finish=plain(EndedByTool(result))))
    assert played.conclusion.switch == SwitchAgentFrame("f2")


def test_at_the_limit_prose_is_asked_for_once_and_the_stop_is_the_limit():
    played = run(program("a"), program("b"), says("It is 4."), terms=config(max_turns=2))
    assert (played.conclusion.stop, played.conclusion.text) == ("max_turns", "It is 4.")
    assert "no program is run any more" in played.questions[2].prompt[-1].text


def test_a_program_in_the_last_answer_is_not_run():
    played = run(program("a"), program("b", "It is 4.\n"), terms=config(max_turns=1))
    assert [one for one in played.sequence if "exec" in one] == ["3 exec"]
    assert played.conclusion.text == "It is 4."


@pytest.mark.parametrize("rules", [SUBMIT, CodeRules()])
def test_at_the_limit_the_turn_stops_where_prose_would_not_count_or_is_not_wanted(rules):
    terms = config(max_turns=1, on_max_turns="summarise" if rules is SUBMIT else "stop")
    played = run(program("a"), rules=rules, terms=terms)
    assert (played.conclusion.stop, len(played.questions)) == ("max_turns", 1)


def test_a_message_that_comes_before_the_end_makes_the_turn_go_on():
    late = CheckpointDelivery(messages=(Message(id="x", role="user", parts=(TextPart("wait"),)),))
    played = run(program("a"), says("ok"), code=lambda _: submits(1), deliveries=[late])
    assert played.conclusion.text == "ok"


@pytest.mark.parametrize(
    ("tokens", "word"),
    [(0, ""), (599, ""), (600, "filling up"), (900, "almost full"), (1_000, "over"), (2_000, "over")],
)
def test_the_model_is_warned_as_its_window_fills(tokens, word):
    hint = context_hint(tokens, 1_000)
    assert (word in hint) if word else hint == ""


def test_the_warning_stands_in_the_status_of_the_next_call():
    full = says("```lashlang\nx\n```", usage=TokenUsage(input_tokens=950, output_tokens=1))
    played = run(full, says("ok"), terms=config(context_window_tokens=1_000))
    assert "almost full" in played.questions[1].prompt[-1].text
    assert "Context" not in played.questions[0].prompt[-1].text


OUTCOMES = st.sampled_from(
    [
        ExecResponse(),
        ExecResponse(observations=("a", "b"), variables=("x: int = 1",)),
        ExecResponse(error="no"),
        ExecFailure("broken"),
        submits(3),
        submits({"answer": 3}),
        ExecResponse(terminal_finish=plain(EndedByTool(settled(call("c"), control=plain(FinishTurn(1)))))),
    ]
)
ANSWERS = st.sampled_from(
    [program("a"), program("b", "hm\n"), says("prose"), says(""), says('{"answer": 1}')]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(ANSWERS, max_size=6),
    st.lists(OUTCOMES, min_size=1, max_size=4),
    st.sampled_from([CodeRules(), SUBMIT, CodeRules(max_repairs=0)]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, output_rule()]),
)
def test_a_turn_of_programs_that_is_restored_after_every_step_goes_exactly_the_same_way(
    answers, outcomes, rules, max_turns, output
):
    def world() -> dict[str, Any]:
        left = list(outcomes)
        return {"code": lambda _: left.pop(0) if len(left) > 1 else left[0]}

    terms = config(max_turns=max_turns, output=output)
    steps = [*answers, *[says("enough")] * 12]
    straight = run(*steps, rules=rules, terms=terms, **world())
    restarted = run(*steps, rules=rules, terms=terms, restart=True, **world())
    assert restarted.effects == straight.effects
    assert restarted.conclusion == straight.conclusion
