"""`check`: a program against a host surface."""

from __future__ import annotations

from collections.abc import Callable

from lashlang.check.checker import Checker
from lashlang.check.declarations import collect, link_declaration
from lashlang.check.linked import LinkedProgram
from lashlang.check.statements import link_statement
from lashlang.check.surface import HostSurface
from lashlang.errors import LinkError
from lashlang.syntax import (
    FnDecl,
    Item,
    Labelled,
    MethodCall,
    ProcessDecl,
    Program,
    Statement,
    TypeDecl,
    walk,
)

Resolver = Callable[[tuple[str, ...]], HostSurface]
"""Given the dotted paths that a block calls, what the host offers under them."""


def check(program: Program, surface: HostSurface, *, resolver: Resolver | None = None) -> LinkedProgram:
    """Links `program` against `surface`.

    Linking is per block: declarations and variable types of earlier blocks are not known; a foreground
    variable that this block does not assign is taken to exist.

    Args:
        program: a parsed program.
        surface: what the host offers.
        resolver: asked once for the paths that the block calls and `surface` does not have; what it returns
        is
            added to the surface. For hosts whose catalog is large or remote.

    Returns:
        The linked program with what it needs of a host.

    Raises:
        LinkError: the program does not fit; `diagnostics` has every finding, declarations before the
        foreground. LangError: `surface_conflict` when the resolver contradicts the surface.
    """
    if resolver is not None:
        unknown = tuple(path for path in called_paths(program) if path not in surface.modules)
        if unknown:
            surface = surface.merge(resolver(unknown))
    checker = Checker(program, surface)
    _check_labels(checker)
    collect(checker)
    items: list[Item] = list(program.items)
    for at, item in enumerate(items):
        if isinstance(item, TypeDecl | ProcessDecl | FnDecl):
            items[at] = link_declaration(checker, item)
    reached = True
    for at, item in enumerate(items):
        if not isinstance(item, TypeDecl | ProcessDecl | FnDecl):
            reached = _link_main(checker, items, at, item, reached=reached)
    if checker.errors.count():
        raise LinkError.of(checker.errors.all())
    linked = Program(tuple(items), program.comments, program.source, start=program.start, end=program.end)
    return LinkedProgram(
        program=linked,
        requirements=checker.needs.finish(),
        processes=checker.processes,
        functions=checker.functions,
        types=checker.types,
        globals=checker.scope.types(),
        warnings=checker.warnings.all(),
    )


def called_paths(program: Program) -> tuple[str, ...]:
    """The dotted paths whose operations `program` calls, as far as its text shows, sorted."""
    checker = Checker(program, HostSurface())
    found: set[str] = set()
    for node in walk(program):
        if isinstance(node, MethodCall):
            path = checker.module_path(node.receiver)
            if path is not None:
                found.add(".".join(path[1]))
    return tuple(sorted(found))


def _link_main(checker: Checker, items: list[Item], at: int, item: Statement, *, reached: bool) -> bool:
    if reached and not checker.scope.reachable:
        checker.warning("unreachable", item, "this is never reached: the block has ended before it")
        reached = False
    items[at] = link_statement(checker, item)[0]
    return reached


def _check_labels(checker: Checker) -> None:
    """Labels need their feature, wherever they stand."""
    if "@" not in checker.program.source and checker.program.source:
        return
    for node in walk(checker.program):
        if isinstance(node, Labelled) or (isinstance(node, ProcessDecl) and node.label is not None):
            assert node.label is not None
            checker.require("label_annotations", node.label)
