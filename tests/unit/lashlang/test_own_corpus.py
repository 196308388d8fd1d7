"""The own corpus: every production, every code that a program can get and every builtin, at least twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.unit.lashlang.snapshots import CORPORA, blocks, cases, told

from lashlang.catalogue import CATALOGUE
from lashlang.check import HostSurface, check
from lashlang.corpus import mismatch, read_cases, run_case
from lashlang.errors import LangError
from lashlang.machine.builtins import TABLE
from lashlang.syntax import ast, parse, type_expr
from lashlang.syntax.node import Node
from lashlang.syntax.traversal import walk

OWN = read_cases(CORPORA["own"])
SNAPSHOTS = blocks()
CASES = dict(cases())
ABSTRACT = {"Node", "ExprNode", "StatementNode", "DeclarationNode", "TypeNode", "TypeRun"}
"""Classes that no text becomes."""
NODES = {
    name
    for module in (ast, type_expr)
    for name, found in vars(module).items()
    if isinstance(found, type) and issubclass(found, Node) and name not in ABSTRACT
}
OPERATORS = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or", "??"]
HOST_CODES = {"time_exhausted", "cancelled", "invalid_host_value"}
"""Codes of a running program that take a host to come about; test_bounds and test_escapes have them."""


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in OWN])
def test_case_has_the_outcome_that_it_expects(case: dict[str, Any]) -> None:
    assert mismatch(case, run_case(case)) is None


@pytest.mark.parametrize("name", CASES)
def test_printed_text_and_span_are_those_that_were_reviewed(name: str) -> None:
    assert told(CASES[name]) == SNAPSHOTS[name]


def test_snapshots_are_of_cases_that_exist() -> None:
    assert list(SNAPSHOTS) == list(CASES)


def _trees() -> list[ast.Program]:
    trees = []
    for case in OWN:
        try:
            tree = parse(case["source"])
            trees += [tree, check(tree, HostSurface.from_host(case.get("host"))).program]
        except LangError:
            continue
    return trees


def test_every_production_is_met_at_least_twice() -> None:
    nodes: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    for tree in _trees():
        for node in walk(tree):
            nodes[type(node).__name__] += 1
            if isinstance(node, ast.Chain):
                operators.update(node.operators)
            elif isinstance(node, ast.Logic):
                operators[node.operator] += 1
    assert {name: nodes[name] for name in NODES if nodes[name] < 2} == {}
    assert {name: operators[name] for name in OPERATORS if operators[name] < 2} == {}


def test_every_code_of_a_program_is_met_at_least_twice() -> None:
    codes = Counter(case["expect"].get("code") for case in OWN)
    wanted = {code for code, entry in CATALOGUE.items() if entry.phase in ("parse", "link", "run")}
    missing = {code: codes[code] for code in wanted - HOST_CODES if codes[code] < 2}
    assert missing == {"source_too_large": 0}  # a megabyte of text; test_bad_input has it


def test_every_builtin_has_two_values_and_two_errors() -> None:
    kinds = Counter((case["area"], case["expect"]["kind"]) for case in OWN)
    thin = {
        name: (kinds[f"builtin.{name}", "value"], kinds[f"builtin.{name}", "error"])
        for name in TABLE
        if min(kinds[f"builtin.{name}", "value"], kinds[f"builtin.{name}", "error"]) < 2
    }
    assert thin == {}
