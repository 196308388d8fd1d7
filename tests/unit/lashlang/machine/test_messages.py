"""Errors as their readers see them: what is wrong, where, and what to write instead."""

from __future__ import annotations

import pytest

from lashlang import Failed, run, surface_of_tools

SURFACE = surface_of_tools(["get"], "processes")

SHOWN = {
    "total = 1\nprint totl": """error[undefined_variable]: unknown name `totl`
 --> line 2, column 7
  | print totl
  |       ^^^^
 hint: did you mean `total`?""",
    'r = { a: "x" }\nsubmit 1 + r.a * 2': """error[type_error]: expected a number for `*`, got the string "x"
 --> line 2, column 12
  | submit 1 + r.a * 2
  |            ^^^^^^^""",
    "for k in { a: 1 } { print k }": """error[non_list_iteration]: `for` expects a list, got record
 --> line 1, column 10
  | for k in { a: 1 } { print k }
  |          ^^^^^^^^
 hint: loop over keys(record), or over values(record)""",
    "x = await tools.get({})?": """error[value_error]: `?` unwrapped failed module operation: down
 --> line 1, column 11
  | x = await tools.get({})?
  |           ^^^^^^^^^^^^^
 hint: keep the wrapper to go on after a failure: r = await …, then if r.ok { … } else { … r.error … }""",
    "x = (await [tools.get({}), 1])?": """error[type_error]: `?` needs a record with a boolean `ok`, got list
 --> line 1, column 5
  | x = (await [tools.get({}), 1])?
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^
 hint: `?` does not reach into a joined result: rs = await handles, then rs[0]? for each of them""",
    "xs = [1]\nif true {\n  xs[3] = 2\n}": """\
error[value_error]: index 3 is outside the list of 1; use `push` to add an item
 --> line 3, column 3
  |   xs[3] = 2
  |   ^^^^^""",
    "fn half(x) { x / [2] }\nsubmit half(4)": """error[type_error]: expected a number for `/`, got list
 --> line 1, column 14
  | fn half(x) { x / [2] }
  |              ^^^^^^^""",
    "submit [1].length": """error[type_error]: can't read `.length` from list
 --> line 1, column 8
  | submit [1].length
  |        ^^^^^^^^^^
 hint: write len(x)""",
    'submit json_parse("{a: 1}")': """error[value_error]: `json_parse`: the text is not JSON at line 1, column 2
 --> line 1, column 8
  | submit json_parse("{a: 1}")
  |        ^^^^^^^^^^^^^^^^^^^^
 hint: r = try json_parse(text) gives { ok, value } or { ok, error } instead""",
}


@pytest.mark.parametrize("source", SHOWN)
def test_error_is_shown_with_its_place_and_what_helps(source: str) -> None:
    def host(effect: object) -> object:
        members = getattr(effect, "members", ())
        return [Failed("down") for _ in members] if members else Failed("down")

    result = run(source, host, surface=SURFACE)  # type: ignore[arg-type]  # a host for joins and single effects
    assert result.error is not None
    assert str(result.error) == SHOWN[source]


def test_error_inside_a_process_has_its_place_too() -> None:
    from lashlang import Execution, compile_program

    code = compile_program("process p(n: any) {\n  m = n\n  finish m.x.y + []\n}", SURFACE)
    run_ = Execution(code, "process:p", values={"n": {"x": None}})
    run_.advance(lambda _: Failed("none"))
    assert run_.error is not None
    assert (run_.error.line, run_.error.column) == (3, 10)
