"""The syntax tree of lashlang: every declaration, statement and expression, as tagged frozen records.

`parse` makes the nodes of the first groups. The last group (`Authority`, `ProcessValue`, `HostValue`,
`OperationCall`, `TriggerEvent`) exists only in a *linked* program, where `check` has put them in place of the
names and method calls that they resolve; a linked program holds no `MethodCall`.

Chains are flat so that depth stays bounded: `1 + 2 + 3` is one `Chain`, `a or b or c` one `Logic`, an
`if … else if …` ladder one `If`. What nests is bounded by the parser (64 levels, `lashlang.syntax.limits`),
so a plain recursive walk over any parsed program is safe.
"""

from __future__ import annotations

from typing import Literal

from lashlang.syntax.node import Node
from lashlang.syntax.type_expr import TypeExpr

ChainOperator = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in", "+", "-", "*", "/", "%"]
LogicOperator = Literal["and", "or", "??"]


# --- Literals and names -------------------------------------------------------------------------------------


class ExprNode(Node, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An expression."""


class Null(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="null"):
    """`null`."""


class Bool(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="bool"):
    """`true` or `false`."""

    value: bool


class Number(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="number"):
    """A numeric literal: an int when written without point and exponent and within 64 bits, else a finite
    float.
    """

    value: int | float


class Text(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="text"):
    """A string literal of any form, its escapes decoded; never holds a lone surrogate."""

    value: str


class Name(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="name"):
    """A variable read; in a parsed program also a module path's root, a process or a declared type."""

    name: str


class ListLiteral(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="list"):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class Entry(Node, frozen=True, omit_defaults=True, gc=False, tag="entry"):
    """`key: value` of a record literal."""

    key: str
    value: Expr


class RecordLiteral(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="record"):
    """`{key: value}` in written order; of a repeated key the last value stands at the first one's
    position.
    """

    entries: tuple[Entry, ...]


class ForClause(Node, frozen=True, omit_defaults=True, gc=False, tag="for_clause"):
    """`for name in iterable` of a comprehension; the name is bound for what follows and the element."""

    name: str
    iterable: Expr


class IfClause(Node, frozen=True, omit_defaults=True, gc=False, tag="if_clause"):
    """`if condition` of a comprehension."""

    condition: Expr


class Comprehension(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="comprehension"):
    """`[element for x in xs if c for y in ys]`: clauses nest from left to right, the first is a
    `ForClause`.
    """

    element: Expr
    clauses: tuple[ForClause | IfClause, ...]


class TypeLiteral(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="type_literal"):
    """`Type {…}`; in a linked program also a declared type read as a value.

    A `TypeRef` that is left in a linked program's literal names a variable that holds a Type value.
    """

    ty: TypeExpr


# --- Operators ----------------------------------------------------------------------------------------------


class Negate(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="negate"):
    """`-value`."""

    value: Expr


class Not(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="not"):
    """`not value`, `!value`."""

    value: Expr


class Await(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="await"):
    """`await value`. `await m.op()?` is `Await(Unwrap(call))`: one effect whose failure aborts."""

    value: Expr


class Try(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="try"):
    """`try value`: `{ok: true, value}` or, when evaluating it fails, `{ok: false, error}`; takes a whole
    expression.
    """

    value: Expr


class Chain(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="chain"):
    """`o0 op0 o1 op1 o2`, meaning `((o0 op0 o1) op1 o2)`; the operators are all of one precedence level."""

    operands: tuple[Expr, ...]
    operators: tuple[ChainOperator, ...]


class Logic(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="logic"):
    """Short-circuit `and`, `or` (results are bools) and `??` (first operand that is not null, else the
    last).
    """

    operator: LogicOperator
    operands: tuple[Expr, ...]


class Ternary(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="ternary"):
    """`condition ? then : otherwise`."""

    condition: Expr
    then: Expr
    otherwise: Expr


class Field(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="field_read"):
    """`target.name`."""

    target: Expr
    name: str


class Index(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="index"):
    """`target[index]`."""

    target: Expr
    index: Expr


class Unwrap(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="unwrap"):
    """`value?`."""

    value: Expr


# --- Calls and effects --------------------------------------------------------------------------------------


class Call(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="call"):
    """`name(args)`: a function declared with `fn` in this program, else a builtin."""

    name: str
    args: tuple[Expr, ...]


class MethodCall(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="method_call"):
    """`receiver.operation(args)` as parsed; linking makes it an `OperationCall` or a `HostValue`."""

    receiver: Expr
    operation: str
    args: tuple[Expr, ...]
    name_at: int = -1


class Argument(Node, frozen=True, omit_defaults=True, gc=False, tag="argument"):
    """`name: value` of a `start`."""

    name: str
    value: Expr


class Start(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="start"):
    """`start process(name: value)`."""

    process: str
    args: tuple[Argument, ...]
    name_at: int = -1


class Sleep(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="sleep"):
    """`sleep for value` or `sleep until value`."""

    mode: Literal["for", "until"]
    value: Expr


class WaitSignal(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="wait_signal"):
    """`wait signal` (`signal` is None: the next one of any name) or `wait_signal("name")`."""

    signal: str | None = None


class SignalRun(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="signal_run"):
    """`signal run run with payload` (`signal` is None) or `signal_run(run, "name", payload)`."""

    run: Expr
    payload: Expr
    signal: str | None = None


# --- Only in linked programs --------------------------------------------------------------------------------


class Authority(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="authority"):
    """A module path that names a module instance of the host surface, as a first-class value."""

    path: str
    resource_type: str


class ProcessValue(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="process_value"):
    """A process of this program, read as a definition value."""

    name: str


class HostValue(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="host_value"):
    """`pkg.Name(argument)` with a constructor of the host: a pure, tagged value of type `type_name`."""

    constructor: str
    type_name: str
    argument: Expr


class OperationCall(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="operation_call"):
    """A host operation.

    `host_operation` is its host name when the receiver is a known module instance, else None: the instance
    that arrives at run time decides. `resource_type` is the receiver's static authority type.
    """

    receiver: Expr
    operation: str
    args: tuple[Expr, ...]
    resource_type: str
    host_operation: str | None = None
    name_at: int = -1


class TriggerEvent(ExprNode, frozen=True, omit_defaults=True, gc=False, tag="trigger_event"):
    """`trigger.event` inside the `inputs` of a trigger registration: the placeholder of the whole event."""


Expr = (
    Null
    | Bool
    | Number
    | Text
    | Name
    | ListLiteral
    | RecordLiteral
    | Comprehension
    | TypeLiteral
    | Negate
    | Not
    | Await
    | Try
    | Chain
    | Logic
    | Ternary
    | Field
    | Index
    | Unwrap
    | Call
    | MethodCall
    | Start
    | Sleep
    | WaitSignal
    | SignalRun
    | Authority
    | ProcessValue
    | HostValue
    | OperationCall
    | TriggerEvent
)

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
