"""Replies that do not fit change nothing, and a step that fails leaves the machine as it was."""

from __future__ import annotations

import pytest
from tests.unit.turn.code_protocol import ProgramProtocol
from tests.unit.turn.script import (
    Script,
    an_issue,
    call,
    config,
    output_rule,
    play,
    says,
    settled,
    surface,
    until,
)

from lash.errors import LashBug
from lash.turn import (
    AdvanceIteration,
    AskModel,
    CheckpointPassed,
    CodeRan,
    EmitActivity,
    Finish,
    ModelAnswered,
    ReachCheckpoint,
    Report,
    RunCode,
    RunTools,
    StartCode,
    StartTools,
    SurfaceSynced,
    SyncSurface,
    ToolsProtocol,
    ToolsSettled,
    TurnMachine,
    TurnView,
)
from lash.values import ExecResponse, ModelRequestStarted


def replies(effect_id):
    return [
        SurfaceSynced(effect_id, surface("other")),
        ModelAnswered(effect_id, says("stray")),
        ToolsSettled(effect_id, (settled(call("c1")),)),
        CodeRan(effect_id, ExecResponse(terminal_finish=1)),
        CheckpointPassed(effect_id),
    ]


FITTING = {
    SyncSurface: SurfaceSynced,
    AskModel: ModelAnswered,
    RunTools: ToolsSettled,
    RunCode: CodeRan,
    ReachCheckpoint: CheckpointPassed,
}


@pytest.mark.parametrize("kind", [SyncSurface, AskModel, RunTools, ReachCheckpoint, RunCode])
def test_replies_of_another_kind_or_effect_change_nothing(kind):
    protocol = ProgramProtocol() if kind is RunCode else ToolsProtocol()
    machine = TurnMachine(config(), protocol)
    effect = until(machine, kind, Script(model=[says(call("c1"))]))
    before = machine.snapshot()
    for reply in (*replies(effect.effect_id - 1), *replies(effect.effect_id + 1)):
        machine.feed(reply)
    for reply in replies(effect.effect_id):
        if not isinstance(reply, FITTING[kind]):
            machine.feed(reply)
    assert machine.snapshot() == before
    assert machine.poll() is None, "the effect is not handed out a second time"


def test_a_reply_that_is_fed_twice_counts_once():
    machine = TurnMachine(config(), ToolsProtocol())
    question = until(machine, AskModel, Script())
    reply = ModelAnswered(question.effect_id, says("once"))
    machine.feed(reply)
    before = machine.snapshot()
    machine.feed(reply)
    assert machine.snapshot() == before


def test_nothing_is_taken_before_anything_was_asked():
    machine = TurnMachine(config(), ToolsProtocol())
    before = machine.snapshot()
    for reply in (*replies(0), *replies(1)):
        machine.feed(reply)
    assert machine.snapshot() == before


@pytest.mark.parametrize(
    "ids", [(), ("c1",), ("c1", "c2", "c3"), ("c1", "c1"), ("c1", "c2", "c2"), ("c1", "c9")]
)
def test_results_that_do_not_match_the_calls_are_a_bug_of_the_driver(ids):
    machine = TurnMachine(config(), ToolsProtocol())
    batch = until(machine, RunTools, Script(model=[says(call("c1"), call("c2"))]))
    before = machine.snapshot()
    with pytest.raises(LashBug, match="c1"):
        machine.feed(ToolsSettled(batch.effect_id, tuple(settled(call(one)) for one in ids)))
    assert machine.snapshot() == before
    machine.feed(ToolsSettled(batch.effect_id, tuple(settled(part) for part in batch.calls)))
    assert machine.snapshot() != before


def test_the_calls_that_were_replayed_are_marked():
    machine = TurnMachine(config(), ToolsProtocol())
    batch = until(machine, RunTools, Script(model=[says(call("c1"), call("c2"))]))
    machine.feed(ToolsSettled(batch.effect_id, tuple(settled(part) for part in batch.calls), ("c2",)))
    until(machine, AskModel, Script())
    machine.cancel()
    assert [line.replayed for line in machine.conclusion.tool_calls] == [False, True]


def test_a_validator_that_raises_leaves_the_machine_as_it_was():
    broken = [True]

    def validate(value):
        if broken:
            raise RuntimeError("schema service down")

    machine = TurnMachine(config(output=output_rule(native=True, validate_output=validate)), ToolsProtocol())
    question = until(machine, AskModel, Script())
    before = machine.snapshot()
    reply = ModelAnswered(question.effect_id, says("{}"))
    with pytest.raises(RuntimeError):
        machine.feed(reply)
    assert machine.snapshot() == before
    broken.clear()
    machine.feed(reply)
    assert isinstance(until(machine, ReachCheckpoint, Script()), ReachCheckpoint)


class Broken(ProgramProtocol):
    """Answers one hook with whatever it is told to."""

    def __init__(self, hook, actions):
        self._hook, self._actions = hook, actions

    def prepare_iteration(self, view):
        return self._actions if self._hook == "prepare" else super().prepare_iteration(view)

    def on_model(self, view, answer):
        return self._actions if self._hook == "model" else super().on_model(view, answer)


@pytest.mark.parametrize(
    "actions",
    [
        [],
        [Report(an_issue())],
        [Finish(), Report(an_issue())],
        [StartCode("a"), StartCode("b")],
        [StartTools(())],
    ],
    ids=["none", "no step", "step before the end", "two steps", "no calls"],
)
def test_a_protocol_that_takes_no_single_step_is_found_out(actions):
    machine = TurnMachine(config(), Broken("model", actions))
    question = until(machine, AskModel, Script())
    before = machine.snapshot()
    with pytest.raises(LashBug, match="turn 't'"):
        machine.feed(ModelAnswered(question.effect_id, says("x")))
    assert machine.snapshot() == before


def test_a_protocol_that_advances_instead_of_preparing_is_found_out():
    machine = TurnMachine(config(), Broken("prepare", [AdvanceIteration()]))
    with pytest.raises(LashBug, match="may not advance"):
        until(machine, AskModel, Script())


def test_a_protocol_may_show_something_to_whoever_watches():
    shown = ModelRequestStarted(iteration=0)
    played = play(config(), says("x"), protocol=Broken("model", [EmitActivity(shown), Finish(text="end")]))
    assert played.emitted[-1] == shown
    assert played.conclusion.text == "end"


def test_the_protocol_of_tools_runs_no_code():
    view = TurnView(
        config=config(),
        iteration=0,
        surface=surface(),
        records=(),
        tool_calls=(),
        memory=None,
        final_note=None,
    )
    assert view.last_text == ""
    with pytest.raises(LashBug, match="runs no code"):
        ToolsProtocol().on_code(view, ExecResponse())
