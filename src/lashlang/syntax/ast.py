"""The syntax tree of lashlang: every declaration, statement and expression, as tagged frozen records.

Statements and declarations are defined here, expressions in `expression_nodes`; this module has them all. A whole
`if … else if …` ladder is one `If`. What nests is bounded by the parser (`lashlang.syntax.limits`), so a plain
recursive walk over any parsed program is safe.
"""

from __future__ import annotations

from typing import Literal

from lashlang.syntax.expression_nodes import (
    Argument,
    Authority,
    Await,
    Bool,
    Call,
    Chain,
    ChainOperator,
    Comprehension,
    Entry,
    Expr,
    ExprNode,
    Field,
    ForClause,
    HostValue,
    IfClause,
    Index,
    ListLiteral,
    Logic,
    LogicOperator,
    MethodCall,
    Name,
    Negate,
    Not,
    Null,
    Number,
    OperationCall,
    ProcessValue,
    RecordLiteral,
    SignalRun,
    Sleep,
    Start,
    Ternary,
    Text,
    TriggerEvent,
    Try,
    TypeLiteral,
    Unwrap,
    WaitSignal,
)
from lashlang.syntax.node import Node
from lashlang.syntax.type_expr import TypeExpr

__all__ = [
    "Argument",
    "Arm",
    "Assign",
    "Authority",
    "Await",
    "Block",
    "Bool",
    "Break",
    "Call",
    "Cancel",
    "Chain",
    "ChainOperator",
    "Comment",
    "Comprehension",
    "Continue",
    "Declaration",
    "DeclarationNode",
    "Entry",
    "Evaluate",
    "Expr",
    "ExprNode",
    "Fail",
    "Field",
    "FieldStep",
    "Finish",
    "FnDecl",
    "For",
    "ForClause",
    "HostValue",
    "If",
    "IfClause",
    "Index",
    "IndexStep",
    "Item",
    "Label",
    "Labelled",
    "ListLiteral",
    "Logic",
    "LogicOperator",
    "MethodCall",
    "Name",
    "Negate",
    "Not",
    "Null",
    "Number",
    "OperationCall",
    "Param",
    "Print",
    "ProcessDecl",
    "ProcessValue",
    "Program",
    "RecordLiteral",
    "SignalDecl",
    "SignalRun",
    "Sleep",
    "Start",
    "Statement",
    "StatementNode",
    "Target",
    "Ternary",
    "Text",
    "TriggerEvent",
    "Try",
    "TypeDecl",
    "TypeLiteral",
    "Unwrap",
    "WaitSignal",
    "Wake",
    "While",
    "Yield",
]

# --- Statements ---------------------------------------------------------------------------------------------


class StatementNode(Node, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A statement."""


class FieldStep(Node, frozen=True, omit_defaults=True, gc=False, tag="field_step"):
    """`.name` of an assignment target."""

    name: str


class IndexStep(Node, frozen=True, omit_defaults=True, gc=False, tag="index_step"):
    """`[index]` of an assignment target."""

    index: Expr


class Target(Node, frozen=True, omit_defaults=True, gc=False, tag="target"):
    """What is assigned to: a variable and a path into it."""

    name: str
    steps: tuple[FieldStep | IndexStep, ...] = ()


class Assign(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="assign"):
    """`target = value`; `let` only records the spelling."""

    target: Target
    value: Expr
    let: bool = False


class Evaluate(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="evaluate"):
    """An expression as a statement; as the last statement of a `fn` body its value is the result."""

    value: Expr


class Block(Node, frozen=True, omit_defaults=True, gc=False, tag="block"):
    """`{ statements }`."""

    statements: tuple[Statement, ...]


class Arm(Node, frozen=True, omit_defaults=True, gc=False, tag="arm"):
    """`condition { body }` of an `if` or `else if`."""

    condition: Expr
    body: Block


class If(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="if"):
    """A whole `if … else if … else …` ladder."""

    arms: tuple[Arm, ...]
    otherwise: Block | None = None


class For(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="for"):
    """`for name in iterable { body }`."""

    name: str
    iterable: Expr
    body: Block
    name_at: int = -1


class While(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="while"):
    """`while condition { body }`."""

    condition: Expr
    body: Block


class Break(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="break"):
    """`break`."""


class Continue(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="continue"):
    """`continue`."""


class Print(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="print"):
    """`print value`; foreground only."""

    value: Expr


class Cancel(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="cancel"):
    """`cancel handle`."""

    handle: Expr


class Finish(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="finish"):
    """`finish [value]`: ends a process, or the foreground and its turn. `submit` is its foreground
    spelling.
    """

    value: Expr | None = None
    word: Literal["finish", "submit"] = "finish"


class Fail(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="fail"):
    """`fail value`; process only."""

    value: Expr


class Yield(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="yield"):
    """`yield value`; process only."""

    value: Expr


class Wake(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="wake"):
    """`wake value`; process only."""

    value: Expr


class Label(Node, frozen=True, omit_defaults=True, gc=False, tag="label"):
    """`@label(title: "…", description: "…")`."""

    title: str
    description: str | None = None


class Labelled(StatementNode, frozen=True, omit_defaults=True, gc=False, tag="labelled"):
    """A statement under a label; never another `Labelled`."""

    label: Label
    statement: Statement


Statement = (
    Assign
    | Evaluate
    | If
    | For
    | While
    | Break
    | Continue
    | Print
    | Cancel
    | Finish
    | Fail
    | Yield
    | Wake
    | Labelled
)

# --- Declarations -------------------------------------------------------------------------------------------


class DeclarationNode(Node, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A top-level declaration."""


class TypeDecl(DeclarationNode, frozen=True, omit_defaults=True, gc=False, tag="type_decl"):
    """`type name = ty`."""

    name: str
    ty: TypeExpr
    name_at: int = -1


class Param(Node, frozen=True, omit_defaults=True, gc=False, tag="param"):
    """`name: ty`; in a `fn` the type may be left out (None)."""

    name: str
    ty: TypeExpr | None = None


class SignalDecl(Node, frozen=True, omit_defaults=True, gc=False, tag="signal"):
    """`name: ty` in the `signals {…}` of a process."""

    name: str
    ty: TypeExpr


class ProcessDecl(DeclarationNode, frozen=True, omit_defaults=True, gc=False, tag="process_decl"):
    """`process name(params) -> returns signals {…} { body }`."""

    name: str
    params: tuple[Param, ...]
    body: Block
    returns: TypeExpr | None = None
    signals: tuple[SignalDecl, ...] | None = None
    label: Label | None = None
    name_at: int = -1


class FnDecl(DeclarationNode, frozen=True, omit_defaults=True, gc=False, tag="fn_decl"):
    """`fn name(params) -> returns { body }`: pure; sees only its parameters and what it assigns itself.

    Its result is the value of the last statement: an `Evaluate` gives its value, an `If` gives the result
    of the arm that was taken (null without one), anything else null.
    """

    name: str
    params: tuple[Param, ...]
    body: Block
    returns: TypeExpr | None = None
    name_at: int = -1


Declaration = TypeDecl | ProcessDecl | FnDecl
Item = Declaration | Statement


class Comment(Node, frozen=True, omit_defaults=True, gc=False, tag="comment"):
    """A comment with its marker (`#` or `//`) and without its line end; not part of the program's meaning."""

    text: str


class Program(Node, frozen=True, omit_defaults=True, gc=False, tag="program"):
    """A block of source: declarations and foreground statements in written order."""

    items: tuple[Item, ...]
    comments: tuple[Comment, ...] = ()
    source: str = ""

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """The declarations, in written order."""
        return tuple(item for item in self.items if isinstance(item, DeclarationNode))

    @property
    def main(self) -> tuple[Statement, ...]:
        """The foreground statements, in written order."""
        return tuple(item for item in self.items if not isinstance(item, DeclarationNode))
