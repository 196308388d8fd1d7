"""The language page of the prompt: every block of it is a program that does what it shows."""

from __future__ import annotations

import re

import pytest

from lash.runtime.code.guide import GUIDE, PROCESSES, TRIGGERS
from lash.runtime.triggers.program_triggers import trigger_surface
from lashlang import SurfaceBuilder, check, parse, run
from lashlang.check.builtin_types import BUILTINS

BLOCKS = re.findall(r"```lash\n(.*?)```", GUIDE, re.DOTALL)
SHOWN = [
    ["Ada has 2 rows"],
    [[9, "big", [0, 20, 40], "none", True, True]],
    [10],
]


@pytest.mark.parametrize(("block", "printed"), list(zip(BLOCKS, SHOWN, strict=True)))
def test_every_block_of_the_guide_prints_what_it_says(block, printed):
    assert list(run(block).printed) == printed


@pytest.mark.parametrize("text", [GUIDE, PROCESSES, TRIGGERS])
def test_the_blocks_with_operations_are_programs(text):
    surface = (
        SurfaceBuilder().tool("lookup").tool("fetch").ability("processes", "process_signals", "sleep").build()
    ).merge(trigger_surface({}))
    blocks = re.findall(r"```\n(.*?)```", re.sub(r"```lash\n.*?```", "", text, flags=re.DOTALL), re.DOTALL)
    assert blocks
    for block in blocks:
        check(parse(block), surface)


def test_the_guide_names_every_builtin_and_no_other():
    named = GUIDE[GUIDE.index("Builtins:") : GUIDE.index("They are\ncalled")]
    words = set(re.findall(r"[a-z_]+", re.sub(r"\(.*?\)", "", named.removeprefix("Builtins:"))))
    assert words == set(BUILTINS)
