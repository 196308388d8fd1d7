"""Errors as values: they survive pickle, copy and the journal, and say what happened."""

from __future__ import annotations

import copy
import pickle

import msgspec
import pytest

from lash.errors import ErrorRecord, LashBug, LashError, ToolError


@pytest.mark.parametrize("kind", [LashError, ToolError])
@pytest.mark.parametrize("message", ["", "it is gone"])
def test_error_survives_pickle_and_copies(kind: type[LashError], message: str) -> None:
    error = kind("session_busy", message, retryable=True, session_id="s1", nested={"a": [1, 2.0, None]})
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert (again.code, again.message, again.retryable) == (error.code, error.message, True)
        assert again.facts == error.facts
        assert str(again) == str(error)


def test_cause_travels_along() -> None:
    error = LashError("outer", "x")
    error.__cause__ = ValueError("inner")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again.__cause__, ValueError)
    assert again.__cause__.args == ("inner",)


def test_facts_are_attributes_and_unknown_ones_are_attribute_errors() -> None:
    error = LashError("head_revision_conflict", "x", expected=1, actual=2)
    assert (error.expected, error.actual) == (1, 2)
    assert not hasattr(error, "missing")
    with pytest.raises(AttributeError, match="head_revision_conflict"):
        _ = error.missing


def test_code_stands_in_the_text_and_alone_when_there_is_no_message() -> None:
    assert str(LashError("store_full", "no space")) == "store_full: no space"
    assert str(LashError("store_full")) == "store_full"


def test_record_and_back_keeps_everything_but_the_class() -> None:
    error = ToolError("bad_city", "no such city", retryable=True, city="Ur")
    record = error.record()
    wire = msgspec.json.decode(msgspec.json.encode(record), type=ErrorRecord)
    assert wire == record
    again = LashError.from_record(wire)
    assert (again.code, again.message, again.retryable, again.facts) == (
        "bad_city",
        "no such city",
        True,
        {"city": "Ur"},
    )


def test_bug_is_not_caught_as_an_error() -> None:
    assert not issubclass(LashBug, LashError)
