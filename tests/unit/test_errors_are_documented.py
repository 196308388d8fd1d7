"""Every code that lash can raise is in docs/errors.md, and nothing else is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RAISERS = {"LashError", "ToolError", "ModelCallError", "store_failure"}


def raised_codes() -> set[str]:
    """Return the literal codes in calls of the error classes, and in what builds failures of models."""
    codes: set[str] = set()
    for path in (ROOT / "src" / "lash").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in RAISERS and node.args:
                codes |= literal_codes(node.args[0])
    return codes


def literal_codes(argument: ast.expr) -> set[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return {argument.value}
    if isinstance(argument, ast.IfExp):
        return literal_codes(argument.body) | literal_codes(argument.orelse)
    return set()


def documented_codes() -> set[str]:
    text = (ROOT / "docs" / "errors.md").read_text()
    return set(re.findall(r"^\| `([a-z_:<>]+)`", text, flags=re.MULTILINE))


def test_every_raised_code_is_documented() -> None:
    assert raised_codes() - documented_codes() == set()


def test_codes_are_snake_case() -> None:
    assert [code for code in raised_codes() if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", code)] == []
