"""What a module and its parts are called: refs made of content hashes, and the normal form that is hashed.

The normal form forgets how a program was written (layout, comments, `let`, the names of its local variables) and keeps
what it means to others: declared names, parameter names and types, record keys, labels, order, requirements. A
process is hashed together with every declaration that it can reach, so that equal refs mean equal behaviour.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from lashlang.hashing import content_hash
from lashlang.syntax import ast
from lashlang.syntax.node import Node
from lashlang.syntax.traversal import walk
from lashlang.syntax.type_expr import TypeRef

SEMANTICS: Final = "lashlang-semantic-1"
"""Goes into every hash: a change of what a program means makes new refs."""

_FORGOTTEN: Final = frozenset({"start", "end", "name_at", "comments", "source", "let", "word"})


class ContentHash(str):
    """64 hex digits of a SHA-256.

    This and the refs below exist for type checkers and for spelling: calling one gives a plain `str`, so that it
    encodes, compares and pickles as the text that it is.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> str:  # type: ignore[misc]  # plain text on purpose, see above
        return str(text)


class ModuleRef(str):
    """`lashlang:v1:sha256:` and the hash of a module."""

    __slots__ = ()

    def __new__(cls, content_hash: str) -> str:  # type: ignore[misc]  # plain text, as ContentHash
        return f"lashlang:v1:sha256:{content_hash}"


class RequiredSurfaceRef(str):
    """`lashlang-surface:v1:sha256:` and the hash of what a module needs of a host."""

    __slots__ = ()

    def __new__(cls, content_hash: str) -> str:  # type: ignore[misc]  # plain text, as ContentHash
        return f"lashlang-surface:v1:sha256:{content_hash}"


class ProcessRef(msgspec.Struct, frozen=True):
    """One process of a module: the hash of what it can reach, and its place among the module's processes."""

    component: str
    pos: int

    @property
    def key(self) -> str:
        """The text form, `hash:position`."""
        return f"{self.component}:{self.pos}"


def surface_ref(requirements: object) -> str:
    """The ref of what a program needs of a host."""
    plain = msgspec.to_builtins(requirements)
    return RequiredSurfaceRef(content_hash([SEMANTICS, "required-surface", plain]))


def process_refs(program: ast.Program) -> dict[str, ProcessRef]:
    """The ref of each process of a linked program, by name."""
    declared = {(type(d).__name__, d.name): d for d in program.declarations}
    processes = [d for d in program.declarations if isinstance(d, ast.ProcessDecl)]
    return {
        process.name: ProcessRef(_component(process, declared), at) for at, process in enumerate(processes)
    }


def _component(process: ast.ProcessDecl, declared: dict[tuple[str, str], ast.Declaration]) -> str:
    """The hash of `process` with all that it reaches, itself first and the rest by name."""
    reached: dict[tuple[str, str], ast.Declaration] = {}
    waiting: list[ast.Declaration] = [process]
    while waiting:
        for key in _mentions(waiting.pop()):
            if key in declared and key not in reached:
                reached[key] = declared[key]
                waiting.append(declared[key])
    reached.pop(("ProcessDecl", process.name), None)
    others = [normal_form(reached[key]) for key in sorted(reached)]
    return ContentHash(content_hash([SEMANTICS, "process", normal_form(process), others]))


def _mentions(declaration: ast.Declaration) -> Iterable[tuple[str, str]]:
    for node in walk(declaration):
        match node:
            case ast.Start():
                yield "ProcessDecl", node.process
            case ast.ProcessValue():
                yield "ProcessDecl", node.name
            case ast.Call():
                yield "FnDecl", node.name
            case TypeRef():
                yield "TypeDecl", node.name
            case _:
                pass


def module_ref(program: ast.Program, required: str, exports: dict[str, ProcessRef]) -> str:
    """The ref of a linked program."""
    declarations = [normal_form(declaration) for declaration in program.declarations]
    main = _Normal([]).statements(program.main)
    plain = {name: [ref.component, ref.pos] for name, ref in exports.items()}
    return ModuleRef(content_hash([SEMANTICS, "module", required, plain, declarations, main]))


def normal_form(declaration: ast.Declaration) -> object:
    """A declaration as plain data, without what does not matter to others."""
    match declaration:
        case ast.TypeDecl():
            return ["type", declaration.name, _Normal([]).plain(declaration.ty)]
        case ast.ProcessDecl() | ast.FnDecl():
            normal = _Normal([param.name for param in declaration.params])
            head = [type(declaration).__name__, declaration.name]
            fields = [normal.plain(getattr(declaration, name)) for name in ("params", "returns")]
            if isinstance(declaration, ast.ProcessDecl):
                fields += [normal.plain(declaration.signals), normal.plain(declaration.label)]
            return [*head, *fields, normal.statements(declaration.body.statements)]


class _Normal:
    """The normal form inside one body: local variables become numbers in the order of their first binding."""

    def __init__(self, params: Iterable[str]) -> None:
        self._names = {name: f"abi:{name}" for name in (*params, "input", "inputs")}
        self._locals = 0
        self._hidden = 0

    def statements(self, statements: Iterable[ast.Statement]) -> list[object]:
        """Statements in order."""
        return [self.plain(statement) for statement in statements]

    def plain(self, node: object) -> object:
        """Anything in a tree as plain data."""
        match node:
            case ast.Name():
                return ["name", self._names.get(node.name, f"global:{node.name}")]
            case ast.Assign():
                steps = [self.plain(step) for step in node.target.steps]
                value = self.plain(node.value)
                return ["assign", self._bind(node.target.name, reads=bool(steps)), steps, value]
            case ast.For():
                iterable = self.plain(node.iterable)
                return ["for", self._bind(node.name), iterable, self.plain(node.body)]
            case ast.Comprehension():
                return self._comprehension(node)
            case ast.TypeLiteral():
                return ["type-literal", self._type(node.ty)]
            case Node():
                fields = [name for name in node.__struct_fields__ if name not in _FORGOTTEN]
                return [type(node).__name__, *(self.plain(getattr(node, name)) for name in fields)]
            case tuple() | list():
                return [self.plain(item) for item in node]
            case float() if node == int(node):
                return int(node)
            case _:
                return node

    def _bind(self, name: str, *, reads: bool = False) -> str:
        known = self._names.get(name)
        if known is not None or reads:
            return known or f"global:{name}"
        self._names[name] = f"local:{self._locals}"
        self._locals += 1
        return self._names[name]

    def _type(self, ty: object) -> object:
        """A type literal's names are variables."""
        if isinstance(ty, TypeRef):
            return ["ref", self._names.get(ty.name, f"global:{ty.name}")]
        if isinstance(ty, Node):
            fields = [name for name in ty.__struct_fields__ if name not in _FORGOTTEN]
            return [type(ty).__name__, *(self._type(getattr(ty, name)) for name in fields)]
        return [self._type(item) for item in ty] if isinstance(ty, tuple) else ty

    def _comprehension(self, node: ast.Comprehension) -> object:
        outer = dict(self._names)
        clauses: list[object] = []
        for clause in node.clauses:
            if isinstance(clause, ast.IfClause):
                clauses.append(["if", self.plain(clause.condition)])
                continue
            clauses.append(["for", self.plain(clause.iterable)])
            self._names[clause.name] = f"bound:{self._hidden}"
            self._hidden += 1
        element = self.plain(node.element)
        self._names = outer
        return ["comprehension", element, clauses]
