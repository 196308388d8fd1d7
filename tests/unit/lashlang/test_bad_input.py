"""Whatever comes in, what comes out is a coded diagnostic in bounded time: never a Python exception."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lashlang import LangError, Limits, Ok, compile_program, run, surface_of_tools

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


HUGE: dict[str, tuple[str, str | None]] = {
    "a megabyte of nonsense": (noise(1_000_000), None),
    "a megabyte of one word": ("a" * 1_000_000, "undefined_variable"),
    "a megabyte of text": ('submit len("' + "é" * 1_000_000 + '")', "finished"),
    "nested brackets": ("submit " + "[" * 100_000 + "]" * 100_000, "nesting_too_deep"),
    "nested braces": ("{ a: " * 100_000, "nesting_too_deep"),
    "nested blocks": ("if true { " * 100_000, "nesting_too_deep"),
    "a thousand terms": ("submit " + " + ".join(["1"] * 1_000), "finished"),
    "five thousand terms": ("submit " + " + ".join(["1"] * 5_000), None),
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


def test_the_same_text_compiles_again_after_it_failed() -> None:
    for _ in range(2):
        with pytest.raises(LangError):
            compile_program("submit (", SURFACE)
