"""What is legal and probably not meant, as far as the text alone shows it.

The checker finds the suspicions that need types; these need only the tree and the source. They cost a walk,
so they run when somebody asks (`lash lang check`), never on the way to running a program.
"""

from __future__ import annotations

import re
from typing import Final

from lashlang.check.findings import Findings
from lashlang.check.linked import LinkedProgram
from lashlang.errors import Diagnostic
from lashlang.syntax import (
    Assign,
    Await,
    Bool,
    Chain,
    ListLiteral,
    Logic,
    Name,
    Node,
    Not,
    Null,
    Number,
    Program,
    RecordLiteral,
    Start,
    Text,
    Unwrap,
    walk,
)

_COMPARISONS: Final = frozenset(("==", "!=", "<", "<=", ">", ">=", "in", "not in"))
_OPERAND_COMMENT: Final = re.compile(r"//\s*(?:[0-9][0-9.]*|([A-Za-z_]\w*))\s*\Z")


def lint(linked: LinkedProgram) -> tuple[Diagnostic, ...]:
    """All warnings about a linked program, in the order of their places."""
    found = Findings(linked.program.source)
    for node in walk(linked.program):
        _lint_node(found, node)
    _lint_comments(found, linked.program)
    return tuple(sorted((*linked.warnings, *found.all()), key=lambda finding: finding.span or (0, 0)))


def _lint_node(found: Findings, node: Node) -> None:
    match node:
        case Chain(operands=(Not() as first, *_), operators=(operator, *_)):
            if operator in _COMPARISONS and node.start == first.start:
                _warn(
                    found,
                    "not_binds_tightly",
                    node,
                    f"`not` binds tighter than `{operator}`: this compares a negated value",
                    f"write: not (a {operator} b)" + (", or: a != b" if operator == "==" else ""),
                )
        case Logic(operator=("and" | "or") as operator, operands=operands):
            for operand in operands:
                _lint_logic_operand(found, operator, operand)
        case Unwrap(value=Await(value=ListLiteral() | RecordLiteral())):
            message = "`?` on a join fails: the result is a list or record of wrappers, not a wrapper"
            _warn(found, "unwrap_of_join", node, message, "unwrap each part: rs = await [a, b], then rs[0]?")
        case Await(value=Unwrap(value=Start() | Name() as inner)):
            if isinstance(inner, Start):
                message = "this unwraps the handle, not the result of the process"
                _warn(found, "unwrap_before_await", node, message, "write: (await start name(…))?")
        case Await(value=Unwrap(value=ListLiteral() | RecordLiteral())):
            message = "this unwraps the container, and awaits what is in it"
            _warn(
                found,
                "unwrap_before_await",
                node,
                message,
                "unwrap each part: rs = await [a, b], then rs[0]?",
            )
        case _:
            pass


def _lint_logic_operand(found: Findings, operator: str, operand: Node) -> None:
    match operand:
        case Text() | Number() | Null() | ListLiteral() | RecordLiteral():
            hint = "for a value with a fallback write: x ?? fallback" if operator == "or" else ""
            message = f"`{operator}` gives true or false, never this operand"
            _warn(found, "logic_gives_bool", operand, message, hint or "for a choice write: c ? a : b")
        case Bool():
            message = f"`{operator}` with a constant has a fixed result"
            _warn(found, "logic_gives_bool", operand, message, "remove the constant")
        case _:
            pass


def _lint_comments(found: Findings, program: Program) -> None:
    """`7 // 2` is 7 and a comment."""
    names: set[str] | None = None
    for comment in program.comments:
        match = _OPERAND_COMMENT.match(comment.text)
        if match is None or not _follows_operand(program.source, comment.start):
            continue
        if match.group(1) is not None:
            names = _assigned_names(program) if names is None else names
            if match.group(1) not in names:
                continue
        _warn(
            found,
            "comment_as_division",
            comment,
            "`//` starts a comment; it is not a division",
            "write: floor_div(a, b), or / for an exact quotient",
        )


def _follows_operand(source: str, at: int) -> bool:
    line = source[source.rfind("\n", 0, at) + 1 : at].rstrip(" \t")
    return bool(line) and (line[-1].isalnum() or line[-1] in "_)]")


def _assigned_names(program: Program) -> set[str]:
    return {node.target.name for node in walk(program) if isinstance(node, Assign)}


def _warn(found: Findings, code: str, node: Node, message: str, hint: str) -> None:
    found.report(code, node.span, message, hint=hint, severity="warning")
