"""What every corpus case says, as text, for review: `python -m tests.unit.lashlang.snapshots` writes the file anew.

A block is `=== corpus case`, what was printed, how it ended, and for an error its span and the text that its reader
gets. Read what changed before you commit it: a caret in the wrong place or a hint that does not help is a mistake.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lashlang.corpus import read_cases, run_case

DATA = Path(__file__).parents[2] / "data"
CORPORA = {"public": DATA / "lashlang_public.jsonl", "own": DATA / "lashlang_own.jsonl"}
SNAPSHOTS = DATA / "lashlang_printed.txt"
_LONGEST = 400


def cases() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every case of both corpora under its full name."""
    for corpus, path in CORPORA.items():
        for case in read_cases(path):
            yield f"{corpus} {case['name']}", case


def told(case: Mapping[str, Any]) -> str:
    """What a case prints and how it ends."""
    outcome = run_case(case)
    lines = [f"printed {_cut(json.dumps(value, ensure_ascii=False))}" for value in outcome.printed]
    if outcome.error is not None:
        lines += [f"{outcome.kind} at {outcome.error.span}", "\n\n".join(_findings(outcome.error))]
    elif outcome.kind == "value":
        lines.append(f"value {_cut(json.dumps(outcome.value, ensure_ascii=False))}")
    else:
        lines.append(f"{outcome.kind} {outcome.message}".rstrip())
    return "\n".join(lines)


def _findings(error: Any) -> list[str]:  # Any: LangError, with findings where it has several
    found = getattr(error, "diagnostics", None)
    return [finding.render() for finding in found] if found else [str(error)]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def blocks() -> dict[str, str]:
    """The reviewed blocks by case."""
    found = {}
    parts = re.split(
        r"^=== ((?:public|own) \S+)$", SNAPSHOTS.read_text(encoding="utf-8"), flags=re.MULTILINE
    )[1:]
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        found[name] = text.strip("\n")
    return found


if __name__ == "__main__":
    SNAPSHOTS.write_text("\n".join(f"=== {name}\n{told(case)}\n" for name, case in cases()), encoding="utf-8")
