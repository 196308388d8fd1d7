"""Running the cases of a corpus: programs with the outcomes that they must have (lashlang.md, Appendix B)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from lashlang.check import HostSurface
from lashlang.errors import LangError, LinkError, ParseError
from lashlang.machine.drivers import RunResult, result_of
from lashlang.machine.execution import Execution
from lashlang.machine.meter import Limits
from lashlang.machine.scripted_host import ScriptedHost
from lashlang.machine.values import Value
from lashlang.running import compile_program

Kind = Literal["value", "continued", "error", "parse_error", "link_error"]


class CaseOutcome(msgspec.Struct, frozen=True):
    """What a program did, in the words of a case's `expect` (`printed` is `continued` here)."""

    kind: Kind
    value: Value = None
    code: str | None = None
    message: str = ""
    printed: tuple[Value, ...] = ()
    error: LangError | None = None


class Session:
    """Blocks that run one after the other on one scripted host, with their variables kept between them.

    Args:
        host: the `host` object of a case.
        limits: the bounds of each block.
    """

    def __init__(self, host: Mapping[str, Any] | None = None, limits: Limits | None = None) -> None:
        host = host or {}
        self._surface = HostSurface.from_host(host)
        self._projected: dict[str, Any] = dict(host.get("projected") or {})
        self._globals: dict[str, Any] = dict(host.get("globals") or {})
        self._limits = limits
        self._blocks = 0
        operations = {
            (path, name): target
            for path, module in self._surface.modules.items()
            for name, target in module.operations.items()
        }
        self._host = ScriptedHost(host.get("tools"), operations, limits=limits)

    def run(self, source: str) -> CaseOutcome:
        """Run one block; its variables stay, also after an error."""
        try:
            code = compile_program(source, self._surface, projected=self._projected)
        except ParseError as error:
            return CaseOutcome("parse_error", code=error.code, message=str(error), error=error)
        except LinkError as error:
            return CaseOutcome("link_error", code=error.code, message=str(error), error=error)
        except LangError as error:
            return CaseOutcome("error", code=error.code, message=str(error), error=error)
        self._blocks += 1
        run = Execution(
            code,
            values=self._globals,
            projected=self._projected,
            limits=self._limits,
            run_id=f"block-{self._blocks}",
        )
        if run.state == "ready":
            run.advance(self._host.attach(code))
        self._globals = run.globals
        return _outcome(result_of(run))


def _outcome(result: RunResult) -> CaseOutcome:
    match result.state:
        case "finished":
            return CaseOutcome("value", result.value, printed=result.printed)
        case "continued":
            return CaseOutcome("continued", printed=result.printed)
        case "error":
            assert result.error is not None
            error = result.error
            return CaseOutcome("error", None, error.code, str(error), result.printed, error)
        case _:
            message = f"the program is {result.state} and nothing can go on"
            return CaseOutcome("error", None, "not_finished", message, result.printed)


def mismatch(case: Mapping[str, Any], outcome: CaseOutcome) -> str | None:
    """What about `outcome` is not what `case` expects, or None."""
    expect = case["expect"]
    wanted = "continued" if expect["kind"] == "printed" else expect["kind"]
    if outcome.kind != wanted:
        detail = outcome.code or json.dumps(outcome.value, ensure_ascii=False)
        return f"expected {expect['kind']}, got {outcome.kind} ({detail})"
    if wanted == "value" and not same_json(outcome.value, expect["value"]):
        return f"expected {_text(expect['value'])}, got {_text(outcome.value)}"
    if expect.get("code") not in (None, outcome.code):
        return f"expected code {expect['code']}, got {outcome.code}"
    if expect.get("message_contains", "") not in outcome.message:
        return f"expected a message with {expect['message_contains']!r}, got {outcome.message!r}"
    if "printed" in expect and not same_json(list(outcome.printed), expect["printed"]):
        return f"expected printed {_text(expect['printed'])}, got {_text(list(outcome.printed))}"
    return None


def same_json(a: object, b: object) -> bool:
    """JSON equality: numbers by value, key order ignored, `true` is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_json, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_json(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, int):
        return a == float(b)
    if isinstance(a, int) and isinstance(b, float):
        return float(a) == b
    return a == b


def run_case(case: Mapping[str, Any], limits: Limits | None = None) -> CaseOutcome:
    """Run a case: its `prior` blocks, whose outcomes do not matter, then its `source`."""
    session = Session(case.get("host"), limits)
    for block in case.get("prior", ()):
        session.run(block)
    return session.run(case["source"])


def failures(cases: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str | None]]:
    """Each case's name with what is wrong about it, or None."""
    for case in cases:
        yield case["name"], mismatch(case, run_case(case))


def read_cases(path: Path) -> list[dict[str, Any]]:
    """The cases of a JSONL file.

    Raises:
        LangError: `corpus_invalid` for a line that is no case.
    """
    cases: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            case = json.loads(line)
            complete = (
                isinstance(case["name"], str) and isinstance(case["source"], str) and case["expect"]["kind"]
            )
        except (ValueError, KeyError, TypeError):
            complete = False
        if not complete:
            raise LangError(
                "corpus_invalid", f"line {number} of {path.name} is not a case", line_number=number
            )
        cases.append(case)
    return cases


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
