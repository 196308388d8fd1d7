"""Fuel, memory, time, size and cancellation: reached at the same step every time, and never catchable."""

from __future__ import annotations

import threading

import pytest

from lashlang import LATER, Execution, Limits, Ok, compile_program, run, surface_of_tools
from lashlang.machine.meter import SLICE, measure
from lashlang.machine.meter import Limits as MeterLimits

SURFACE = surface_of_tools(["echo"], "processes", "sleep")


def stopped(source: str, limits: Limits, **options: object) -> tuple[str, object, int]:
    """Code of the error, what `n` was, fuel used."""
    result = run(source, lambda effect: Ok(effect.payload), surface=SURFACE, limits=limits)
    assert result.error is not None, result.value
    return result.error.code, result.globals.get("n"), result.fuel_used


@pytest.mark.parametrize("fuel", [1, 10, SLICE, SLICE + 1, 50_000])
def test_fuel_counts_loop_turns_exactly(fuel: int) -> None:
    first = stopped("n = 0\nwhile true { n = n + 1 }", Limits(fuel=fuel))
    assert first == ("fuel_exhausted", fuel, fuel)
    assert stopped("n = 0\nwhile true { n = n + 1 }", Limits(fuel=fuel)) == first


def test_fuel_pays_for_what_builtins_touch_before_they_touch_it() -> None:
    first = code, n, used = stopped("n = 0\nwhile true { n = n + len(range(1000)) }", Limits(fuel=10_500))
    assert code == "fuel_exhausted"
    assert 10_500 - SLICE <= used <= 10_500  # what is left of a slice of turns cannot pay for a builtin
    assert n == 9_000
    assert stopped("n = 0\nwhile true { n = n + len(range(1000)) }", Limits(fuel=10_500)) == first


def test_try_does_not_catch_a_bound() -> None:
    for source in ("n = try (fact(5))", "n = try [x for x in range(100000)]", "n = try len(range(100000))"):
        head = "fn fact(k) { fact(k) }\n"
        code, n, _ = stopped(head + source, Limits(fuel=500))
        assert code in ("fuel_exhausted", "call_depth_exceeded")
        assert n is None


def test_memory_forgives_garbage_and_refuses_what_is_held() -> None:
    limits = Limits(memory_bytes=2_000_000)
    garbage = 'n = 0\nfor i in range(20000) { s = format("{}-{}", i, "' + "x" * 40 + '")\nn = n + len(s) }'
    assert run(garbage, limits=limits).error is None
    held = "xs = []\nn = 0\nwhile true { xs = push(xs, { a: n, b: [n] })\nn = n + 1 }"
    code, n, _ = stopped(held, limits)
    assert code == "memory_exhausted"
    assert isinstance(n, int)
    assert 2_000_000 / 1_000 < n < 2_000_000 / 100
    assert stopped(held, limits) == stopped(held, limits)


def test_what_is_shared_is_counted_once() -> None:
    value: list[object] = ["x" * 100]
    assert measure([value, value, [value]], 10**9) < 2 * measure([value], 10**9)


def test_one_value_cannot_be_larger_than_any_may_be() -> None:
    doubling = 's = "xxxxxxxx"\nn = 0\nwhile true { n = n + 1\ns = s + s }'
    assert stopped(doubling, Limits())[:2] == ("value_too_large", 20)
    assert stopped("n = 0\nxs = range(1000000)\nys = xs + [1]", Limits())[0] == "value_too_large"


def test_time_counts_only_computing() -> None:
    now = 0

    def clock() -> int:
        nonlocal now
        now += 1
        return now

    source = "n = 0\nwhile true { n = n + 1 }"
    result = run(source, surface=SURFACE, limits=Limits(time_ms=5), clock=clock)
    assert result.error is not None
    assert result.error.code == "time_exhausted"
    waits = "for i in range(100) { r = await tools.echo({ i: i }) }\nsubmit 1"
    code = compile_program(waits, SURFACE)
    waiting = Execution(code, limits=Limits(time_ms=5), clock=clock)
    waiting.advance(lambda _: LATER)
    while waiting.state == "waiting":
        now += 1_000
        waiting.answer(Ok(None))
        waiting.advance(lambda _: LATER)
    assert waiting.state == "finished"


def test_cancelled_run_stops_at_its_next_slice_and_keeps_what_it_did() -> None:
    code = compile_program(
        "n = 0\nwhile true { n = n + 1\nif n == 100000 { r = await tools.echo({}) } }", SURFACE
    )
    run_ = Execution(code, limits=Limits(fuel=10**9))

    def cancel_then_answer(_: object) -> Ok:
        run_.cancel()
        return Ok(None)

    assert run_.advance(cancel_then_answer) == "error"
    assert run_.error is not None
    assert run_.error.code == "cancelled"
    assert 100_000 <= run_.globals["n"] <= 100_000 + SLICE


def test_run_can_be_cancelled_from_another_thread() -> None:
    run_ = Execution(compile_program("while true { x = 1 }", SURFACE), limits=Limits(fuel=10**12))
    started = threading.Event()
    thread = threading.Thread(target=lambda: (started.set(), run_.advance(lambda _: LATER)))
    thread.start()
    started.wait()
    run_.cancel()
    thread.join(timeout=30)
    assert run_.state == "error"
    assert run_.error is not None
    assert run_.error.code == "cancelled"


def test_functions_may_nest_but_not_without_end() -> None:
    deep = "fn down(k) { if k == 0 { 0 } else { 1 + down(k - 1) } }\nsubmit down(K)"
    assert run(deep.replace("K", "140")).value == 140
    result = run(deep.replace("K", "1000"))
    assert result.error is not None
    assert result.error.code == "call_depth_exceeded"


def test_loops_nest_up_to_what_can_be_compiled_and_beyond_that_there_is_a_code() -> None:
    for depth, code in ((16, None), (17, "nesting_too_deep")):
        source = "".join(f"for i{n} in [1] {{\n" for n in range(depth)) + "x = 1\n" + "}\n" * depth
        try:
            found = run(source).error
        except Exception as error:
            found = error  # type: ignore[assignment]  # compiled programs refuse before they run
        assert getattr(found, "code", None) == code


def test_limits_are_the_same_class_everywhere() -> None:
    assert Limits is MeterLimits
