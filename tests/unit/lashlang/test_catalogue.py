"""The catalogue explains every code that the package can raise, and its examples do what it says."""

import ast
from pathlib import Path

import pytest

import lashlang
from lashlang.catalogue import CATALOGUE, explain
from lashlang.check import HostSurface, check, lint
from lashlang.corpus import Session
from lashlang.errors import LangError
from lashlang.machine.meter import Limits
from lashlang.syntax import parse

SURFACE = HostSurface.from_host(
    {
        "surface": "fixture",
        "tools": ["fetch"],
        "abilities": ["processes", "sleep", "process_signals", "triggers", "label_annotations"],
    }
)
REPORTERS = ("fail", "note", "report", "error", "warning", "_warn", "Diagnostic", "type_error", "value_error")
EXPLAINED = list(CATALOGUE.values())


def findings(source, surface=SURFACE):
    """The codes of the errors of a program, else of its warnings."""
    try:
        return [finding.code for finding in lint(check(parse(source), surface))]
    except LangError as error:
        return [finding.code for finding in error.diagnostics]


def texts(node):
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def raised_codes():
    """Every literal that the package's source passes where a code goes."""
    root = Path(lashlang.__file__).parent
    for path in root.rglob("*.py"):
        if "catalogue" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and any(ast.unparse(target) == "code" for target in node.targets):
                yield from ((code, path.name) for code in texts(node.value))
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in REPORTERS or name.endswith(("Error", "Fault", "Halt")):
                first = [arg for arg in node.args[:2] if isinstance(arg, ast.Constant)]
                for arg in first[:1]:
                    if (
                        isinstance(arg.value, str)
                        and arg.value.replace("_", "").isalpha()
                        and arg.value.islower()
                    ):
                        yield arg.value, path.name


def test_every_code_in_the_source_is_explained():
    raised = set(raised_codes())
    assert len(raised) > 80
    assert {(code, path) for code, path in raised if code not in CATALOGUE} == set()


def test_every_explained_code_of_the_front_end_is_raised_somewhere():
    front = {entry.code for entry in EXPLAINED if entry.phase in ("parse", "link", "warning")}
    assert front - {code for code, _ in raised_codes()} == set()


@pytest.mark.parametrize("entry", EXPLAINED, ids=lambda entry: entry.code)
def test_entry_says_something_in_plain_words(entry):
    assert entry.code.replace("_", "").isalpha()
    assert entry.title[0].islower() or entry.title[0] in "`"
    assert entry.text.endswith(".")
    assert entry.code in entry.render()


@pytest.mark.parametrize(
    "entry",
    [e for e in EXPLAINED if e.wrong and e.phase in ("parse", "link", "warning")],
    ids=lambda entry: entry.code,
)
def test_wrong_example_has_exactly_this_finding(entry):
    assert findings(entry.wrong, HostSurface() if entry.closed else SURFACE) == [entry.code]


@pytest.mark.parametrize("entry", [e for e in EXPLAINED if e.right], ids=lambda entry: entry.code)
def test_right_example_has_no_finding(entry):
    assert findings(entry.right) == []


@pytest.mark.parametrize(
    "entry", [e for e in EXPLAINED if e.phase == "run" and e.wrong], ids=lambda e: e.code
)
def test_wrong_example_of_a_running_code_links(entry):
    assert set(findings(entry.wrong)) <= {"unreachable"}


RUNNING = [entry for entry in EXPLAINED if entry.phase == "run" and entry.wrong]


@pytest.mark.parametrize("entry", RUNNING, ids=lambda entry: entry.code)
def test_wrong_example_fails_with_its_code_and_right_one_runs(entry):
    limits = Limits(fuel=20_000, memory_bytes=200_000)
    assert Session({}, limits).run(entry.wrong).code == entry.code
    assert Session({}, limits).run(entry.right).code is None


def test_unknown_code_is_not_explained():
    assert explain("no_such_code") is None


def test_explanation_reads_as_a_page():
    assert explain("loop_control_outside_loop").render() == (
        "loop_control_outside_loop (parse): `break` or `continue` without a loop\n\n"
        "They belong to the nearest `for` or `while` around them.\n\n"
        "Wrong:\n    if true { break }\n\n"
        "Right:\n    for x in [1, 2] {\n      if x == 1 { break }\n    }"
    )
