"""A suspended program as bytes that are found out when they were touched, and when one is written."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash.effects import encode_outcome
from lash.errors import LashError
from lash.runtime.code import frame_key, is_frame_due
from lash.runtime.code.saved_programs import FinishedProgram, SavedProgram, frame_effect_id, latest_saved
from lash.values import (
    AwaitEventOutcome,
    EffectIdentity,
    EffectRecord,
    EffectResult,
    EffectScope,
    EffectState,
    ExecResponse,
    RuntimeEffectKind,
)

SCOPE = EffectScope.turn("s", "t")
KEY = frame_key(b"", SCOPE)


def saved(effect_id: int = 3, **changes: object) -> SavedProgram:
    terms: dict[str, object] = {
        "effect_id": effect_id,
        "code_ref": "c",
        "frame": b"lashF\x00\xff",
        "printed": ("a", {"b": [1, None]}),
        "calls": ({"name": "read"},),
        "finished": (FinishedProgram(effect_id=1, response=ExecResponse(observations=("x",))),),
    }
    return SavedProgram(**(terms | changes))  # type: ignore[arg-type]  # fields by name


def line(effect_id: str, outcome: bytes | None, state: EffectState = EffectState.DONE) -> EffectRecord:
    return EffectRecord(
        identity=EffectIdentity(
            scope=SCOPE,
            replay_key=f"s:t:{effect_id}",
            envelope_hash="h",
            kind=RuntimeEffectKind.AWAIT_EVENT,
            effect_id=effect_id,
        ),
        state=state,
        started_at_ms=1,
        result=None if outcome is None else EffectResult(state=state, outcome=outcome),
    )


def written(program: SavedProgram) -> bytes:
    return encode_outcome(AwaitEventOutcome(value=program.to_text(KEY)))


def test_what_was_written_is_read_back():
    assert SavedProgram.from_text(saved().to_text(KEY), KEY) == saved()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from("09azAZ#!"))
def test_no_change_of_a_character_goes_unnoticed(at, other):
    text = saved().to_text(KEY)
    at %= len(text)
    changed = text[:at] + other + text[at + 1 :]
    if other != "#" and other != "!" and base64.b64decode(changed) == base64.b64decode(text):
        return  # the same bytes: the last character of base64 has bits that say nothing
    with pytest.raises(LashError) as caught:
        SavedProgram.from_text(changed, KEY)
    assert caught.value.code == "frame_key"


@pytest.mark.parametrize("text", ["", "0", "\x00", "ä", 7, None, {"a": 1}])
def test_what_is_no_saved_program_is_refused(text):
    with pytest.raises(LashError) as caught:
        SavedProgram.from_text(text, KEY)
    assert caught.value.code == "frame_key"


def test_another_turn_and_another_secret_have_other_keys():
    keys = [
        frame_key(b"", SCOPE),
        frame_key(b"", EffectScope.turn("s", "u")),
        frame_key(b"secret", SCOPE),
        frame_key(b"", EffectScope.process("t")),
    ]
    assert len(set(keys)) == 4
    for key in keys[1:]:
        with pytest.raises(LashError):
            SavedProgram.from_text(saved().to_text(KEY), key)


def test_another_version_is_named():
    with pytest.raises(LashError) as caught:
        SavedProgram.from_text(saved(version=2).to_text(KEY), KEY)
    assert caught.value.code == "frame_version"
    assert caught.value.version == 2


def test_the_last_program_that_was_written_down_is_gone_on_with():
    journal = [
        line(frame_effect_id(3, 9), written(saved(3))),
        line("3:p3.0", b"{}"),
        line(frame_effect_id(7, 2), written(saved(7, code_ref="late"))),
        line(frame_effect_id(7, 1), written(saved(7, code_ref="early"))),
        line(frame_effect_id(8, 0), None, EffectState.STARTED),
    ]
    found = latest_saved(journal, KEY)
    assert found is not None
    assert found[0] == saved(7, code_ref="late")
    assert latest_saved(journal[1:2], KEY) is None


@pytest.mark.parametrize(
    ("frame", "tail", "effects", "due"),
    [
        (None, 0, 0, True),
        (1_000, 0, 0, False),
        (1_000, 1_255, 3, False),
        (1_000, 1_256, 3, True),
        (10**9, 100, 255, False),
        (10**9, 100, 256, True),
    ],
)
def test_a_frame_is_due_when_the_journal_behind_the_last_has_outgrown_it(frame, tail, effects, due):
    assert is_frame_due(frame_bytes=frame, tail_bytes=tail, tail_effects=effects) is due


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5_000), st.integers(1, 20_000)), max_size=300))
def test_all_frames_together_stay_within_the_journal_and_the_first(steps):
    """Each step: how much the journal grew, and how long a frame would be now."""
    frame: int | None = None
    tail = journal = frames = first = 0
    for grown, length in steps:
        journal, tail = journal + grown, tail + grown
        if is_frame_due(frame_bytes=frame, tail_bytes=tail, tail_effects=0):
            first = first or length
            frames += length
            frame, tail = length, 0
    largest = max((length for _, length in steps), default=0)
    assert frames <= first + journal + largest
