"""The pages under docs/language: their programs do what they say, their tables are complete."""

import json
import re
from pathlib import Path

import pytest

from lashlang.catalogue import CATALOGUE
from lashlang.check import HostSurface, check, lint
from lashlang.corpus import Session
from lashlang.errors import LangError
from lashlang.syntax import format_program, limits, parse

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted((DOCS / "language").glob("*.md"))
HOST = {
    "surface": "fixture",
    "tools": {"fetch": {"ok": 1}},
    "abilities": ["processes", "sleep", "process_signals", "triggers", "label_annotations"],
}
SURFACE = HostSurface.from_host(HOST)
BLOCK = re.compile(r"^```(lash|lash-bad)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind):
    for page in PAGES:
        for number, match in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8"))):
            if match.group(1) == kind:
                yield pytest.param(match.group(2), id=f"{page.stem}-{number}")


def codes(source):
    try:
        return [finding.code for finding in lint(check(parse(source), SURFACE))]
    except LangError as error:
        return [finding.code for finding in error.diagnostics]


@pytest.mark.parametrize("source", list(blocks("lash")))
def test_good_program_links_without_a_warning_and_gives_what_it_says(source):
    assert codes(source) == []
    expected = re.search(r"^# => (.*)$", source, re.MULTILINE)
    if expected:
        outcome = Session(HOST).run(source)
        assert (outcome.kind, outcome.value) == ("value", json.loads(expected.group(1)))


@pytest.mark.parametrize("source", list(blocks("lash-bad")))
def test_bad_program_has_exactly_the_finding_that_it_names(source):
    assert codes(source) == [source.split("\n")[0].removeprefix("# ")]


def test_pages_have_programs_of_both_kinds():
    assert len(list(blocks("lash"))) >= 8
    assert len(list(blocks("lash-bad"))) >= 3


def test_findings_page_has_every_code():
    page = (DOCS / "language" / "findings.md").read_text(encoding="utf-8")
    assert [code for code in CATALOGUE if f"| `{code}` |" not in page] == []


def test_findings_page_shows_a_real_message():
    page = (DOCS / "language" / "findings.md").read_text(encoding="utf-8")
    with pytest.raises(LangError) as caught:
        parse("for k, v in r { print k }")
    assert f"```text\n{caught.value}\n```" in page


def test_grammar_page_names_the_real_limits():
    page = (DOCS / "language" / "grammar.md").read_text(encoding="utf-8")
    for limit in (limits.MAX_SOURCE_CHARS, limits.MAX_NESTING, limits.MAX_HEIGHT, limits.MAX_OPERANDS):
        assert f"| {limit:,} |" in page


def test_page_of_changes_names_only_codes_that_exist():
    page = (DOCS / "language-changes.md").read_text(encoding="utf-8")
    kept = page[page.index("## Kept, with a warning") :]
    named = re.findall(r"\| `([a-z_]+)` \|$", kept, re.MULTILINE)
    assert len(named) >= 8
    assert [code for code in named if code not in CATALOGUE or CATALOGUE[code].phase != "warning"] == []


@pytest.mark.parametrize("source", list(blocks("lash")))
def test_good_program_keeps_its_meaning_when_it_is_formatted(source):
    formatted = format_program(parse(source))
    assert codes(formatted) == []
    assert Session(HOST).run(formatted).value == Session(HOST).run(source).value
