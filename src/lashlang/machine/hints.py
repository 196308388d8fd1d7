"""What to write instead, for the run-time errors where something is known to help.

Hints are found from the error's code and text after the fact, so that the paths that run programs carry none of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_BY_TEXT: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (
        re.compile(r"^`\?` unwrapped"),
        "keep the wrapper to go on after a failure: r = await …, then if r.ok { … } else { … r.error … }",
    ),
    (
        re.compile(r"^`\?` needs a record with a boolean `ok`, got (list|record)"),
        "`?` does not reach into a joined result: rs = await handles, then rs[0]? for each of them",
    ),
    (re.compile(r"^`for` expects a list, got record"), "loop over keys(record), or over values(record)"),
    (re.compile(r"^`for` expects a list, got string"), 'loop over split(text, "\\n") or split(text, "")'),
    (
        re.compile(r"^`for` expects a list, got null"),
        "give it a list when there is none: for x in xs ?? [] { … }",
    ),
    (re.compile(r"^`for` expects a list, got number"), "loop over range(n)"),
    (re.compile(r"^can't read `\.(length|size|count)`"), "write len(x)"),
    (re.compile(r"^can't read `\.(push|append)`"), "write xs = push(xs, item)"),
    (re.compile(r"^can't assign to .* it holds null"), "start with a record: r = {}, then r.a = 1"),
    (re.compile(r"^can't assign through"), "assign the record first: r.a = {}, then r.a.b = 1"),
    (re.compile(r"^expected a number for `\+`, got record"), "merge(a, b) joins records"),
    (re.compile(r"^`push` requires a list .* got null"), "start with a list: xs = xs ?? []"),
    (
        re.compile(r"^`validate` requires a Type"),
        "T = Type { name: str, age: int? }, then validate(value, T)",
    ),
    (re.compile(r"^`json_parse`"), "r = try json_parse(text) gives { ok, value } or { ok, error } instead"),
)


def hint_for(code: str, message: str, known: Iterable[str]) -> str:
    """The hint for an error, or "". `known` are the variables that were bound."""
    if code == "undefined_variable":
        name = message.partition("`")[2].partition("`")[0]
        near = get_close_matches(name, sorted(known), n=2, cutoff=0.6)
        return f"did you mean {' or '.join(f'`{word}`' for word in near)}?" if near else ""
    if code not in ("type_error", "value_error", "non_list_iteration"):
        return ""
    return next((hint for pattern, hint in _BY_TEXT if pattern.search(message)), "")
