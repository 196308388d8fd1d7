"""The page about running programs: its Python blocks run, in order, in one namespace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lashlang.machine.meter as meter
import lashlang.machine.values as values

PAGE = Path(__file__).parents[3] / "docs" / "language" / "running.md"


def test_python_blocks_of_the_page_run() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 8
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), namespace)


def test_page_names_the_bounds_that_hold() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for number in (values.MAX_TEXT, values.MAX_ITEMS, meter.SLICE, meter.POLL_WORK):
        assert f"{number:,}" in text
    assert f"{meter.MAX_CALLS} nested calls" in text
    assert f"values {values.MAX_DEPTH} deep" in text
