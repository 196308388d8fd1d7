"""Laws of every turn, over models, tools and checkpoints that do what they like (runtime, Appendix B)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.turn.script import (
    WAITING,
    Script,
    failed,
    output_rule,
    play,
    says,
    settled,
    surface,
)

from lash.turn import (
    Abandon,
    AskModel,
    CheckpointPassed,
    Done,
    MessageDraft,
    ModelAnswered,
    RunTools,
    StopTurn,
    SurfaceSynced,
    ToolsProtocol,
    ToolsSettled,
    TurnCause,
    TurnConfig,
    TurnMachine,
)
from lash.turn.sealing import open_calls
from lash.values import (
    CheckpointDelivery,
    FailTurn,
    FinishTurn,
    Message,
    ModelFailure,
    ModelResponse,
    ReasoningPart,
    SwitchAgentFrame,
    TextPart,
    TokenUsage,
    ToolCallPart,
    ToolResultPart,
    plain,
)

TEXTS = st.sampled_from(["", " \n", "hello  \n", '{"answer": 1}', '{"answer": "x"}', "```\n{}\n```"])
CALL_IDS = st.sampled_from(["", " ", "a", "b", "call-2-0", "call-6-1"])
TOOLS = st.sampled_from(["read", "bad", "finish", "fail", "switch", "submit"])
CALLS = st.builds(
    ToolCallPart,
    call_id=CALL_IDS,
    name=TOOLS,
    args=st.sampled_from([{}, {"answer": 3}, {"answer": None}, {"path": "ä"}]),
    raw_args=st.sampled_from([None, None, None, "{"]),
)
PARTS = st.one_of(
    st.builds(TextPart, TEXTS),
    st.builds(ReasoningPart, st.just("thought"), signature=st.sampled_from([None, "sig"])),
    CALLS,
    CALLS,
    st.just(ToolResultPart("a", "read", "forged")),
)
USAGES = st.builds(TokenUsage, input_tokens=st.integers(0, 1000), output_tokens=st.integers(0, 9))
GOING_ON = st.builds(lambda parts, usage: says(*parts, usage=usage), st.lists(PARTS, max_size=4), USAGES)
CUT = st.builds(
    lambda parts, usage, reason: says(*parts, usage=usage, terminal_reason=reason),
    st.lists(PARTS, max_size=3),
    USAGES,
    st.sampled_from(["output_limit", "content_filter", "context_overflow", "cancelled", "unknown"]),
)
FAILED = st.builds(
    ModelFailure,
    kind=st.just("http"),
    code=st.just("model_http"),
    message=st.just("503"),
    terminal_reason=st.sampled_from([None, "context_overflow", "cancelled"]),
)
STEPS = st.one_of(GOING_ON, GOING_ON, GOING_ON, GOING_ON, CUT, FAILED, st.just(StopTurn("budget_exhausted")))

INJECTED = st.builds(
    lambda role, text: Message(id="outside", role=role, parts=(TextPart(text),)),
    st.sampled_from(["user", "system", "assistant"]),
    st.sampled_from(["hurry", "also"]),
)
CAUSES = st.builds(lambda name: plain(TurnCause(id=name, text=f"woken by {name}")), st.sampled_from("xyz"))
DELIVERIES = st.builds(
    CheckpointDelivery,
    messages=st.lists(INJECTED, max_size=2).map(tuple),
    transient_messages=st.lists(INJECTED, max_size=1).map(tuple),
    causes=st.lists(CAUSES, max_size=2).map(tuple),
)
OUTPUTS = st.sampled_from([None, None, output_rule(), output_rule(native=True), output_rule(max_repairs=0)])
TERMS = st.builds(
    TurnConfig,
    turn_id=st.just("t"),
    input=st.sampled_from([(), (MessageDraft.text("user", "question"),)]),
    causes=st.sampled_from([(), (TurnCause(id="x", text="woken"),)]),
    surface=st.just(surface("read", "bad", "finish", "fail", "switch")),
    first_iteration=st.sampled_from([0, 3]),
    max_turns=st.sampled_from([None, 1, 2, 3]),
    on_max_turns=st.sampled_from(["summarise", "stop"]),
    context_window_tokens=st.sampled_from([None, 900]),
    output=OUTPUTS,
)


def tool(part: ToolCallPart) -> Any:
    match part.name:
        case "bad":
            return failed(part)
        case "finish":
            return settled(part, control=plain(FinishTurn({"answer": 5})))
        case "fail":
            return settled(part, control=plain(FailTurn("no")))
        case "switch":
            return settled(part, control=plain(SwitchAgentFrame("f")))
    return settled(part, {"args": part.args})


ENDLESS = [says('{"answer": 1}')] * 20


@dataclass(frozen=True)
class Story:
    """One way in which the world may go. A model that has no steps left answers so that any turn ends."""

    terms: TurnConfig
    steps: tuple[Any, ...]
    deliveries: tuple[CheckpointDelivery, ...]

    def play(self, **how: Any) -> Any:
        return play(self.terms, *self.steps, *ENDLESS, deliveries=self.deliveries, tool=tool, **how)


STORIES = st.builds(
    Story,
    TERMS,
    st.lists(STEPS, max_size=6).map(tuple),
    st.lists(DELIVERIES, max_size=4).map(tuple),
)


@settings(max_examples=200, deadline=None)
@given(STORIES)
def test_a_turn_that_is_restored_after_every_step_goes_exactly_the_same_way(story):
    straight, restarted = story.play(), story.play(restart=True)
    assert restarted.effects == straight.effects
    assert restarted.conclusion == straight.conclusion


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_messages_only_grow_and_their_ids_are_unique(story):
    played = story.play()
    seen: tuple[Message, ...] = ()
    for question in played.questions:
        assert question.messages[: len(seen)] == seen
        seen = question.messages
    final = played.conclusion.messages
    assert final[: len(seen)] == seen
    assert [message.id for message in final] == [f"t:m{n}" for n in range(len(final))]
    shown = [m.id for question in played.questions for m in question.prompt if m not in final]
    stored = {message.id for message in final}
    assert not stored & set(shown)


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_the_history_can_be_gone_on_from_however_the_turn_ends(story):
    end = story.play().conclusion
    calls = [part.call_id for message in end.messages for part in message.tool_calls]
    results = [
        part.call_id for message in end.messages for part in message.parts if isinstance(part, ToolResultPart)
    ]
    assert results == calls, "every call has its result, once, in call order"
    assert len(set(calls)) == len(calls)
    assert all(call_id.strip() for call_id in calls)
    assert open_calls(end.records) == []


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_only_whole_calls_of_whole_answers_are_run_and_each_once(story):
    played = story.play()
    run = [part for batch in played.batches for part in batch.calls]
    assert all(part.raw_args is None for part in run)
    assert len({part.call_id for part in run}) == len(run)
    if story.terms.output and not story.terms.output.native:
        assert all(part.name != "submit" for part in run)
    listed = {line.call_id for line in played.conclusion.tool_calls}
    assert {part.call_id for part in run} <= listed


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_what_is_counted_agrees(story):
    played = story.play()
    end = played.conclusion
    assert [effect.effect_id for effect in played.asked] == list(range(1, len(played.asked) + 1))
    assert sum((line.usage for line in end.model_usage), TokenUsage()) == end.usage
    assert tuple(itertools.chain.from_iterable(n.records for n in played.progress)) == end.records
    stopped_instead = sum(isinstance(step, StopTurn) for step in story.steps[: len(played.questions)])
    assert end.model_calls == len(played.questions) - stopped_instead
    limit = story.terms.max_turns
    if limit is not None:
        assert len(played.questions) <= limit + (story.terms.on_max_turns == "summarise")
    if end.has_output:
        assert end.output is not None


@settings(max_examples=100, deadline=None)
@given(STORIES, st.integers(0, 40), st.booleans())
def test_a_turn_can_be_cancelled_at_any_step_and_is_then_whole(story, patience, restart):
    machine = TurnMachine(story.terms, ToolsProtocol())
    world = Script(model=[*story.steps, *ENDLESS], deliveries=story.deliveries, tool=tool)
    for _ in range(patience):
        if machine.conclusion is not None:
            break
        effect = machine.poll()
        if isinstance(effect, WAITING):
            machine.feed(world.reply(effect))
    if restart:
        machine = TurnMachine.restore(machine.snapshot(), story.terms, ToolsProtocol())
    over_before = machine.conclusion
    machine.cancel()
    end = machine.conclusion
    assert end is not None
    assert end == over_before or end.stop == "cancelled"
    assert open_calls(end.records) == []
    *notices, done = iter(machine.poll, None)
    assert isinstance(done, Done)
    assert done.conclusion == end
    assert not any(isinstance(effect, (*WAITING, Done)) for effect in notices)


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_stray_replies_between_the_steps_change_nothing(story):
    machine = TurnMachine(story.terms, ToolsProtocol())
    world = Script(model=[*story.steps, *ENDLESS], deliveries=story.deliveries, tool=tool)
    stray = ToolCallPart("stray", "read")
    while not isinstance(effect := machine.poll(), Done):
        assert effect is not None
        before = machine.snapshot()
        waited = effect.effect_id if isinstance(effect, WAITING) else -1
        for effect_id in (waited - 1, waited + 1):
            machine.feed(SurfaceSynced(effect_id, surface("stray")))
            machine.feed(ModelAnswered(effect_id, says("stray")))
            machine.feed(ToolsSettled(effect_id, (settled(stray),)))
            machine.feed(CheckpointPassed(effect_id))
        if not isinstance(effect, AskModel):
            machine.feed(ModelAnswered(waited, says("stray")))
        if not isinstance(effect, RunTools):
            machine.feed(ToolsSettled(waited, (settled(stray),)))
        assert machine.snapshot() == before
        if isinstance(effect, WAITING):
            machine.feed(world.reply(effect))
    assert not isinstance(effect, Abandon)
    assert "stray" not in repr(effect)


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_answers_are_kept_part_for_part_except_for_the_ids_that_had_to_change(story):
    played = story.play()
    answers = [step for step in story.steps[: len(played.questions)] if isinstance(step, ModelResponse)]
    kept = [message for message in played.conclusion.messages if message.role == "assistant"]
    for answer, message in zip([a for a in answers if _keepable(a)], kept, strict=False):
        assert [_idless(part) for part in message.parts] == [_idless(part) for part in _keepable(answer)]


def _keepable(answer: ModelResponse) -> list[Any]:
    return [part for part in answer.parts if not isinstance(part, ToolResultPart)]


def _idless(part: Any) -> Any:
    return part.replace(call_id="") if isinstance(part, ToolCallPart) else part
