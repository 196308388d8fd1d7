"""Lowering an expression whatever its kind: the table of the ways, and the order among operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lashlang.machine import ir
from lashlang.machine.lowering.builder import Builder
from lashlang.syntax import ast

LOWER: dict[type, Callable[[Builder, Any], ir.Expr]] = {}  # Any: each entry takes the node class of its key
"""How each class of expression is lowered; filled by `expressions` and `effects`."""


def expr(b: Builder, node: ast.Expr) -> ir.Expr:
    """`node` as a pure expression over what has been emitted so far."""
    lowered = LOWER[type(node)](b, node)
    if id(node) in b.scan.cut:
        return b.pin(lowered, b.span(node))
    return lowered


def operands(b: Builder, nodes: Sequence[ast.Expr]) -> list[ir.Expr]:
    """Several expressions in order: those before a statement-making one are pinned."""
    last = max((at for at, node in enumerate(nodes) if b.scan.heavy(node)), default=-1)
    lowered: list[ir.Expr] = []
    for at, node in enumerate(nodes):
        value = expr(b, node)
        lowered.append(b.pin(value, b.span(node)) if at < last else value)
    return lowered
