"""When schedules are due: expressions, clock changes, and what is made up for."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lash
from lash.errors import LashError
from lash.runtime.events import EventSource, due_times, schedule_of


def ms(text: str) -> int:
    """A UTC time as milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def dues(source: EventSource, after: str, count: int) -> list[str]:
    """The next due times after a UTC time, in UTC."""
    found = islice(schedule_of(source.source).after(ms(after)), count)
    return [datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d %H:%M") for at in found]


def test_expression_is_read_in_its_time_zone() -> None:
    nine = lash.cron("0 9 * * MON-FRI", tz="Europe/Berlin")
    # 2026-01-02 is a Friday; Berlin is an hour ahead of UTC in winter.
    assert dues(nine, "2026-01-02 07:59", 2) == ["01-02 08:00", "01-05 08:00"]
    assert dues(nine, "2026-01-02 08:00", 1) == ["01-05 08:00"]


def test_time_that_does_not_exist_comes_right_after_the_gap() -> None:
    # In Berlin, 2026-03-29 goes from 01:59 (00:59 UTC) to 03:00 (01:00 UTC): there is no 02:30.
    at_half = lash.cron("30 2 * * *", tz="Europe/Berlin")
    assert dues(at_half, "2026-03-28 00:00", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_time_that_comes_twice_ticks_once() -> None:
    # In Berlin, 2026-10-25 has 02:30 twice: at 00:30 and at 01:30 UTC.
    at_half = lash.cron("30 2 * * *", tz="Europe/Berlin")
    assert dues(at_half, "2026-10-24 12:00", 2) == ["10-25 00:30", "10-26 01:30"]


def test_expression_of_every_hour_goes_by_the_time_that_passes() -> None:
    hourly = lash.cron("0 * * * *", tz="Europe/Berlin")
    assert dues(hourly, "2026-03-28 23:30", 3) == ["03-29 00:00", "03-29 01:00", "03-29 02:00"]
    assert dues(hourly, "2026-10-24 23:30", 4) == ["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]


def test_interval_counts_from_a_fixed_time() -> None:
    assert dues(lash.interval(minutes=15), "2026-01-01 10:01", 3) == [
        "01-01 10:15",
        "01-01 10:30",
        "01-01 10:45",
    ]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("once", ["12:00"]), ("all", ["09:00", "10:00", "11:00", "12:00"]), ("skip", [])],
)
def test_missed_ticks_are_made_up_for_as_it_says(policy: str, expected: list[str]) -> None:
    hourly = schedule_of(lash.cron("0 * * * *", misfire=policy).source)  # type: ignore[arg-type]
    found = due_times(hourly, ms("2026-01-01 08:30"), ms("2026-01-01 12:30"))
    assert [datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M") for at in found] == expected


@pytest.mark.parametrize("policy", ["once", "all", "skip"])
def test_tick_in_time_is_no_missed_one(policy: str) -> None:
    hourly = schedule_of(lash.cron("0 * * * *", misfire=policy).source)  # type: ignore[arg-type]
    found = due_times(hourly, ms("2026-01-01 08:30"), ms("2026-01-01 09:00:20"))
    assert found == [ms("2026-01-01 09:00")]


def test_no_more_than_the_bound_is_made_up_for_and_that_the_latest() -> None:
    minutely = schedule_of(lash.cron("* * * * *", misfire="all", max_ticks=3).source)
    found = due_times(minutely, 0, ms("2026-01-01 12:00:30"))  # 56 years of minutes
    assert found == [ms("2026-01-01 11:58"), ms("2026-01-01 11:59"), ms("2026-01-01 12:00")]


@given(
    every_s=st.integers(1, 100_000),
    after=st.integers(0, 2_000_000_000_000),
    gap=st.integers(0, 10_000_000),
    most=st.integers(1, 20),
)
def test_made_up_ticks_are_the_last_multiples_in_the_gap(
    every_s: int, after: int, gap: int, most: int
) -> None:
    source = lash.interval(every_s, misfire="all", max_ticks=most)
    every = every_s * 1000
    multiples = range((after // every + 1) * every, after + gap + 1, every)
    assert due_times(schedule_of(source.source), after, after + gap) == list(multiples)[-most:]


def test_tick_says_when_it_was_due_in_its_own_time() -> None:
    schedule = schedule_of(lash.cron("0 9 * * *", tz="Europe/Berlin").source)
    due_ms = ms("2026-07-01 07:00")
    assert schedule.payload(due_ms) == {"due_at_ms": due_ms, "due_at": "2026-07-01T09:00:00+02:00"}


def test_equal_schedules_are_one_source() -> None:
    assert lash.cron("0 9 * * *").source.key == lash.cron("0 9 * * *", tz="UTC").source.key
    assert lash.cron("0 9 * * *").source.key != lash.cron("0 9 * * *", tz="Asia/Tokyo").source.key
    assert lash.interval(60).source.key == lash.interval(minutes=1).source.key


@pytest.mark.parametrize(
    "make",
    [
        lambda: lash.cron("every day"),
        lambda: lash.cron("0 9 * *"),
        lambda: lash.cron("0 0 30 2 *"),
        lambda: lash.cron("0 9 * * *", tz="Mars/Olympus"),
        lambda: lash.cron("0 9 * * *", misfire="later"),  # type: ignore[arg-type]
        lambda: lash.cron("0 9 * * *", max_ticks=0),
        lambda: lash.interval(0.5),
        lambda: lash.interval(-1),
    ],
)
def test_schedule_that_cannot_be_kept_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(LashError) as caught:
        make()
    assert caught.value.code == "schedule_invalid"


def test_last_day_of_months_is_found_across_a_leap_year() -> None:
    last = lash.cron("0 0 L * *")
    assert dues(last, "2028-02-01 00:00", 2) == ["02-29 00:00", "03-31 00:00"]
