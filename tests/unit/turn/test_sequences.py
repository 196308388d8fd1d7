"""The nominal effect sequences of runtime 1.5, and what each effect carries."""

from __future__ import annotations

import itertools

from tests.unit.turn.code_protocol import ProgramProtocol
from tests.unit.turn.script import WAITING, call, config, play, says, settled, shape, surface

from lash.turn import MessageDraft, RunCode, SyncSurface
from lash.values import (
    CheckpointDelivery,
    ExecFailure,
    ExecResponse,
    Message,
    ProtocolEvent,
    TextPart,
    TokenUsage,
    UsageReported,
)


def test_a_turn_without_tools_syncs_asks_checks_and_finishes():
    played = play(config(), says("hello"))
    assert played.sequence == ["1 sync(false)", "2 llm", "3 checkpoint before_completion", "finish"]


def test_a_turn_with_one_round_of_tools_reads_the_surface_again_before_the_second_question():
    played = play(config(), says(call("c1")), says("done"))
    assert played.sequence == [
        "1 sync(false)",
        "2 llm",
        "3 tools",
        "4 checkpoint after_work",
        "5 sync(true)",
        "6 llm",
        "7 checkpoint before_completion",
        "finish",
    ]


def test_a_code_protocol_runs_a_step_and_then_submits():
    results = {"step": ExecResponse(), "submit": ExecResponse(terminal_finish=42)}
    played = play(
        config(), says("step"), says("submit"), protocol=ProgramProtocol(), code=lambda code: results[code]
    )
    assert played.sequence == [
        "1 sync(false)",
        "2 llm",
        "3 exec",
        "4 checkpoint after_work",
        "5 sync(true)",
        "6 llm",
        "7 exec",
        "8 checkpoint before_completion",
        "finish",
    ]
    assert [effect.code for effect in played.asked if isinstance(effect, RunCode)] == ["step", "submit"]
    assert (played.conclusion.output, played.conclusion.has_output) == (42, True)


def test_a_code_protocols_memory_and_events_become_records_in_order():
    outcomes = {"bad": ExecFailure("it broke"), "good": ExecResponse(terminal_finish=True)}
    played = play(
        config(), says("bad"), says("good"), protocol=ProgramProtocol(), code=lambda code: outcomes[code]
    )
    assert [
        record.payload if isinstance(record, ProtocolEvent) else record.text
        for record in played.conclusion.records
    ] == ["question", "bad", {"program": "bad"}, "it broke", "good", {"program": "good"}]
    assert shape(played.questions[1].messages) == ["user: question", "assistant: bad", "user: it broke"]


def test_a_delivery_before_completion_makes_another_iteration_with_a_new_sync():
    delivery = CheckpointDelivery(messages=(Message(id="q", role="user", parts=(TextPart("and this?"),)),))
    played = play(config(), says("one"), says("two"), deliveries=[delivery])
    assert played.sequence == [
        "1 sync(false)",
        "2 llm",
        "3 checkpoint before_completion",
        "4 sync(true)",
        "5 llm",
        "6 checkpoint before_completion",
        "finish",
    ]
    assert played.conclusion.text == "two"


def test_effect_ids_are_consecutive_from_one_in_a_long_turn():
    rounds = [says(call(f"c{number}")) for number in range(6)]
    played = play(config(), *rounds, says("done"))
    assert [effect.effect_id for effect in played.asked] == list(range(1, len(played.asked) + 1))


def test_the_iteration_counts_from_where_it_is_told_to():
    played = play(config(first_iteration=4), says(call("c1")), says("done"))
    assert [(type(effect).__name__, effect.iteration) for effect in played.asked] == [
        ("SyncSurface", 4),
        ("AskModel", 4),
        ("RunTools", 4),
        ("ReachCheckpoint", 4),
        ("SyncSurface", 5),
        ("AskModel", 5),
        ("ReachCheckpoint", 5),
    ]
    assert played.conclusion.last_iteration == 5


def test_the_first_sync_changes_nothing_and_later_ones_do():
    played = play(
        config(surface=surface("read", instructions="be brief")),
        says(call("c1")),
        says("done"),
        surfaces={0: surface("ignored"), 1: surface("read", "write", instructions="be briefer")},
    )
    first, second = played.questions
    assert (first.instructions, [tool.name for tool in first.tools]) == ("be brief", ["read"])
    assert (second.instructions, [tool.name for tool in second.tools]) == ("be briefer", ["read", "write"])


def test_a_sync_without_news_keeps_the_surface():
    played = play(config(surface=surface("read")), says(call("c1")), says("done"), surfaces={})
    assert [tool.name for tool in played.questions[1].tools] == ["read"]


def test_the_model_sees_the_turns_own_messages_and_nothing_older():
    played = play(config(), says("let me look", call("c1"), call("c2")), says("done"))
    assert shape(played.questions[0].messages) == ["user: question"]
    assert shape(played.questions[1].messages) == [
        "user: question",
        "assistant: let me look [c1 c2]",
        "tool c1: result of c1",
        "tool c2: result of c2",
    ]


def test_message_ids_are_derived_from_the_turn_and_the_place():
    played = play(config(turn_id="s:7"), says(call("c1")), says("done"))
    assert [message.id for message in played.conclusion.messages] == ["s:7:m0", "s:7:m1", "s:7:m2", "s:7:m3"]


def test_results_come_in_call_order_whatever_the_order_of_settlement():
    ranks = {"c1": 2, "c2": 0, "c3": 1}
    played = play(
        config(),
        says(call("c1"), call("c2"), call("c3")),
        says("done"),
        tool=lambda part: settled(part, rank=ranks[part.call_id]),
        settle_order=lambda results: sorted(results, key=lambda result: result.rank),
    )
    assert [line for line in shape(played.conclusion.messages) if line.startswith("tool")] == [
        "tool c1: result of c1",
        "tool c2: result of c2",
        "tool c3: result of c3",
    ]
    assert [(line.call_id, line.settled_rank) for line in played.conclusion.tool_calls] == [
        ("c1", 2),
        ("c2", 0),
        ("c3", 1),
    ]


def test_progress_tells_of_every_record_once_and_before_the_effect_behind_it():
    played = play(config(), says(call("c1")), says("done"))
    told = list(itertools.chain.from_iterable(notice.records for notice in played.progress))
    assert tuple(told) == played.conclusion.records
    kinds = [type(effect).__name__ for effect in played.effects]
    assert kinds[kinds.index("RunTools") - 1] == "Progress"
    assert kinds[-2:] == ["ReachCheckpoint", "Done"]


def test_a_turn_whose_last_batch_adds_records_tells_of_them_before_done():
    played = play(config(), says("cut", terminal_reason="output_limit"))
    assert [type(effect).__name__ for effect in played.effects][-2:] == ["Progress", "Done"]


def test_usage_is_reported_after_each_answer_and_summed():
    one, two = TokenUsage(input_tokens=5, output_tokens=2), TokenUsage(input_tokens=9, output_tokens=3)
    played = play(config(), says(call("c1"), usage=one, model="m-1"), says("done", usage=two))
    total = TokenUsage(input_tokens=14, output_tokens=5)
    assert played.emitted == [
        UsageReported(iteration=0, usage=one, cumulative=one),
        UsageReported(iteration=1, usage=two, cumulative=total),
    ]
    end = played.conclusion
    assert (end.usage, end.model_calls) == (total, 2)
    assert [(line.effect_id, line.iteration, line.usage, line.model) for line in end.model_usage] == [
        (2, 0, one, "m-1"),
        (6, 1, two, None),
    ]


def test_a_turn_may_open_without_input():
    played = play(config(input=()), says("hello"))
    assert shape(played.conclusion.messages) == ["assistant: hello"]


def test_the_opening_messages_keep_their_parts_and_order():
    opening = (MessageDraft.text("system", "rules"), MessageDraft.text("user", "question"))
    played = play(config(input=opening), says("hello"))
    assert shape(played.questions[0].messages) == ["system: rules", "user: question"]


def test_every_effect_that_wants_a_reply_comes_with_its_iteration():
    played = play(config(), says(call("c1")), says("done"))
    assert all(isinstance(effect, WAITING) and effect.iteration in (0, 1) for effect in played.asked)
    assert isinstance(played.asked[0], SyncSurface)
