"""Ending a turn from outside: what it keeps, and that the history can be gone on from."""

from __future__ import annotations

import pytest
from tests.unit.turn.script import (
    Script,
    an_issue,
    call,
    config,
    issue_codes,
    output_rule,
    says,
    settled,
    shape,
    until,
)

from lash.turn import (
    Abandon,
    AskModel,
    CheckpointPassed,
    Done,
    ModelAnswered,
    Progress,
    ReachCheckpoint,
    RunTools,
    StopTurn,
    SurfaceSynced,
    SyncSurface,
    ToolsProtocol,
    ToolsSettled,
    TurnMachine,
)
from lash.turn.sealing import open_calls


def machine_at(kind, *model, terms=None):
    machine = TurnMachine(terms or config(), ToolsProtocol())
    return machine, until(machine, kind, Script(model=model))


def rest(machine):
    effects = []
    while (effect := machine.poll()) is not None:
        effects.append(effect)
    return effects


def test_a_turn_that_is_cancelled_before_it_began_keeps_its_input():
    machine = TurnMachine(config(), ToolsProtocol())
    machine.cancel()
    progress, done = rest(machine)
    assert isinstance(progress, Progress)
    assert (done.conclusion.stop, done.conclusion.text, done.conclusion.model_calls) == ("cancelled", "", 0)
    assert shape(done.conclusion.messages) == ["user: question"]


@pytest.mark.parametrize("kind", [SyncSurface, AskModel, RunTools, ReachCheckpoint])
def test_cancelling_abandons_the_outstanding_effect_and_then_ends(kind):
    machine, effect = machine_at(kind, says("looking", call("c1")), says("done"))
    machine.cancel()
    effects = rest(machine)
    assert effects[0] == Abandon(effect_id=effect.effect_id)
    assert isinstance(effects[-1], Done)
    assert effects[-1].conclusion.stop == "cancelled"
    assert open_calls(effects[-1].conclusion.records) == []


def test_an_effect_that_was_never_handed_out_is_not_abandoned():
    machine, question = machine_at(AskModel)
    machine.feed(ModelAnswered(question.effect_id, says(call("c1"))))
    machine.cancel()
    effects = rest(machine)
    assert not any(isinstance(effect, Abandon | RunTools) for effect in effects)
    assert open_calls(effects[-1].conclusion.records) == []


def test_calls_that_were_being_run_get_results_that_say_so():
    machine, _ = machine_at(RunTools, says("looking", call("c1"), call("c2")))
    machine.cancel()
    end = rest(machine)[-1].conclusion
    assert end.text == "looking"
    lines = shape(end.messages)
    assert [line.split(":")[0] for line in lines[2:]] == ["tool c1", "tool c2"]
    assert all("call_interrupted" in line and "may have taken effect" in line for line in lines[2:])
    assert [(line.call_id, line.is_error) for line in end.tool_calls] == [("c1", True), ("c2", True)]


def test_tool_results_that_are_fed_before_cancelling_are_kept():
    machine, batch = machine_at(RunTools, says(call("c1"), call("c2")))
    cut_off = settled(batch.calls[1], "Error [cancelled]")
    machine.feed(ToolsSettled(batch.effect_id, (settled(batch.calls[0]), cut_off)))
    machine.cancel()
    end = rest(machine)[-1].conclusion
    assert end.stop == "cancelled"
    assert shape(end.messages)[2:] == ["tool c1: result of c1", "tool c2: Error [cancelled]"]


def test_part_of_an_answer_that_is_fed_before_the_end_is_kept():
    machine, question = machine_at(AskModel)
    machine.feed(ModelAnswered(question.effect_id, says("I was abou", terminal_reason="cancelled")))
    end = rest(machine)[-1].conclusion
    assert (end.stop, end.text) == ("cancelled", "I was abou")


def test_an_interrupted_submission_is_no_listed_call():
    machine, _ = machine_at(
        RunTools, says(call("c1", "submit", answer=1), call("c2")), terms=config(output=output_rule())
    )
    machine.cancel()
    end = rest(machine)[-1].conclusion
    assert [line.call_id for line in end.tool_calls] == ["c2"]
    assert open_calls(end.records) == []
    assert "call_not_executed" in shape(end.messages)[2]


def test_a_late_reply_changes_nothing():
    machine, question = machine_at(AskModel)
    machine.cancel()
    before = machine.snapshot()
    machine.feed(ModelAnswered(question.effect_id, says("too late")))
    assert machine.snapshot() == before


def test_a_finished_turn_cannot_be_cancelled():
    machine, checkpoint = machine_at(ReachCheckpoint, says("done"))
    machine.feed(CheckpointPassed(checkpoint.effect_id))
    machine.cancel()
    assert machine.conclusion is not None
    assert machine.conclusion.stop is None


def test_a_turn_without_an_end_has_no_conclusion():
    machine, _ = machine_at(AskModel)
    assert machine.conclusion is None


@pytest.mark.parametrize("reason", ["budget_exhausted", "plugin_abort", "runtime_error", "cancelled"])
def test_a_driver_stops_a_turn_for_its_own_reasons(reason):
    machine, _ = machine_at(AskModel)
    machine.feed(StopTurn(reason, an_issue("why")))
    end = rest(machine)[-1].conclusion
    assert (end.stop, issue_codes(end)) == (reason, ["why"])


def test_a_stop_holds_beyond_the_limit_too():
    machine, question = machine_at(AskModel, says(call("c1")), terms=config(max_turns=1))
    machine.feed(ModelAnswered(question.effect_id, says(call("c1"))))
    until(machine, AskModel, Script())
    machine.feed(StopTurn("budget_exhausted"))
    assert rest(machine)[-1].conclusion.stop == "budget_exhausted"


def test_a_stop_between_sync_and_question_asks_nothing_more():
    machine, sync = machine_at(SyncSurface)
    machine.feed(SurfaceSynced(sync.effect_id))
    machine.cancel()
    assert [type(effect).__name__ for effect in rest(machine)] == ["Progress", "Done"]
