"""The fence around generated code: a tree of Python may hold what the generator writes, and nothing else.

Checked on every generated tree before it is compiled, so that a mistake of the generator is an internal error here
and never a way out for a program. No lambda, comprehension, import, class, `with`, star or decorator; attributes only
of the meter; calls only of the names below; constants only of the value set.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from typing import Final

_NODES: Final = frozenset(
    {
        ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.For, ast.While,
        ast.If, ast.Expr, ast.Try, ast.ExceptHandler, ast.Break, ast.Continue, ast.Pass, ast.Tuple, ast.List, ast.Dict,
        ast.Name, ast.Constant, ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Call, ast.Attribute,
        ast.Subscript, ast.NamedExpr, ast.Load, ast.Store, ast.And, ast.Or, ast.Not, ast.USub, ast.Add, ast.Sub,
        ast.Mult, ast.Mod, ast.BitAnd, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In,
        ast.JoinedStr, ast.FormattedValue,
    }
)  # fmt: skip
_CONSTANTS: Final = frozenset({type(None), bool, int, float, str})
_SHAPED: Final = frozenset(
    {ast.Call, ast.Attribute, ast.FunctionDef, ast.arguments, ast.Try, ast.FormattedValue, ast.Dict}
)
"""Nodes of which not every form is allowed."""
_PLAIN_FIELDS: Final = frozenset({"ctx", "id", "attr", "name", "arg", "conversion", "type_comment"})
"""Fields that hold no node, or a node without content."""
_METER: Final = frozenset({"f", "m", "calls"})
_SLOT: Final = re.compile(r"[vtcqisoyk][0-9]+")
_LOCALS: Final = frozenset({"h", "pc", "rv", "slots", "perform", "f", "m", "e", "d", "step"})


class FenceError(RuntimeError):
    """The generator wrote something that it must never write: a bug in it, not in the program."""


def check(tree: ast.Module, helpers: Collection[str], functions: Collection[str]) -> None:
    """Refuse `tree` unless it is made of what the generator may use.

    Raises:
        FenceError: naming the first node that is outside.
    """
    stack: list[ast.AST] = [tree]
    known: set[str] = set()
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind is ast.Name:
            name: str = node.id  # type: ignore[attr-defined]  # as tested
            if name not in known:
                _name(name, helpers, functions)
                known.add(name)
            continue
        if kind is ast.Constant:
            if type(node.value) not in _CONSTANTS:  # type: ignore[attr-defined]  # as tested
                raise FenceError(f"generated code holds a constant {node.value!r}")  # type: ignore[attr-defined]  # as tested
            continue
        if kind not in _NODES:
            raise FenceError(f"generated code holds a {kind.__name__}")
        if kind in _SHAPED:
            _shape(node, helpers, functions)
        for field in kind._fields:
            value = getattr(node, field)
            if type(value) is list:
                stack += value
            elif value is not None and field not in _PLAIN_FIELDS:
                stack.append(value)


def _name(name: str, helpers: Collection[str], functions: Collection[str]) -> None:
    if name not in helpers and name not in _LOCALS and name not in functions and not _SLOT.fullmatch(name):
        raise FenceError(f"generated code names `{name}`")


def _shape(node: ast.AST, helpers: Collection[str], functions: Collection[str]) -> None:
    match node:
        case ast.Call():
            if not isinstance(node.func, ast.Name) or node.keywords:
                raise FenceError("generated code calls something that is not a plain name")
            if node.func.id not in helpers and node.func.id not in functions and node.func.id != "perform":
                raise FenceError(f"generated code calls `{node.func.id}`")
        case ast.Attribute():
            if not isinstance(node.value, ast.Name) or node.value.id != "h" or node.attr not in _METER:
                raise FenceError(f"generated code reads the attribute `{node.attr}`")
        case ast.FunctionDef():
            if node.decorator_list or node.returns or (node.name != "step" and node.name not in functions):
                raise FenceError(f"generated code defines `{node.name}`")
        case ast.arguments():
            if node.vararg or node.kwarg or node.defaults or node.kwonlyargs or node.posonlyargs:
                raise FenceError("a generated function has unusual parameters")
        case ast.Try():
            plain = len(node.handlers) == 1 and not node.finalbody and not node.orelse
            handler = node.handlers[0].type if plain else None
            if not isinstance(handler, ast.Name) or handler.id != "Fault":
                raise FenceError("generated code catches something other than a fault")
        case ast.FormattedValue():
            if node.conversion != -1 or node.format_spec is not None or not isinstance(node.value, ast.Name):
                raise FenceError("generated code formats more than the plain text of a local")
        case ast.Dict():
            if None in node.keys:
                raise FenceError("generated code unpacks a record")
        case _:
            pass
