"""Codes of warnings: legal programs that probably do something else than was meant."""

from __future__ import annotations

from typing import Final

from lashlang.catalogue.entry import Explanation


def _entry(code: str, title: str, text: str, wrong: str, right: str) -> Explanation:
    return Explanation(code, "warning", title, text, wrong, right)


WARNINGS: Final = (
    _entry(
        "always_true",
        "a list or record as a condition",
        'Only null, false, 0, NaN and "" are false; `[]`, `{}` and the wrapper of a failure are true.',
        'xs = []\nif xs { print "some" }',
        'xs = []\nif not empty(xs) { print "some" }',
    ),
    _entry(
        "not_binds_tightly",
        "`not` in front of a comparison",
        "`not a == b` is `(not a) == b`.",
        'a = 1\nb = 2\nif not a == b { print "differ" }',
        'a = 1\nb = 2\nif a != b { print "differ" }',
    ),
    _entry(
        "logic_gives_bool",
        "`and` or `or` used to choose a value",
        "Their result is true or false. `??` gives a fallback for null.",
        'name = null\nx = name or "nobody"',
        'name = null\nx = name ?? "nobody"',
    ),
    _entry(
        "null_index",
        "null as an index",
        "null counts as 0, so this reads the first item.",
        "xs = [1]\nx = xs[null]",
        "xs = [1]\nx = xs[0]",
    ),
    _entry(
        "unknown_field",
        "reading a field that the record cannot have",
        "A missing field reads as null, so a slip of the pen goes unnoticed.",
        'user = { name: "Ada" }\nx = user.nmae',
        'user = { name: "Ada" }\nx = user.name',
    ),
    _entry(
        "comment_as_division",
        "`//` behind a value",
        "`//` starts a comment. Whole quotients are floor_div(a, b) and ceil_div(a, b).",
        "x = 7 // 2",
        "x = floor_div(7, 2)",
    ),
    _entry(
        "unreachable",
        "statements that are never reached",
        "The block has ended before them: `submit`, `finish`, `fail`, `break`, `continue` or an endless"
        " loop.",
        "submit 1\nprint 2",
        "print 2\nsubmit 1",
    ),
    _entry(
        "unwrap_before_await",
        "`?` that binds tighter than `await`",
        "`await start p()?` unwraps the handle and fails; the result of the process is unwrapped outside.",
        "process p() { finish 1 }\nx = await start p()?",
        "process p() { finish 1 }\nx = (await start p())?",
    ),
    _entry(
        "unwrap_of_join",
        "`?` on a joined list or record",
        "A join gives a container of wrappers, which is no wrapper itself. Unwrap its parts.",
        "process p() { finish 1 }\nxs = (await [start p(), start p()])?",
        "process p() { finish 1 }\nrs = await [start p(), start p()]\nxs = [r? for r in rs]",
    ),
    _entry(
        "builtin_arity",
        "a builtin called with too few or too many arguments",
        "The call fails with type_error when it is reached.",
        'x = len("a", "b")',
        'x = len("a")',
    ),
    _entry(
        "process_argument_type",
        "an argument that is not of the parameter's type",
        "Types of process parameters are not enforced when the program runs, but this one is certainly"
        " different.",
        'process p(n: int) { finish n }\nh = start p(n: "x")',
        "process p(n: int) { finish n }\nh = start p(n: 1)",
    ),
    _entry(
        "foreign_literal",
        "a literal of another language",
        "`None`, `nil`, `undefined`, `True` and `False` are ordinary variables here.",
        "x = None",
        "x = null",
    ),
)
