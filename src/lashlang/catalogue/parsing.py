"""Codes of the parser: the text is not a program."""

from __future__ import annotations

from typing import Final

from lashlang.catalogue.entry import Explanation


def _entry(code: str, title: str, text: str, wrong: str, right: str) -> Explanation:
    return Explanation(code, "parse", title, text, wrong, right)


PARSING: Final = (
    _entry(
        "unexpected_char",
        "a character that starts nothing",
        "Outside of strings only ASCII letters, digits, `_` and the operators of the language have a"
        " meaning. Other"
        " letters, quotes of a word processor, `$`, `&`, `` ` ``, `~`, `^` and `\\` do not.",
        "both = a & b",
        "both = a and b",
    ),
    _entry(
        "unterminated_string",
        "a string that never ends",
        'The closing quotes are missing. A raw string of one line (r"…") must end on its line; r"""…""" may'
        " span several. The text behind the opening quote was not read.",
        'x = "abc',
        'x = "abc"',
    ),
    _entry(
        "invalid_number",
        "letters or underscores that do not belong to a number",
        "Numbers are decimal: 12, 1.5, 1e6, 1_000_000. A name may not follow a number without a blank.",
        "mask = 0x1F",
        "mask = 31",
    ),
    _entry(
        "invalid_escape",
        "a `\\u` without four hexadecimal digits",
        "`\\uXXXX` stands for a character; half of a surrogate pair is none. Any other backslash stands"
        " for the"
        ' character behind it. In a raw string, r"…", backslashes mean themselves.',
        'path = "C:\\users"',
        'path = r"C:\\users"',
    ),
    _entry(
        "expected",
        "something else has to stand here",
        "The grammar allows only what the message names. A note shows the bracket that is still open, if"
        " one is.",
        "user = { name }",
        'name = "Ada"\nuser = { name: name }',
    ),
    _entry(
        "unexpected",
        "nothing can start like this",
        "A value or a statement was due. Most often an operator of another language (`+=`, `**`, `===`)"
        " or a word"
        " used as an expression (`if`) stands here; the hint has the form to write.",
        "n = 1\nn += 1",
        "n = 1\nn = n + 1",
    ),
    _entry(
        "loop_control_outside_loop",
        "`break` or `continue` without a loop",
        "They belong to the nearest `for` or `while` around them.",
        "if true { break }",
        "for x in [1, 2] {\n  if x == 1 { break }\n}",
    ),
    _entry(
        "process_control_outside_block",
        "`yield`, `wake` or `fail` outside a process",
        "They speak for a running process. The foreground reports with `print` and ends with `submit`.",
        "wake { done: true }",
        "process work() { wake { done: true } }",
    ),
    _entry(
        "foreground_control_inside_process",
        "`submit` or `print` inside a process",
        "They belong to the foreground. A process reports with `yield` or `wake` and ends with `finish`.",
        "process work() { submit 1 }",
        "process work() { finish 1 }",
    ),
    _entry(
        "declarative_trigger_removed",
        "a trigger written as a declaration",
        "Triggers are registered while a program runs, with an operation of the host.",
        "trigger nightly on cron as event -> run(e: event)",
        "process run(e: timer.Tick) { finish e.fired_at }\n"
        'source = timer.Schedule({ expr: "0 7 * * *" })\n'
        "h = await triggers.register({ source: source, target: run, inputs: { e: trigger.event } })?",
    ),
    _entry(
        "invalid_label_annotation",
        "a label with the wrong fields",
        "A label has a `title` and may have a `description`, each once and each a string.",
        '@label(description: "what it does")\nx = 1',
        '@label(title: "Step", description: "what it does")\nx = 1',
    ),
    _entry(
        "invalid_label_target",
        "a label before something that has no step",
        "A label names a step of the execution graph: a statement or a top-level process.",
        '@label(title: "Shape")\ntype Shape = { x: int }',
        '@label(title: "Step")\nx = 1',
    ),
    _entry(
        "nesting_too_deep",
        "too many levels inside one another",
        "At most 64 blocks, brackets, prefix operators, ternaries and types may nest, and at most 64"
        " operands may"
        " pile up in one expression. Chains of one operator and `else if` ladders do not count.",
        "x = " + "[" * 70 + "]" * 70,
        "inner = [1]\nx = [inner]",
    ),
    _entry(
        "expression_too_large",
        "an expression with too many operands",
        "At most 2,000 operands stand in one expression, not counting what is inside its brackets.",
        "x = " + " + ".join(["1"] * 2_500),
        "x = sum([1, 1, 1])",
    ),
    _entry(
        "source_too_large",
        "a program of more than a million characters",
        "A program is at most 1,048,576 characters long. Bulk data comes in through a tool or a variable.",
        "",
        "",
    ),
)
