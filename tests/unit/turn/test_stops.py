"""Every way in which a model's answer, or the lack of one, ends a turn."""

from __future__ import annotations

import pytest
from tests.unit.turn.script import (
    an_issue,
    broken_call,
    call,
    config,
    issue_codes,
    play,
    says,
    settled,
    shape,
)

from lash.turn import StopTurn
from lash.values import (
    AttachmentPart,
    AttachmentRef,
    CheckpointDelivery,
    ModelFailure,
    QueuedWorkCompletion,
    ReasoningPart,
    TokenUsage,
)


@pytest.mark.parametrize("reason", ["stop", "tool_use", "unknown"])
def test_an_answer_that_ends_by_itself_is_no_stop(reason):
    end = play(config(), says("fine", terminal_reason=reason)).conclusion
    assert (end.stop, end.text, end.issues) == (None, "fine", ())


@pytest.mark.parametrize("reason", ["output_limit", "context_overflow", "content_filter", "cancelled"])
def test_a_cut_answer_is_kept_and_stops_the_turn(reason):
    played = play(config(), says("half a sent", terminal_reason=reason))
    end = played.conclusion
    assert (end.stop, end.text) == (reason, "half a sent")
    assert shape(end.messages) == ["user: question", "assistant: half a sent"]
    assert issue_codes(end) == [reason]
    assert played.sequence == ["1 sync(false)", "2 llm", "finish"], "nothing is let in any more"


def test_a_cut_answer_without_a_part_leaves_no_message():
    end = play(config(), says(terminal_reason="content_filter", diagnostic="refused")).conclusion
    assert shape(end.messages) == ["user: question"]
    assert (end.stop, end.issues[0].message) == ("content_filter", "refused")


def test_calls_of_an_answer_that_was_cut_off_are_never_run():
    played = play(config(), says("writing", call("c1"), broken_call("c2"), terminal_reason="output_limit"))
    assert played.batches == []
    end = played.conclusion
    assert end.stop == "output_limit"
    lines = shape(end.messages)
    assert lines[1] == "assistant: writing [c1 c2]"
    assert [line.split(":")[0] for line in lines[2:]] == ["tool c1", "tool c2"]
    assert all("cut off" in line and "call_not_executed" in line for line in lines[2:])
    assert [(line.call_id, line.is_error, line.attempts) for line in end.tool_calls] == [
        ("c1", True, 0),
        ("c2", True, 0),
    ]


@pytest.mark.parametrize(
    ("input_tokens", "output_tokens", "window", "stop"),
    [
        (950, 0, 1000, "context_overflow"),
        (949, 0, 1000, "output_limit"),
        (1000, 1, 1000, "output_limit"),
        (1000, 0, None, "output_limit"),
    ],
)
def test_a_limit_before_the_first_token_of_a_full_window_is_an_overflow(
    input_tokens, output_tokens, window, stop
):
    usage = TokenUsage(input_tokens=input_tokens, output_tokens=output_tokens)
    end = play(
        config(context_window_tokens=window), says(usage=usage, terminal_reason="output_limit")
    ).conclusion
    assert end.stop == stop


def test_a_failed_model_call_stops_with_what_came_before():
    failure = ModelFailure(kind="http", code="model_http", message="503", status=503, attempts=4)
    end = play(config(), says("looking", call("c1")), failure).conclusion
    assert (end.stop, end.text, end.model_calls, len(end.model_usage)) == ("provider_error", "looking", 2, 1)
    assert shape(end.messages)[-1] == "tool c1: result of c1"
    issue = end.issues[0]
    assert (issue.kind, issue.code, issue.message) == ("model", "model_http", "503")
    assert issue.facts == {"failure_kind": "http", "attempts": 4, "status": 503}


@pytest.mark.parametrize("reason", ["context_overflow", "content_filter", "cancelled", "output_limit"])
def test_a_failure_that_names_its_reason_stops_with_it(reason):
    failure = ModelFailure(kind="validation", code="x", message="m", terminal_reason=reason)
    assert play(config(), failure).conclusion.stop == reason


def test_a_failure_that_claims_a_natural_end_is_still_the_providers():
    failure = ModelFailure(kind="unknown", code="x", message="m", terminal_reason="stop")
    assert play(config(), failure).conclusion.stop == "provider_error"


@pytest.mark.parametrize("parts", [(), ("",), (" \n ",), (ReasoningPart("only thoughts"),)])
def test_an_answer_of_nothing_is_an_empty_response(parts):
    end = play(config(), says(*parts)).conclusion
    assert (end.stop, end.text) == ("empty_response", "")
    assert issue_codes(end) == ["empty_response"]


def test_an_empty_answer_after_tools_is_a_legitimate_end():
    played = play(config(), says("on it", call("c1")), says())
    end = played.conclusion
    assert (end.stop, end.text, end.issues) == (None, "", ())
    assert shape(end.messages)[-1] == "tool c1: result of c1"
    assert played.sequence[-2:] == ["7 checkpoint before_completion", "finish"]


def test_an_answer_of_an_attachment_alone_is_an_answer():
    ref = AttachmentRef(id="a" * 64, media_type="image/png", byte_len=3)
    end = play(config(), says(AttachmentPart(ref))).conclusion
    assert (end.stop, end.messages[-1].parts) == (None, (AttachmentPart(ref),))


def test_the_driver_can_stop_the_turn_instead_of_asking_the_model():
    played = play(config(), says(call("c1")), StopTurn("budget_exhausted", an_issue("budget")))
    end = played.conclusion
    assert (end.stop, issue_codes(end), end.model_calls) == ("budget_exhausted", ["budget"], 1)
    assert shape(end.messages)[-1] == "tool c1: result of c1"


def test_the_queued_work_of_every_checkpoint_reaches_the_conclusion():
    claims = [
        QueuedWorkCompletion(session_id="s", claim_id=f"k{n}", lease_token="l", batch_ids=(f"b{n}",))
        for n in range(2)
    ]
    deliveries = [CheckpointDelivery(completions=(claim,)) for claim in claims]
    end = play(config(), says(call("c1")), says("done"), deliveries=deliveries, tool=settled).conclusion
    assert end.completions == tuple(claims)
