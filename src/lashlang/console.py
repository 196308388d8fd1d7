"""`lash lang run | check | fmt | corpus | explain`: what each prints, and its exit status.

Functions of files and options, so that the command line only parses words and writes what it is given. Exit status:
0, 1 (the program or a case failed), 2 (a file or a word that is not what it should be).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from lashlang.catalogue import CATALOGUE
from lashlang.check import HostSurface, check, lint
from lashlang.corpus import CaseOutcome, Session, failures, read_cases
from lashlang.errors import Diagnostic, LangError
from lashlang.syntax import format_program, parse


class Output(msgspec.Struct, frozen=True):
    """What a command prints and how it exits."""

    status: int
    stdout: str = ""
    stderr: str = ""


def run_file(path: Path, host: Path | None = None, *, as_json: bool = False) -> Output:
    """`lash lang run FILE [--host HOST.json] [--json]`: run a program on the scripted host of a host file."""
    try:
        source, script = _source(path), _host(host)
        outcome = Session(script).run(source)
    except LangError as error:
        return Output(2, stderr=f"{error}\n")
    status = 0 if outcome.kind in ("value", "continued") else 1
    if as_json:
        return Output(status, _line(_as_json(outcome)), "" if status == 0 else f"{outcome.message}\n")
    lines = [item if isinstance(item, str) else _dump(item) for item in outcome.printed]
    if outcome.kind == "value":
        lines.append(_dump(outcome.value))
    return Output(status, "".join(f"{line}\n" for line in lines), f"{outcome.message}\n" if status else "")


def check_file(path: Path, host: Path | None = None, *, as_json: bool = False) -> Output:
    """`lash lang check FILE [--host HOST.json] [--json]`: every finding of the parser and the linker, and warnings."""
    try:
        source, script = _source(path), _host(host)
        surface = HostSurface.from_host(script) if host is not None else HostSurface.with_everything_on()
    except LangError as error:
        return Output(2, stderr=f"{error}\n")
    try:
        found: Sequence[Diagnostic] = lint(check(parse(source), surface))
        status = 0
    except LangError as error:
        found, status = error.diagnostics, 1
    text = "\n\n".join(finding.render() for finding in found) + "\n" if found else ""
    if as_json:
        listed = [
            {
                "severity": d.severity,
                "code": d.code,
                "message": d.message,
                "line": d.line,
                "column": d.column,
                "hint": d.hint,
            }
            for d in found
        ]
        return Output(status, _line({"ok": status == 0, "diagnostics": listed}), text if status else "")
    return Output(status, "" if status else text + "ok\n", text if status else "")


def format_file(path: Path, *, check_only: bool = False, write: bool = False) -> Output:
    """`lash lang fmt FILE [--check] [--write]`: the canonical spelling, printed, compared or written back."""
    try:
        source = _source(path)
        text = format_program(parse(source))
    except LangError as error:
        return Output(1, stderr=f"{error}\n")
    if check_only:
        return Output(0) if text == source else Output(1, stderr=f"{path.name} is not in canonical form\n")
    if write:
        if text != source:
            path.write_text(text, encoding="utf-8")
        return Output(0)
    return Output(0, text)


def run_corpus(path: Path, *, as_json: bool = False) -> Output:
    """`lash lang corpus CASES.jsonl [--json]`: each failing name, and last `N passed, M failed`.

    The reasons go to standard error, so that the names can be read by a script.
    """
    try:
        cases = read_cases(path)
    except LangError as error:
        return Output(2, stderr=f"{error}\n")
    except OSError as error:
        return Output(2, stderr=f"cannot read {path.name}: {error.strerror}\n")
    results = list(failures(cases))
    failed = [(name, reason) for name, reason in results if reason is not None]
    passed = len(results) - len(failed)
    status = 1 if failed else 0
    if as_json:
        listed = [{"name": name, "reason": reason} for name, reason in failed]
        return Output(status, _line({"passed": passed, "failed": len(failed), "failures": listed}))
    lines = [*(name for name, _ in failed), f"{passed} passed, {len(failed)} failed"]
    reasons = "".join(f"{name}: {reason}\n" for name, reason in failed)
    return Output(status, "".join(f"{line}\n" for line in lines), reasons)


def explain(code: str, *, as_json: bool = False) -> Output:
    """`lash lang explain CODE`: what a diagnostic means and what to do about it."""
    entry = CATALOGUE.get(code)
    if entry is None:
        near = get_close_matches(code, CATALOGUE, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        return Output(2, stderr=f"there is no code `{code}`{hint}\n")
    if as_json:
        return Output(0, _line(msgspec.to_builtins(entry)))
    return Output(0, entry.render().rstrip("\n") + "\n")


def _as_json(outcome: CaseOutcome) -> dict[str, Any]:  # Any: JSON
    error = outcome.error
    place = {"line": error.line, "column": error.column} if error is not None and error.line else {}
    message = {} if error is None else {"message": error.message}
    return {
        "kind": outcome.kind,
        "value": outcome.value,
        "code": outcome.code,
        "printed": list(outcome.printed),
        **message,
        **place,
    }


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise LangError("file_unreadable", f"cannot read {path.name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LangError("file_unreadable", f"{path.name} is not UTF-8 text") from None


def _host(path: Path | None) -> dict[str, Any] | None:  # Any: JSON
    if path is None:
        return None
    try:
        host = json.loads(_source(path))
    except ValueError as error:
        raise LangError("host_invalid", f"{path.name} is not JSON: {error}") from None
    if not isinstance(host, dict):
        raise LangError("host_invalid", f"{path.name} must hold a JSON object")
    return host


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _line(value: object) -> str:
    return _dump(value) + "\n"
