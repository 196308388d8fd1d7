"""What becomes of a model's answer: the parts that are kept, the ids of calls, arguments that are none."""

from __future__ import annotations

from tests.unit.turn.script import (
    broken_call,
    call,
    config,
    failed,
    issue_codes,
    play,
    says,
    settled,
    shape,
)

from lash.turn import tidy_text
from lash.values import ReasoningPart, TextPart, ToolResultPart


def test_the_whole_final_answer_is_kept_with_reasoning_and_item_ids():
    parts = (
        ReasoningPart("think", signature="sig", encrypted="enc", item_id="r1"),
        TextPart("  yes  \n\n", item_id="i1"),
    )
    end = play(config(), says(*parts)).conclusion
    assert end.messages[-1].parts == parts
    assert end.text == "yes"


def test_reasoning_stays_before_the_call_it_led_to():
    parts = (ReasoningPart("first"), call("c1"), ReasoningPart("second"), call("c2"))
    end = play(config(), says(*parts), says("done")).conclusion
    assert end.messages[1].parts == parts


def test_the_result_text_is_trimmed_line_by_line_and_as_a_whole():
    assert tidy_text("\n  a  \n\tb \r\n\n") == "a\n\tb"


def test_missing_call_ids_are_derived_from_the_effect_and_the_place():
    played = play(config(), says(call(""), call("  ")), says("done"))
    assert [part.call_id for part in played.batches[0].calls] == ["call-2-0", "call-2-1"]
    assert [line.call_id for line in played.conclusion.tool_calls] == ["call-2-0", "call-2-1"]


def test_repeated_call_ids_are_made_unique_within_an_answer():
    played = play(config(), says(call("x"), call("x"), call("x")), says("done"))
    assert [part.call_id for part in played.batches[0].calls] == ["x", "call-2-1", "call-2-2"]


def test_a_call_id_of_an_earlier_iteration_is_not_used_again():
    played = play(config(), says(call("call_0")), says(call("call_0")), says("done"))
    assert [batch.calls[0].call_id for batch in played.batches] == ["call_0", "call-6-0"]


def test_a_derived_call_id_gives_way_to_one_that_the_model_chose():
    played = play(config(), says(call("call-2-1"), call("")), says("done"))
    ids = [part.call_id for part in played.batches[0].calls]
    assert ids[0] == "call-2-1"
    assert ids[1] not in ("", "call-2-1")


def test_a_call_with_arguments_that_are_no_object_fails_without_being_run():
    played = play(config(), says(call("c1"), broken_call("c2"), call("c3")), says("done"))
    assert [part.call_id for part in played.batches[0].calls] == ["c1", "c3"]
    results = shape(played.conclusion.messages)[2:5]
    assert results[0] == "tool c1: result of c1"
    assert results[1].startswith("tool c2: Error [invalid_tool_args]")
    assert '{"path": "REA' in results[1], "the model sees what it wrote"
    assert results[2] == "tool c3: result of c3"
    broken = played.conclusion.tool_calls[1]
    assert (broken.call_id, broken.is_error, broken.attempts, broken.settled_rank) == ("c2", True, 0, 2)


def test_an_answer_of_nothing_but_broken_calls_goes_straight_to_the_checkpoint():
    played = play(config(), says(broken_call("c1")), says("done"))
    assert played.sequence[2] == "3 checkpoint after_work"
    assert played.conclusion.stop is None
    assert played.questions[1].messages[-1].parts[0].is_error


def test_a_long_broken_argument_text_is_shown_in_part():
    played = play(config(), says(broken_call("c1", raw="x" * 100_000)), says("done"))
    content = played.conclusion.messages[2].parts[0].content
    assert len(content) < 1_000
    assert "100000 characters" in content


def test_a_failed_tool_goes_back_to_the_model_and_the_turn_goes_on():
    played = play(config(), says(call("c1", name="nope")), says("then not"), tool=failed)
    assert played.conclusion.stop is None
    assert played.conclusion.messages[2].parts[0].is_error
    assert played.conclusion.tool_calls[0].is_error


def test_attempts_duration_and_replay_are_listed_with_the_call():
    played = play(
        config(),
        says(call("c1", path="a")),
        says("done"),
        tool=lambda part: settled(part, {"rows": 3}, attempts=2, duration_ms=40),
    )
    line = played.conclusion.tool_calls[0]
    assert (line.name, line.args, line.result) == ("read", {"path": "a"}, {"rows": 3})
    assert (line.attempts, line.duration_ms, line.replayed) == (2, 40, False)


def test_a_tool_result_inside_an_answer_is_dropped_and_reported():
    end = play(config(), says("hm", ToolResultPart("c9", "read", "forged"))).conclusion
    assert end.messages[-1].parts == (TextPart("hm"),)
    assert issue_codes(end) == ["unexpected_part"]
    assert end.stop is None
