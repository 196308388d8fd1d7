"""Execution graphs: what a stored module can do, as nodes and edges for people and tools to look at.

A graph comes from an artifact alone. Its node ids are hashes of (module, entry, place in the tree, kind), so they are
equal wherever the module is, and every effect carries the site that running programs report (`Effect.site`): live
events overlay the map. Labels are part of it; places are in the side record, at `SourceMap.spans[node.node]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Literal

import msgspec
from msgspec.structs import force_setattr

from lashlang.artifact import ModuleArtifact
from lashlang.errors import LangError
from lashlang.identity import ProcessRef
from lashlang.machine.code import Code
from lashlang.syntax import ast
from lashlang.syntax.node import Node
from lashlang.syntax.traversal import children, walk

NodeKind = Literal[
    "process", "main", "step", "resource_operation", "child_process", "sleep", "wait", "signal", "process_event",
    "terminal", "branch", "branch_arm", "resource",
]  # fmt: skip
EdgeLabel = Literal[
    "starts", "child", "calls", "sleeps", "waits", "signals", "emits", "terminates", "branches", "then", "else",
    "steps", "uses",
]  # fmt: skip

_INTO: dict[str, EdgeLabel] = {
    "step": "steps",
    "resource_operation": "calls",
    "child_process": "child",
    "sleep": "sleeps",
    "wait": "waits",
    "signal": "signals",
    "process_event": "emits",
    "terminal": "terminates",
    "branch": "branches",
    "resource": "uses",
}
"""The label of an edge by the kind of the node that it leads to."""


class GraphNode(msgspec.Struct, frozen=True):
    """One node.

    Attributes:
        id: `kind:` and 24 hex digits, the same wherever the module is.
        kind: what it is.
        name: the operation with its module, the process, the event, the signal, the branch's arm.
        site: for effects, `Effect.site` of a running program; else "".
        node: the number of its syntax node, in the order of `SourceMap.spans`.
        title: of its label, with `description`; "" without one.
    """

    id: str
    kind: NodeKind
    name: str = ""
    site: str = ""
    node: int = -1
    title: str = ""
    description: str = ""


class GraphEdge(msgspec.Struct, frozen=True):
    """One edge between two node ids."""

    source: str
    target: str
    label: EdgeLabel


class ProcessGraph(msgspec.Struct, frozen=True):
    """A map of one entry, or of all that it can reach."""

    module_ref: str
    entry_kind: Literal["main", "process"]
    entry_ref: str
    entry_name: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


def map_main(artifact: ModuleArtifact, *, include_reachable: bool = False) -> ProcessGraph:
    """The graph of a module's foreground; with `include_reachable`, of every process that it can start as well."""
    atlas = _Atlas(artifact)
    atlas.add("main", reach=include_reachable)
    return ProcessGraph(artifact.module_ref, "main", "main", "main", *atlas.parts())


def map_process(
    artifact: ModuleArtifact, process_ref: ProcessRef, *, include_reachable: bool = False
) -> ProcessGraph:
    """The graph of one process of a module, see `map_main`.

    Raises:
        LangError: `unknown_process` when the module exports no such process.
    """
    name = next((name for name, ref in artifact.exports.processes.items() if ref == process_ref), None)
    if name is None:
        raise LangError(
            "unknown_process", f"the module exports no process {process_ref.key}", process=process_ref.key
        )
    atlas = _Atlas(artifact)
    atlas.add(name, reach=include_reachable)
    return ProcessGraph(artifact.module_ref, "process", process_ref.key, name, *atlas.parts())


class _Atlas:
    """The graphs of one module's entries, drawn into one."""

    def __init__(self, artifact: ModuleArtifact) -> None:
        self.artifact = artifact
        self.program = _numbered(artifact.program)
        self.paths = dict(_paths(self.program, ""))
        self._code = Code(self.program, process_values=artifact.process_values())
        self._processes = {d.name: d for d in self.program.declarations if isinstance(d, ast.ProcessDecl)}
        self._drawn: dict[str, str] = {}
        self._nodes: dict[str, GraphNode] = {}
        self._edges: dict[GraphEdge, None] = {}

    def parts(self) -> tuple[tuple[GraphNode, ...], tuple[GraphEdge, ...]]:
        """The nodes and the edges, each once, in the order of their drawing."""
        return tuple(self._nodes.values()), tuple(self._edges)

    def add(self, name: str, *, reach: bool) -> str:
        """Draw an entry, once, and give its node's id; with `reach` also what it starts, cycles included."""
        if name in self._drawn:
            return self._drawn[name]
        process = None if name == "main" else self._processes[name]
        key = "main" if process is None else self.artifact.exports.processes[name].key
        kind: Literal["main", "process"] = "main" if process is None else "process"
        origin: Node = self.program if process is None else process
        label = None if process is None else process.label
        entry = GraphNode(self.id(key, kind, origin), kind, name, "", origin.start, *_told(label))
        self._drawn[name] = entry.id
        self.node(entry)
        statements = self.program.main if process is None else process.body.statements
        body = self._code.entry(name if process is None else f"process:{name}").body
        drawing = _Drawing(self, key, {body.spans[site.at][0]: site.id for site in body.sites})
        drawing.statements(statements, [entry.id])
        for child, started in drawing.started if reach else ():
            if started in self._processes:
                self.edge(child, self.add(started, reach=True), "starts")
        return entry.id

    def id(self, entry: str, kind: str, node: Node) -> str:
        """The id of a node: what it is, where, in which entry of which module."""
        return _hashed(kind, self.artifact.module_ref, entry, self.paths[id(node)], kind)

    def node(self, node: GraphNode) -> None:
        """Add a node, once."""
        self._nodes.setdefault(node.id, node)

    def edge(self, source: str, target: str, label: EdgeLabel) -> None:
        """Add an edge, once."""
        self._edges.setdefault(GraphEdge(source, target, label))


class _Drawing:
    """One entry under way. Every method takes the ids that lead to what it draws, and gives those that lead on."""

    def __init__(self, atlas: _Atlas, entry: str, sites: dict[int, str]) -> None:
        self._atlas = atlas
        self._entry = entry
        self._sites = sites
        self._label: ast.Label | None = None
        self._breaks: list[list[str]] = []
        self.started: list[tuple[str, str]] = []

    def statements(self, statements: Iterable[ast.Statement], before: list[str]) -> list[str]:
        """A sequence, up to where it ends."""
        for statement in statements:
            if not before:
                break
            before = self._statement(statement, before)
        return before

    def _statement(self, statement: ast.Statement, before: list[str]) -> list[str]:
        match statement:
            case ast.Labelled():
                return self._labelled(statement, before)
            case ast.If():
                return self._if(statement, before)
            case ast.For() | ast.While():
                return self._loop(statement, before)
            case ast.Break() | ast.Continue():
                if isinstance(statement, ast.Break):
                    self._breaks[-1] += before
                return []
            case ast.Finish() | ast.Fail():
                before = self._inside(statement, before)
                word = "fail" if isinstance(statement, ast.Fail) else "finish"
                self._add("terminal", word, statement, before)
                return []
            case _:
                before = self._inside(statement, before)
                return self._effect(statement, before)

    def _labelled(self, statement: ast.Labelled, before: list[str]) -> list[str]:
        """A label goes to the effect inside its statement, to a branch, or to a step of its own."""
        inner = statement.statement
        if isinstance(inner, ast.If) or any(self._is_effect(node) for node in _evaluated(inner)):
            self._label = statement.label
            after = self._statement(inner, before)
            self._label = None
            return after
        before = self._add("step", "", inner, before, label=statement.label)
        return self._statement(inner, before)

    def _if(self, statement: ast.If, before: list[str], at: int = 0) -> list[str]:
        arm = statement.arms[at]
        label, self._label = self._label, None
        before = self._expression(arm.condition, before)
        name = "if" if at == 0 else "else if"
        before = self._add("branch", name, arm, before, label=label)
        then = self._arm("then", arm.body, before)
        if at + 1 < len(statement.arms):
            return [*then, *self._if(statement, before, at + 1)]
        if statement.otherwise is None:
            return [*then, *before]
        return [*then, *self._arm("else", statement.otherwise, before)]

    def _arm(self, name: Literal["then", "else"], block: ast.Block, before: list[str]) -> list[str]:
        arm = GraphNode(self._id("branch_arm", block), "branch_arm", name, node=block.start)
        self._atlas.node(arm)
        for source in before:
            self._atlas.edge(source, arm.id, name)
        return self.statements(block.statements, [arm.id])

    def _loop(self, statement: ast.For | ast.While, before: list[str]) -> list[str]:
        """A body that may run no time or many: what follows it follows what was before it as well."""
        self._label = None
        head = statement.iterable if isinstance(statement, ast.For) else statement.condition
        before = self._expression(head, before)
        self._breaks.append([])
        after = self.statements(statement.body.statements, before)
        return list(dict.fromkeys([*before, *after, *self._breaks.pop()]))

    def _inside(self, statement: Node, before: list[str]) -> list[str]:
        """The effects in the expressions of a statement, in the order of their evaluation."""
        for child in _ordered(statement):
            before = self._expression(child, before)
        return before

    def _expression(self, node: Node, before: list[str]) -> list[str]:
        return self._effect(node, self._inside(node, before))

    def _is_effect(self, node: Node) -> bool:
        return node.start in self._sites

    def _effect(self, node: Node, before: list[str]) -> list[str]:
        if not self._is_effect(node):
            return before
        match node:
            case ast.OperationCall():
                return self._operation(node, node, before)
            case ast.Await(ast.ListLiteral() | ast.RecordLiteral()):
                calls = [call for call in walk(node.value) if isinstance(call, ast.OperationCall)]
                made = [self._operation(call, node, before)[0] for call in calls]
                return made or self._add("wait", "await", node, before)
            case ast.Await():
                return self._add("wait", "await", node, before)
            case ast.Start():
                after = self._add("child_process", node.process, node, before)
                self.started.append((after[0], node.process))
                return after
            case ast.Sleep():
                return self._add("sleep", node.mode, node, before)
            case ast.WaitSignal():
                return self._add("wait", node.signal or "signal", node, before)
            case ast.SignalRun():
                return self._add("signal", node.signal or "signal", node, before)
            case ast.Cancel():
                return self._add("signal", "cancel", node, before)
            case _:
                word = "wake" if isinstance(node, ast.Wake) else "yield"
                return self._add("process_event", word, node, before)

    def _operation(self, call: ast.OperationCall, site: Node, before: list[str]) -> list[str]:
        alias = call.receiver.path if isinstance(call.receiver, ast.Authority) else call.resource_type
        after = self._add("resource_operation", f"{alias}.{call.operation}", call, before, site=site)
        identity = _hashed("resource", self._atlas.artifact.module_ref, "resource", alias)
        resource = GraphNode(identity, "resource", alias)
        self._atlas.node(resource)
        self._atlas.edge(after[0], resource.id, "uses")
        return after

    def _add(
        self,
        kind: NodeKind,
        name: str,
        node: Node,
        before: Sequence[str],
        *,
        label: ast.Label | None = None,
        site: Node | None = None,
    ) -> list[str]:
        if label is None and kind not in ("branch", "step", "terminal"):
            label, self._label = self._label, None
        made = GraphNode(
            self._id(kind, node),
            kind,
            name,
            self._sites.get((site or node).start, ""),
            node.start,
            *_told(label),
        )
        self._atlas.node(made)
        for source in before:
            self._atlas.edge(source, made.id, _INTO[kind])
        return [made.id]

    def _id(self, kind: str, node: Node) -> str:
        return self._atlas.id(self._entry, kind, node)


def _hashed(kind: str, *parts: str) -> str:
    """A node id: its kind and 24 digits of a hash over NUL-terminated parts (lashlang.md 7.3)."""
    return f"{kind}:{sha256(''.join([part + chr(0) for part in parts]).encode()).hexdigest()[:24]}"


def _told(label: ast.Label | None) -> tuple[str, str]:
    return ("", "") if label is None else (label.title, label.description or "")


def _ordered(node: Node) -> Iterator[Node]:
    """The parts of a node in the order of their evaluation."""
    match node:
        case ast.Comprehension():
            yield from node.clauses
            yield node.element
        case ast.Await(ast.OperationCall() | ast.Unwrap(ast.OperationCall())):
            yield node.value
        case ast.Await(ast.ListLiteral() | ast.RecordLiteral()):
            for member in walk(node.value):
                if isinstance(member, ast.OperationCall):
                    yield from member.args
        case ast.TypeLiteral():
            return
        case _:
            yield from children(node)


def _evaluated(node: Node) -> Iterator[Node]:
    yield node
    for child in _ordered(node):
        yield from _evaluated(child)


def _numbered(program: ast.Program) -> ast.Program:
    """A copy in which the place of each node is its number in a walk, as in a `SourceMap`."""
    copy = msgspec.convert(msgspec.to_builtins(program), ast.Program)
    for number, node in enumerate(walk(copy)):
        force_setattr(node, "start", number)
        force_setattr(node, "end", number)
    return copy


def _paths(node: Node, path: str) -> Iterator[tuple[int, str]]:
    """The place of every node in the tree: child indexes joined by dots, `root` for the top."""
    yield id(node), path or "root"
    for at, child in enumerate(children(node)):
        yield from _paths(child, f"{path}.{at}" if path else str(at))
