"""The expressions of the syntax tree, as parsed and as linked.

`parse` makes the nodes of the first groups. The last group (`Authority`, `ProcessValue`, `HostValue`,
`OperationCall`, `TriggerEvent`) exists only in a *linked* program, where `check` has put them in place of the names
and method calls that they resolve; a linked program holds no `MethodCall`.

Chains are flat so that depth stays bounded: `1 + 2 + 3` is one `Chain`, `a or b or c` one `Logic`.
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
