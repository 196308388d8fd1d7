"""`lash lang …`: what is printed, what is JSON, how it exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lashlang import console
from lashlang.catalogue import CATALOGUE


@pytest.fixture
def program(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "program.lash"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def host(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "host.json"
    path.write_text(json.dumps(content))
    return path


def test_run_prints_what_the_program_prints_and_then_its_value(program: Any) -> None:
    output = console.run_file(program('print "é"\nprint [1, null]\nsubmit { a: 1.0 }'))
    assert output == console.Output(0, 'é\n[1, null]\n{"a": 1}\n')


@pytest.mark.parametrize(
    ("text", "kind", "status"),
    [
        ("submit 1", "value", 0),
        ("print 1", "continued", 0),
        ("submit nope", "error", 1),
        ("submit )", "parse_error", 1),
        ("submit nope()", "link_error", 1),
    ],
)
def test_run_as_json_tells_the_kind_and_nothing_else_on_standard_output(
    program: Any, text: str, kind: str, status: int
) -> None:
    output = console.run_file(program(text), as_json=True)
    told = json.loads(output.stdout)
    assert output.stdout.count("\n") == 1
    assert (told["kind"], output.status) == (kind, status)
    assert set(told) >= {"kind", "value", "code", "printed"}
    assert bool(output.stderr) == bool(status)
    if status:
        assert told["code"] in output.stderr
        assert told["line"] == 1


def test_run_uses_a_host_file(program: Any, tmp_path: Path) -> None:
    script = host(tmp_path, {"tools": {"get": {"seq": [{"ok": 1}, {"error": "gone"}]}}, "globals": {"n": 10}})
    text = "a = await tools.get({})?\nb = await tools.get({})\nsubmit [a + n, b.error]"
    output = console.run_file(program(text), script, as_json=True)
    assert json.loads(output.stdout)["value"] == [11, "gone"]


def test_unusable_files_are_usage_errors(program: Any, tmp_path: Path) -> None:
    assert console.run_file(tmp_path / "missing").status == 2
    assert console.run_file(program("submit 1"), host(tmp_path, [])).status == 2
    (tmp_path / "bad.json").write_text("{")
    assert console.run_file(program("submit 1"), tmp_path / "bad.json").status == 2
    (tmp_path / "latin").write_bytes(b"\xe9")
    assert console.check_file(tmp_path / "latin").status == 2


def test_check_reports_every_finding_with_its_place(program: Any) -> None:
    good = console.check_file(program("x = 1"))
    assert (good.status, good.stdout) == (0, "ok\n")
    output = console.check_file(program("x = nope(1)\ny = neither(2)"), as_json=True)
    found = json.loads(output.stdout)["diagnostics"]
    assert [(d["code"], d["line"], d["column"]) for d in found] == [
        ("unknown_builtin", 1, 5),
        ("unknown_builtin", 2, 5),
    ]
    assert output.status == 1
    assert "^" in output.stderr


def test_check_warns_about_what_is_legal_and_surely_not_meant(program: Any) -> None:
    path = program("x = []\nsubmit 7 // 2\n")
    output = console.check_file(path, as_json=True)
    told = json.loads(output.stdout)
    assert (output.status, told["ok"]) == (0, True)
    assert [(d["severity"], d["code"]) for d in told["diagnostics"]] == [("warning", "comment_as_division")]
    shown = console.check_file(path).stdout
    assert "warning[comment_as_division]" in shown
    assert shown.endswith("ok\n")


def test_fmt_prints_compares_and_writes_the_canonical_form(program: Any) -> None:
    path = program("x=1;y   =  [1,2]\nsubmit   x+y")
    printed = console.format_file(path).stdout
    assert printed != path.read_text()
    assert console.format_file(path, check_only=True).status == 1
    assert console.format_file(path, write=True).status == 0
    assert path.read_text() == printed
    assert console.format_file(path, check_only=True).status == 0
    assert console.format_file(program("x = (")).status == 1


def test_explain_knows_every_code_and_suggests_near_ones() -> None:
    for code in CATALOGUE:
        output = console.explain(code)
        assert output.status == 0
        assert output.stdout.startswith(code)
    assert json.loads(console.explain("type_error", as_json=True).stdout)["phase"] == "run"
    unknown = console.explain("type_eror")
    assert unknown.status == 2
    assert "type_error" in unknown.stderr


def test_codes_that_the_corpus_expects_are_explained() -> None:
    corpus = Path(__file__).parents[2] / "data" / "lashlang_public.jsonl"
    expected = {json.loads(line)["expect"].get("code") for line in corpus.read_text().splitlines()}
    assert expected - {None} <= set(CATALOGUE)
