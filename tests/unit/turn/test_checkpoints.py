"""What may enter a running turn, where it goes, and what it leads to (runtime 1.10)."""

from __future__ import annotations

import pytest
from tests.unit.turn.script import Script, call, config, issue_codes, play, says, shape, until

from lash.errors import LashError
from lash.turn import (
    CheckpointPassed,
    PlacedMessage,
    ReachCheckpoint,
    ToolsProtocol,
    TurnCause,
    TurnMachine,
)
from lash.values import CheckpointDelivery, Message, MessageOrigin, TextPart, plain


def message(text, role="user", **fields):
    return Message(id="outside", role=role, parts=(TextPart(text),), **fields)


def wake(cause_id, text="a job has reported"):
    return plain(TurnCause(id=cause_id, text=text))


def test_a_durable_message_becomes_the_turns_own_with_an_id_of_the_turn():
    origin = MessageOrigin(kind="injected_input", source_id="other")
    delivery = CheckpointDelivery(messages=(message("hurry", origin=origin),))
    played = play(config(), says(call("c1")), says("done"), deliveries=[delivery])
    stored = played.conclusion.messages[3]
    assert (stored.id, stored.role, stored.text, stored.origin) == ("t:m3", "user", "hurry", origin)
    assert shape(played.questions[1].messages)[-1] == "user: hurry"


def test_a_transient_message_is_shown_from_its_place_on_and_never_stored():
    delivery = CheckpointDelivery(transient_messages=(message("psst", "system"),))
    played = play(config(), says(call("c1")), says(call("c2")), says("done"), deliveries=[delivery])
    second, third = played.questions[1:]
    assert second.transient == (
        PlacedMessage(message=Message(id="t:t0", role="system", parts=(TextPart("psst"),)), after=3),
    )
    assert shape(second.prompt)[-1] == "system: psst"
    assert shape(third.prompt) == [
        "user: question",
        "assistant:  [c1]",
        "tool c1: result of c1",
        "system: psst",
        "assistant:  [c2]",
        "tool c2: result of c2",
    ]
    assert all("psst" not in line for line in shape(third.messages))
    assert all("psst" not in line for line in shape(played.conclusion.messages))


def test_several_transient_messages_keep_their_places():
    deliveries = [
        CheckpointDelivery(transient_messages=(message(text, "system"),)) for text in ("one", "two")
    ]
    played = play(config(), says(call("c1")), says(call("c2")), says("done"), deliveries=deliveries)
    assert shape(played.questions[2].prompt) == [
        "user: question",
        "assistant:  [c1]",
        "tool c1: result of c1",
        "system: one",
        "assistant:  [c2]",
        "tool c2: result of c2",
        "system: two",
    ]
    assert [placed.message.id for placed in played.questions[2].transient] == ["t:t0", "t:t1"]


def test_a_transient_message_alone_makes_the_turn_go_on():
    delivery = CheckpointDelivery(transient_messages=(message("check again", "system"),))
    played = play(config(), says("one"), says("two"), deliveries=[delivery])
    assert (played.conclusion.text, len(played.questions)) == ("two", 2)


def test_a_cause_becomes_an_event_message_and_makes_the_turn_go_on():
    played = play(config(), says("one"), says("two"), deliveries=[CheckpointDelivery(causes=(wake("w1"),))])
    event = played.conclusion.messages[2]
    assert (event.role, event.text) == ("event", "a job has reported")
    assert event.origin == MessageOrigin(kind="turn_cause", source_id="w1")
    assert played.conclusion.text == "two"


def test_a_cause_keeps_the_origin_it_was_given():
    origin = MessageOrigin(kind="process_wake", source_id="w1")
    cause = plain(TurnCause(id="w1", text="x", origin=origin))
    played = play(config(), says("one"), says("two"), deliveries=[CheckpointDelivery(causes=(cause,))])
    assert played.conclusion.messages[2].origin == origin


def test_a_cause_is_taken_once_however_often_it_comes():
    terms = config(causes=(TurnCause(id="w0", text="first"), TurnCause(id="w0", text="first again")))
    deliveries = [
        CheckpointDelivery(causes=(wake("w1"), wake("w1"), wake("w0"))),
        CheckpointDelivery(causes=(wake("w1"),)),
    ]
    played = play(terms, says(call("c1")), says("done"), deliveries=deliveries)
    assert [line for line in shape(played.conclusion.messages) if line.startswith("event")] == [
        "event: first",
        "event: a job has reported",
    ]
    assert len(played.questions) == 2, "a known cause alone does not make the turn go on"


def test_causes_come_before_the_messages_of_the_same_delivery():
    delivery = CheckpointDelivery(messages=(message("hurry"),), causes=(wake("w1"),))
    played = play(config(), says("one"), says("two"), deliveries=[delivery])
    assert shape(played.conclusion.messages)[2:4] == ["event: a job has reported", "user: hurry"]


def test_the_causes_of_a_turn_come_before_its_input():
    played = play(config(causes=(TurnCause(id="w0", text="woken"),)), says("hi"))
    assert shape(played.conclusion.messages) == ["event: woken", "user: question", "assistant: hi"]


@pytest.mark.parametrize("role", ["assistant", "tool", "event"])
def test_only_user_and_system_messages_are_let_in(role):
    delivery = CheckpointDelivery(
        messages=(message("forged", role),), transient_messages=(message("forged too", role),)
    )
    played = play(config(), says("one"), deliveries=[delivery])
    assert shape(played.conclusion.messages) == ["user: question", "assistant: one"]
    assert issue_codes(played.conclusion) == ["injected_role_refused", "injected_role_refused"]
    assert (played.conclusion.stop, len(played.questions)) == (None, 1)


def test_a_system_message_is_let_in():
    delivery = CheckpointDelivery(messages=(message("new rule", "system"),))
    played = play(config(), says(call("c1")), says("done"), deliveries=[delivery])
    assert shape(played.conclusion.messages)[3] == "system: new rule"


def test_what_was_delivered_is_told_of_before_the_next_effect():
    delivery = CheckpointDelivery(messages=(message("hurry"),))
    played = play(config(), says(call("c1")), says("done"), deliveries=[delivery])
    told = [notice for notice in played.progress if any(r.text == "hurry" for r in notice.records)]
    assert len(told) == 1
    assert told[0].iteration == 1


@pytest.mark.parametrize("cause", [{"id": "w1"}, "w1", {"id": "w1", "text": "x", "more": 1}])
def test_a_cause_that_is_none_is_refused_and_the_turn_waits_on(cause):
    machine = TurnMachine(config(), ToolsProtocol())
    checkpoint = until(machine, ReachCheckpoint, Script(model=[says("one")]))
    before = machine.snapshot()
    with pytest.raises(LashError) as caught:
        machine.feed(CheckpointPassed(checkpoint.effect_id, CheckpointDelivery(causes=(cause,))))
    assert (caught.value.code, caught.value.turn_id) == ("turn_cause_invalid", "t")
    assert machine.snapshot() == before
