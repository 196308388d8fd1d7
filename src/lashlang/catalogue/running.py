"""Codes of a running program, and of the host around it."""

from __future__ import annotations

from typing import Final

from lashlang.catalogue.entry import Explanation, Phase


def _entry(code: str, title: str, text: str, wrong: str = "", right: str = "") -> Explanation:
    return Explanation(code, "run", title, text, wrong, right)


def _host(code: str, title: str, text: str, phase: Phase = "host") -> Explanation:
    return Explanation(code, phase, title, text)


RUNNING: Final = (
    _entry(
        "undefined_variable",
        "a variable that nothing has assigned",
        "Names live from their first assignment on; the variable of a `for` ends with its loop.",
        "submit total",
        "total = 0\nsubmit total",
    ),
    _entry(
        "non_list_iteration",
        "a loop over something that is no list",
        '`for` takes lists. The keys of a record are keys(r), the characters of a text split(t, "").',
        "for k in { a: 1 } { print k }",
        "for k in keys({ a: 1 }) { print k }",
    ),
    _entry(
        "type_error",
        "the wrong kind of value",
        "An operator, builtin, field, index or assignment met a kind of value that it does not take.",
        "submit [1, 2] - [2]",
        "submit [x for x in [1, 2] if x != 2]",
    ),
    _entry(
        "value_error",
        "the right kind of value, but not one that can be used",
        "An index out of range in an assignment, bad JSON, a template that does not fit its arguments, a"
        " value that"
        " does not validate, or a failure that `?` has unwrapped. `try` turns it into a wrapper.",
        'submit json_parse("{")',
        'r = try json_parse("{")\nsubmit r.ok ? r.value : "not JSON"',
    ),
    _entry(
        "fuel_exhausted",
        "the program has taken too many steps",
        "The host bounds the steps of a program. Look for a loop that never ends, or do the work in"
        " smaller parts.",
        "while true { x = 1 }",
        "n = 0\nwhile n < 3 { n = n + 1 }",
    ),
    _entry(
        "memory_exhausted",
        "the program holds too much data",
        "The host bounds what variables hold together. Keep what is needed of a result and let the rest go.",
        'x = "abcdefgh"\nwhile true { x = x + x }',
        'x = "abcdefgh"\nprint len(x)',
    ),
    _entry(
        "value_too_large",
        "a single value that is too large",
        "Texts, lists and nesting are bounded one by one.",
    ),
    _entry(
        "time_exhausted",
        "the program has run too long",
        "Waiting for the host does not count, computing does.",
    ),
    _entry("cancelled", "the program was stopped from outside", "Somebody asked the host to stop it."),
    _entry(
        "call_depth_exceeded",
        "functions that call each other too deeply",
        "A recursive `fn` needs an end that it reaches soon enough.",
        "fn f(n) { f(n + 1) }\nsubmit f(0)",
        "fn f(n) { n > 5 ? n : f(n + 1) }\nsubmit f(0)",
    ),
    _entry(
        "invalid_host_value",
        "the host answered with something that is no value",
        "A fault of the host or its tool.",
    ),
)

HOSTING: Final = (
    _host("surface_conflict", "a host surface that contradicts itself", "One name was given two meanings."),
    _host(
        "trigger_template_invalid",
        "trigger inputs of the wrong form",
        "Each input is the event or a fixed value.",
    ),
    _host(
        "artifact_codec",
        "bytes that are no module artifact",
        "They were cut, changed, or are something else.",
    ),
    _host("artifact_hash_mismatch", "an artifact that does not match its hash", "Its content was changed."),
    _host(
        "artifact_version",
        "an artifact of another version",
        "It was written by a release this one cannot read.",
    ),
    _host(
        "frame_codec", "bytes that are no suspended program", "They were cut, changed, or are something else."
    ),
    _host(
        "frame_key", "a suspended program with another key", "It was sealed with a key that was not given."
    ),
    _host("frame_version", "a suspended program of another version", "This release cannot resume it."),
    _host(
        "frame_code_mismatch",
        "a suspended program of other code",
        "Resume it with the code that it was parked in.",
    ),
    _host(
        "frame_stale",
        "a suspended program whose place is gone",
        "The code no longer has the site it stands at.",
    ),
    _host(
        "projection_changed",
        "a read-only binding that is no longer what it was",
        "A suspended program goes on with the content that it has read. Bind the same reference again.",
    ),
    _host(
        "replay_mismatch",
        "a replay that asks for something else",
        "The recorded outcomes belong to another run.",
    ),
    _host(
        "invalid_outcome",
        "an answer to the wrong question",
        "The outcome does not fit the effect it answers.",
    ),
    _host(
        "not_ready", "a program resumed before its answers are in", "Give every outcome of the effect first."
    ),
    _host("not_waiting", "an answer to a program that asks nothing", "It is running or has ended."),
    _host(
        "not_finished",
        "a program that waits for what cannot come",
        "The scripted host of a case has no answer.",
    ),
    _host("internal_error", "a fault of lashlang itself", "The program is not to blame; please report it."),
    _host(
        "not_canonical",
        "a value without a canonical form",
        "Hashes cover JSON values with finite numbers only.",
    ),
    _host(
        "corpus_invalid", "a corpus line of the wrong form", "Each line is one case as docs/language has it."
    ),
    _host("file_unreadable", "a file that cannot be read", "The message has the path and the reason."),
    _host("host_invalid", "a host file of the wrong form", "It is the `host` object of a corpus case."),
)
