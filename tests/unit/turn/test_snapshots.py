"""What a snapshot is, and which are refused."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.turn.code_protocol import ProgramProtocol
from tests.unit.turn.script import Script, call, config, play, says, until

from lash.errors import LashError
from lash.turn import SNAPSHOT_VERSION, AskModel, Done, RunTools, ToolsProtocol, TurnMachine


@pytest.fixture
def snapshot():
    machine = TurnMachine(config(), ToolsProtocol())
    until(machine, RunTools, Script(model=[says("hm", call("c1", path="a"))]))
    return machine.snapshot()


def changed(snapshot, change):
    fields = msgspec.json.decode(snapshot)
    change(fields)
    return msgspec.json.encode(fields)


def refusal(data, terms=None, protocol=None):
    with pytest.raises(LashError) as caught:
        TurnMachine.restore(data, terms or config(), protocol or ToolsProtocol())
    return caught.value


def test_a_snapshot_names_its_version(snapshot):
    assert msgspec.json.decode(snapshot)["version"] == SNAPSHOT_VERSION == 1


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_version_is_refused_and_both_are_named(snapshot, version):
    error = refusal(changed(snapshot, lambda fields: fields.update(version=version)))
    assert (error.code, error.version, error.supported) == ("turn_snapshot_unsupported", version, 1)


def test_a_newer_version_is_refused_by_its_number_whatever_else_it_holds(snapshot):
    error = refusal(changed(snapshot, lambda fields: fields.update(version=2, state=[], novel=True)))
    assert (error.code, error.version) == ("turn_snapshot_unsupported", 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.update(novel=1),
        lambda fields: fields["state"].update(novel=1),
        lambda fields: fields["state"]["phase"].update(novel=1),
        lambda fields: fields["state"]["phase"].update(type="await_wonder"),
        lambda fields: fields["state"].pop("surface"),
        lambda fields: fields.pop("version"),
    ],
    ids=["field", "state field", "phase field", "phase", "missing", "no version"],
)
def test_what_is_unknown_is_refused_and_never_dropped(snapshot, change):
    assert refusal(changed(snapshot, change)).code == "turn_snapshot_unsupported"


@pytest.mark.parametrize("data", [b"", b"not json", b"[]", b"\xff\xfe", b'{"version": 1', b"[" * 100_000])
def test_bytes_that_are_no_snapshot_are_refused(data):
    error = refusal(data)
    assert (error.code, error.turn_id) == ("turn_snapshot_unsupported", "t")


def test_every_cut_of_a_snapshot_is_refused(snapshot):
    assert {refusal(snapshot[:end]).code for end in range(len(snapshot))} == {"turn_snapshot_unsupported"}


def test_a_snapshot_of_another_turn_is_refused(snapshot):
    error = refusal(snapshot, config(turn_id="u"))
    assert (error.code, error.turn_id, error.found_turn_id) == ("turn_snapshot_mismatch", "u", "t")


def test_a_snapshot_of_another_protocol_is_refused(snapshot):
    error = refusal(snapshot, protocol=ProgramProtocol())
    assert (error.code, error.found_protocol, error.protocol) == (
        "turn_snapshot_mismatch",
        "tools",
        "program",
    )


def test_taking_a_snapshot_changes_nothing(snapshot):
    machine = TurnMachine.restore(snapshot, config(), ToolsProtocol())
    assert machine.snapshot() == machine.snapshot() == snapshot


def test_a_restored_machine_hands_its_effect_out_again_once(snapshot):
    machine = TurnMachine.restore(snapshot, config(), ToolsProtocol())
    effect = machine.poll()
    assert isinstance(effect, RunTools)
    assert (effect.effect_id, effect.calls) == (3, (call("c1", path="a"),))
    assert machine.poll() is None


def test_a_restored_turn_does_not_take_its_input_again(snapshot):
    machine = TurnMachine.restore(snapshot, config(), ToolsProtocol())
    question = until(machine, AskModel, Script())
    assert [message.id for message in question.messages] == ["t:m0", "t:m1", "t:m2"]


def test_a_finished_turn_says_done_again_after_a_restart():
    played = play(config(), says("hi"), restart=True)
    assert isinstance(played.effects[-1], Done)


def test_messages_are_stored_once_in_a_snapshot():
    machine = TurnMachine(config(), ToolsProtocol())
    text = "a sentence that is found again"
    until(machine, RunTools, Script(model=[says(text, call("c1"))]))
    machine.poll()
    assert machine.snapshot().count(text.encode()) == 1
