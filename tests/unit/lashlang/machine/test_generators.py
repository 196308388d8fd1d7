"""What the generators make is wide enough: every kind of node, every builtin and every code, often."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from tests.unit.lashlang.machine.engines import compiled, direct
from tests.unit.lashlang.machine.fuzz import Fuzz
from tests.unit.lashlang.machine.programs import HOST, Maker
from tests.unit.lashlang.machine.spoiling import SPOILERS, SURFACE, codes, spoiled

from lashlang.catalogue import CATALOGUE
from lashlang.check import check
from lashlang.machine.builtins import TABLE
from lashlang.machine.meter import Limits
from lashlang.syntax import ast, parse, type_expr
from lashlang.syntax.node import Node
from lashlang.syntax.traversal import walk

PROGRAMS = 300
OFTEN = 8

ABSTRACT = {"Node", "ExprNode", "StatementNode", "DeclarationNode", "TypeNode"}
INFERRED = {"TypeRun"}
"""Kinds that the checker makes and no text has."""
NODES = {
    name
    for module in (ast, type_expr)
    for name, found in vars(module).items()
    if isinstance(found, type) and issubclass(found, Node) and name not in ABSTRACT | INFERRED
}


def test_every_node_kind_and_builtin_comes_up_often() -> None:
    nodes: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for seed in range(PROGRAMS):
        tree = parse(Maker(Random(seed)).program())
        linked = check(tree, SURFACE).program
        kinds = {type(node).__name__ for node in (*walk(tree), *walk(linked))}
        nodes.update(kinds)
        calls.update({node.name for node in walk(tree) if isinstance(node, ast.Call)})
    assert {name: nodes[name] for name in NODES if nodes[name] < OFTEN} == {}
    assert {name: calls[name] for name in TABLE if calls[name] < OFTEN} == {}


def test_every_code_of_the_front_end_is_found_often() -> None:
    front = {entry.code for entry in CATALOGUE.values() if entry.phase in ("parse", "link", "warning")}
    assert front - {entry.code for entry in SPOILERS} == {"source_too_large"}  # test_bad_input has it
    for entry in SPOILERS:
        found = [codes(spoiled(Random(seed), entry), entry) for seed in range(OFTEN)]
        assert all(entry.code in each for each in found), entry.code


RUNNING = {
    "undefined_variable", "non_list_iteration", "type_error", "value_error", "fuel_exhausted", "memory_exhausted",
    "value_too_large", "call_depth_exceeded",
}  # fmt: skip
"""Codes that a program reaches by itself; `time_exhausted`, `cancelled` and `invalid_host_value` take a host."""


def test_every_code_of_a_running_program_comes_up_often() -> None:
    ends: Counter[str] = Counter()
    for code in RUNNING:
        for seed in range(OFTEN):
            random = Random(seed)
            mistake = CATALOGUE[code].wrong or 's = "x"\nwhile true { s = s + s }'
            source = f"{mistake}\n{Maker(random).program()}"
            limits = Limits(fuel=1_000_000, memory_bytes=2**22 if code == "memory_exhausted" else 2**26)
            ends[direct(compiled(source, HOST), HOST, limits).code or ""] += 1
    assert {code: ends[code] for code in RUNNING if ends[code] < OFTEN // 2} == {}


@pytest.mark.parametrize("first", [20_000, 30_000])
def test_a_stretch_of_the_long_fuzzing_run_finds_no_difference(first: int) -> None:
    fuzz = Fuzz(interpreters=2)
    for seed in range(first, first + 25):
        fuzz.one(seed)
    fuzz.pool.renew(kill=True)
    fuzz.one(first + 25)
    fuzz.close()
    assert fuzz.differences == []
    assert fuzz.met["kills"] > 5
