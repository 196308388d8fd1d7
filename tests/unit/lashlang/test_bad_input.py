"""Whatever comes in, what comes out is a coded diagnostic in bounded time: never a Python exception."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lashlang import (
    LATER,
    Execution,
    Frame,
    HostError,
    LangError,
    Limits,
    Ok,
    compile_program,
    drive,
    run,
    surface_of_tools,
)

SURFACE = surface_of_tools(["get"], "processes", "sleep", "process_signals")
LIMITS = Limits(fuel=100_000, memory_bytes=8 * 1024 * 1024)


def ending(source: str) -> str:
    """The code or state with which a text ends."""
    try:
        result = run(source, lambda effect: Ok(effect.payload), surface=SURFACE, limits=LIMITS)
    except LangError as error:
        return error.code
    return result.error.code if result.error is not None else result.state


def noise(size: int) -> str:
    random = Random(7)
    words = [
        "if",
        "for",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        '"',
        "x",
        "1",
        "=",
        "?",
        ":",
        "await",
        "\n",
        "é",
        ".",
        ",",
        "+",
    ]
    return " ".join(random.choice(words) for _ in range(size // 3))


def _cyclic() -> list[Any]:
    loop: list[Any] = [1]
    loop.append({"again": loop})
    return loop


HUGE: dict[str, tuple[str, str | None]] = {
    "a megabyte of nonsense": (noise(1_000_000), None),
    "a megabyte of one word": ("a" * 1_000_000, "undefined_variable"),
    "a megabyte of text": ('submit len("' + "é" * 1_000_000 + '")', "finished"),
    "nested brackets": ("submit " + "[" * 100_000 + "]" * 100_000, "nesting_too_deep"),
    "nested braces": ("{ a: " * 100_000, "nesting_too_deep"),
    "nested blocks": ("if true { " * 100_000, "nesting_too_deep"),
    "a thousand terms": ("submit " + " + ".join(["1"] * 1_000), "finished"),
    "five thousand terms": ("submit " + " + ".join(["1"] * 5_000), "expression_too_large"),
    "prefixes": ("submit " + "not " * 100_000 + "true", None),
    "fields": ("x = null\nsubmit x" + ".a" * 100_000, None),
    "many statements": ("x = 1\n" * 20_000 + "submit x", "finished"),
    "a long ladder": (
        "x = 1\n" + " else ".join(f"if x == {n} {{ y = {n} }}" for n in range(2, 2_000)),
        "continued",
    ),
    "many parameters": (
        "fn f(" + ", ".join(f"a{n}" for n in range(300)) + ") { a299 }\nsubmit 1",
        "finished",
    ),
    "many arguments": ("submit format(" + ", ".join(['"x"'] * 400) + ")", None),
    "a wide record": ("submit { " + ", ".join(f"k{n}: {n}" for n in range(1_500)) + " }", "finished"),
    "many effects": (
        "".join(f"x{n} = await tools.get({{ n: {n} }})?\n" for n in range(800)) + "submit x799",
        "finished",
    ),
    "conditions": ("submit [1 for x in [1] " + "if true " * 60 + "]", None),
    "tries": ("submit " + "try (" * 30 + "1" + ")" * 30, "nesting_too_deep"),
    "clauses": ("submit [1 " + "for x in [1] " * 40 + "]", "nesting_too_deep"),
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_text_ends_with_a_code(name: str) -> None:
    source, expected = HUGE[name]
    found = ending(source)
    assert found.islower()
    assert found != "internal_error"
    if expected is not None:
        assert found == expected


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(alphabet=st.sampled_from("abxif {}[]()\"'+-*/%=?:.,;\n#@1230é\ud800&|!<>"), max_size=80))
def test_any_text_ends_with_a_code(text: str) -> None:
    assert ending(text) != "internal_error"


TOKENS = [
    "x", "y", "1", "2.5", '"s"', "null", "true", "=", "+", "-", "*", "/", "%", "==", "<", "and", "or",
    "not", "??", "?", ":",
    ".a", "[0]", "(", ")", "[", "]", "{", "}", ",", "\n", "if", "else", "for", "in", "while", "break",
    "continue", "try",
    "await", "tools.get({})", "print", "submit", "push(x, 1)", "len(x)", "x = [1]\n", "a: 1", "range(3)", "x.a = 1\n",
]  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(TOKENS), max_size=25))
def test_any_run_of_tokens_ends_with_a_code(tokens: list[str]) -> None:
    assert ending(" ".join(tokens)) != "internal_error"


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, float("nan"), 2**80, [[[]]] * 3, {"a": None}])
def test_variables_of_a_session_are_checked_like_any_host_value(value: Any) -> None:
    try:
        result = run("submit x", globals={"x": value})
    except LangError as error:
        told = (error.code, error.facts.get("name"))
    else:
        told = (result.state, "x")
    assert told in (("invalid_host_value", "x"), ("finished", "x"))


HOSTS: dict[str, tuple[Any, str]] = {
    "a cyclic list": (_cyclic(), "invalid_host_value"),
    "half of a surrogate pair": ("\ud83d", "invalid_host_value"),
    "a subclass of a dict": (type("Row", (dict,), {})(a=1), "invalid_host_value"),
    "a subclass of a text": ([type("Text", (str,), {})("x")], "invalid_host_value"),
    "a generator": ((n for n in range(3)), "invalid_host_value"),
    "a text of 100 MB": ("x" * 100_000_000, "memory_exhausted"),
    "100 MB of parts": ([["x" * 1_000] * 1_000] * 100, "memory_exhausted"),
    "a million records": ([{"n": 1}] * 1_000_001, "invalid_host_value"),
}


@pytest.mark.parametrize("name", HOSTS)
def test_host_that_answers_badly_is_told_by_a_code(name: str) -> None:
    value, code = HOSTS[name]
    result = run("x = await tools.get({})?\nsubmit 1", lambda _: Ok(value), surface=SURFACE, limits=LIMITS)
    assert result.error is not None
    assert result.error.code == code


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.0, 1e308])
def test_odd_numbers_of_a_host_are_numbers(number: float) -> None:
    source = "x = await tools.get({})?\nsubmit [x + 1 == x, to_string(x), [x]]"
    result = run(source, lambda _: Ok(number), surface=SURFACE, limits=LIMITS)
    assert result.state == "finished"
    finite = number == number and abs(number) < float("inf")
    assert (result.value[2] == [None]) is not finite


def test_host_that_raises_fails_its_effect_or_goes_through_to_the_caller() -> None:
    def refuses(_: object) -> Ok:
        raise HostError("not today")

    def breaks(_: object) -> Ok:
        raise ZeroDivisionError("a bug of the host")

    source = "x = await tools.get({})\nsubmit x.error"
    assert run(source, refuses, surface=SURFACE, limits=LIMITS).value == "not today"
    with pytest.raises(ZeroDivisionError, match="a bug of the host"):
        run(source, breaks, surface=SURFACE, limits=LIMITS)


async def test_host_that_never_answers_can_be_left_and_the_program_goes_on_elsewhere() -> None:
    asked = asyncio.Event()

    async def hangs(effect: object) -> Ok:
        asked.set()
        await asyncio.Event().wait()
        return Ok()

    code = compile_program("x = await tools.get({ n: 1 })?\nsubmit x", SURFACE)
    execution = Execution(code, limits=LIMITS)
    task = asyncio.ensure_future(drive(execution, hangs))
    await asked.wait()
    frame = Frame.of(execution).to_bytes()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again = Frame.from_bytes(frame).resume(code, limits=LIMITS)
    again.answer(Ok("late"))
    again.advance(lambda _: LATER)
    assert again.value == "late"


def test_the_same_text_compiles_again_after_it_failed() -> None:
    for _ in range(2):
        with pytest.raises(LangError):
            compile_program("submit (", SURFACE)
