"""Nothing gets out: every attempt ends in plain data or a coded error, within its bounds."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

import pytest
from tests.unit.lashlang.machine.escapes import ATTEMPTS, SECRET

from lashlang import LangError, Limits, run
from lashlang.machine.code import Code
from lashlang.machine.codegen import HELPERS
from lashlang.machine.codegen.whitelist import FenceError, check
from lashlang.machine.effects import Effect, HostError, Ok
from lashlang.running import compile_program, surface_of_tools

SURFACE = surface_of_tools(["leak"], "processes", "sleep", "process_signals", "label_annotations")
LEAK = re.compile(r" at 0x|<class|<function|Traceback|lashlang\.machine|site-packages|\.py\b")


class Vault:
    """A host object whose surroundings hold the secret: globals, closure, attributes."""

    secret = SECRET

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, effect: Effect) -> Any:
        self.calls += 1
        if effect.kind == "operation":
            return Ok({"got": effect.payload})
        raise HostError("no")


def attempt(source: str) -> tuple[str, Any, str]:
    """How an attempt ends: `refused` before it runs, or the state of its run; with what came out, as text too."""
    try:
        code = compile_program(source, SURFACE)
        code.entry()
    except LangError as error:
        return "refused", None, error.code
    result = run(code, Vault(), limits=Limits(fuel=200_000, memory_bytes=8 * 1024 * 1024))
    told = repr((result.value, result.printed, result.error.message if result.error else ""))
    return result.state, [result.value, *result.printed], told


def plain(value: Any) -> bool:
    """Whether a value is made of exact JSON types only."""
    if type(value) is list:
        return all(map(plain, value))
    if type(value) is dict:
        return all(type(key) is str and plain(item) for key, item in value.items())
    return value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


@pytest.mark.parametrize("number", range(0, len(ATTEMPTS), 20))
def test_attempts_leak_nothing(number: int) -> None:
    for source in ATTEMPTS[number : number + 20]:
        state, came_out, told = attempt(source)
        assert state in ("refused", "finished", "continued", "error"), source
        assert plain(came_out), source
        assert SECRET not in told, source
        visible = told.replace("Resource('Tools', 'tools')", "")
        assert not LEAK.search(visible), (source, LEAK.search(visible))
        assert "internal_error" not in told, source


def test_there_are_enough_attempts_and_half_of_them_run() -> None:
    states = [attempt(source)[0] for source in ATTEMPTS]
    ran = sum(state != "refused" for state in states)
    assert len(ATTEMPTS) == len(set(ATTEMPTS)) >= 300
    assert ran * 2 >= len(ATTEMPTS)


PROBES = [
    "__subclasses__", "__globals__", "__wrapped__", "__import__", "__class__", "__mro__", "__builtins__", "f_builtins",
    "f_globals", "gi_frame", "tb_frame", "{0.__class__.__mro__}", "{0.__wrapped__.__globals__}", "eval", "open",
    "getattr", "import", "lambda", "{:>1000000000}", "while true", "range(", "s + s", "json_parse", "constructor",
    "prototype",
]  # fmt: skip
"""What was probed in other engines when this one was designed, and what broke them."""


@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_that_other_engines_were_given_is_among_the_attempts(probe: str) -> None:
    assert any(probe in source for source in ATTEMPTS)


GENERATED = """
x = { a: [1, 2] }
fn f(n) { n + 1 }
for i in range(3) {
  x.a = push(x.a, try (await tools.leak({ i: f(i), t: format("{}-{}", i, x) })?).got)
}
submit [y * 2 for y in x.a if y != null] ?? -1.5
"""


def _tree(code: Code) -> ast.Module:
    return ast.parse(code.entry().generated.source)


def test_generated_code_passes_its_fence_and_its_namespace_has_no_builtins() -> None:
    generated = compile_program(GENERATED, SURFACE).entry().generated
    check(ast.parse(generated.source), HELPERS, {"fn_f"})
    assert generated.step.__globals__["__builtins__"] == {}
    names = {name for name in generated.code.co_names if not name.startswith("fn_")} - {"step"}
    assert names <= set(HELPERS)


OUTSIDE = [
    "import os", "def step(): pass\nstep.x", "x = lambda: 1", "class A: pass", "with h: pass", "v0.append(1)",
    "h.limits", "v0.__class__", "getattr(h, 'f')", "[v0 for v0 in v1]", "v0 = b'bytes'", "v0 = 1j", "v0 = ...",
    "f'{v0!r}'", "f'{v0:>9}'", "f'{v0.a}'", "v0(1)", "step(*v0)", "add(h, x=1)", "del v0",
    "global v0", "raise Fault", "assert v0", "yield_",
    "try:\n pass\nexcept:\n pass", "try:\n pass\nexcept list_:\n pass", "try:\n pass\nfinally:\n pass", "{**v0}",
    "@step\ndef step(): pass", "def step(h=1): pass", "def step(*v0): pass", "def other(): pass", "v0 @ v1", "v0 ** 2",
    "v0 << 1", "~v0", "v0: int = 1", "match v0:\n case _: pass", "async def step(): pass", "await v0", "while_",
]  # fmt: skip


@pytest.mark.parametrize("text", OUTSIDE)
def test_fence_refuses_what_the_generator_never_writes(text: str) -> None:
    with pytest.raises(FenceError):
        check(ast.parse(text), HELPERS, set())


HOSTILE_VALUES: list[Any] = [
    type("Text", (str,), {})("x"), type("Whole", (int,), {})(1), type("Row", (dict,), {})(a=1), (n for n in [1]),
    object(), b"bytes", {1: 2}, {"a": {3}}, [[object()]], 1j, "\ud800", {"\ud800": 1}, "x" * 5_000_000,
    [0] * 1_000_001, len, type, math.inf, math.nan, 2**70, -(10**400),
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE_VALUES, ids=lambda value: type(value).__name__)
def test_host_that_returns_anything_harms_nobody(value: Any) -> None:
    result = run("r = await tools.leak({})\nsubmit [r.ok, r]", lambda effect: Ok(value), surface=SURFACE)
    assert result.state == "finished"
    assert plain(result.value)


def test_deep_and_cyclic_host_values_are_refused_with_a_code() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value in (loop, {"a": loop}):
        result = run("submit await tools.leak({})?", lambda effect, v=value: Ok(v), surface=SURFACE)
        assert result.error is not None
        assert result.error.code == "invalid_host_value"


def test_host_keeps_no_alias_and_the_program_keeps_none() -> None:
    kept: list[Any] = []
    given: dict[str, Any] = {"xs": [1]}

    def host(effect: Effect) -> Ok:
        kept.append(effect.payload)
        effect.payload["xs"].append("from the host")
        return Ok(given)

    source = "a = { xs: [1] }\nb = await tools.leak(a)?\nb.xs[0] = 5\na.xs[0] = 6\nsubmit [a, b]"
    result = run(source, host, surface=SURFACE)
    assert result.value == [{"xs": [6]}, {"xs": [5]}]
    assert kept[0]["xs"] == [1, "from the host"]
    assert given == {"xs": [1]}
