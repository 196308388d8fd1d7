"""Equality of records that hold JSON, in both spellings."""

from __future__ import annotations

from lash.values import AwaitSuccess


def test_equal_records_are_not_unequal() -> None:
    assert AwaitSuccess(value={"a": 1}) == AwaitSuccess(value={"a": 1})
    assert not AwaitSuccess(value={"a": 1}) != AwaitSuccess(value={"a": 1})  # noqa: SIM202  # the operator itself


def test_one_and_one_point_nought_and_true_are_three_values() -> None:
    one, float_one, true = (AwaitSuccess(value=value) for value in (1, 1.0, True))
    assert one != float_one
    assert one != true
    assert float_one != true
    assert one != 1
