"""The intermediate form: what a program does, with every effect a statement of its own.

Expressions are pure and shallow: effects, comprehensions, `try` and anything nested too deeply have been moved into
statements before them, in evaluation order, through temporaries. Both back ends (the plain interpreter and the code
generator) execute exactly this form, so whatever is decided here (order, charges, ownership, what a frame holds) they
cannot disagree about.

Slots: `v…` variables, `t…` temporaries, `c…` comprehension variables, `q…` what a loop runs over, `i…` its position,
`s…` what a loop variable held before, `o…` whether a variable's container is its own. `at` is an index into
`Body.spans`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from lashlang.machine.values import IDLE, UNSET, Value


class _Ir(msgspec.Struct, gc=False):
    """A node of the intermediate form."""


# --- Expressions: pure, evaluated left to right ---------------------------------------------------------------------


class Const(_Ir, gc=False):
    """A constant; containers are shared by every evaluation and therefore never owned."""

    value: Value


class Var(_Ir, gc=False):
    """A slot. `sure` is False where it may be unset, which is `undefined_variable`."""

    slot: str
    at: int = 0
    sure: bool = True


class Binary(_Ir, gc=False):
    """An arithmetic or comparing operator on two operands."""

    op: str
    left: Expr
    right: Expr
    at: int


class Concat(_Ir, gc=False):
    """A run of `+` of which the first or second part is a string literal: one join instead of many."""

    parts: list[Expr]
    at: int


class Negative(_Ir, gc=False):
    """`-operand`."""

    operand: Expr
    at: int


class Opposite(_Ir, gc=False):
    """`not operand`."""

    operand: Expr


class Both(_Ir, gc=False):
    """`and` (`every`) or `or` (not `every`) of pure operands; the result is a bool."""

    every: bool
    operands: list[Expr]


class Choice(_Ir, gc=False):
    """A ternary of pure operands."""

    condition: Expr
    then: Expr
    otherwise: Expr


class Default(_Ir, gc=False):
    """`left ?? right` of pure operands."""

    left: Expr
    right: Expr


class Items(_Ir, gc=False):
    """A list literal."""

    items: list[Expr]


class Fields(_Ir, gc=False):
    """A record literal with distinct keys."""

    keys: list[str]
    values: list[Expr]


class Read(_Ir, gc=False):
    """`target.name`."""

    target: Expr
    name: str
    at: int


class At(_Ir, gc=False):
    """`target[index]`."""

    target: Expr
    index: Expr
    at: int


class Reach(_Ir, gc=False):
    """A step into a projected binding or a part of one: `step` is a constant text for `.name`."""

    target: Expr
    step: Expr
    at: int
    by_name: bool


class Whole(_Ir, gc=False):
    """A read of a projected binding that goes no further: a copy, where it is not plain data already."""

    operand: Expr
    at: int


class Rows(_Ir, gc=False):
    """What a loop over a projected binding, or a part of one, runs over."""

    operand: Expr
    at: int


class Opened(_Ir, gc=False):
    """`value?`."""

    value: Expr
    at: int


class Builtin(_Ir, gc=False):
    """A builtin with its arguments; `name` is a key of `builtins.TABLE`."""

    name: str
    args: list[Expr]
    at: int
    projected: bool = False
    """Whether the first argument may be projected: then the builtin is called through `projection.call`."""


class Template(_Ir, gc=False):
    """`format` with a constant, correct template: literal texts and argument numbers in turn."""

    parts: list[str | int]
    args: list[Expr]
    at: int


class FnCall(_Ir, gc=False):
    """A call of a `fn` of this program."""

    name: str
    args: list[Expr]
    at: int


class Schema(_Ir, gc=False):
    """A Type literal that names variables: `ty` with `names` bound to `args`."""

    ty: object
    names: list[str]
    args: list[Expr]
    at: int


class Wrapped(_Ir, gc=False):
    """`{ok: true, value: operand}`: what `try` makes of a success."""

    operand: Expr


class Truth(_Ir, gc=False):
    """The truth of the operand, as a bool."""

    operand: Expr


Expr = (
    Const
    | Var
    | Binary
    | Concat
    | Negative
    | Opposite
    | Both
    | Choice
    | Default
    | Items
    | Fields
    | Read
    | At
    | Reach
    | Whole
    | Rows
    | Opened
    | Builtin
    | Template
    | FnCall
    | Schema
    | Wrapped
    | Truth
)

# --- Statements -----------------------------------------------------------------------------------------------------


class Let(_Ir, gc=False):
    """`slot = value`; `owned` says that the value is fresh, so that the slot may be changed in place."""

    slot: str
    value: Expr
    at: int
    owned: bool = False


class Put(_Ir, gc=False):
    """`slot[path…] = value`; the path is evaluated before the value."""

    slot: str
    path: list[Expr]
    value: Expr
    at: int
    sure: bool = True


class Push(_Ir, gc=False):
    """`slot = push(slot, item)`."""

    slot: str
    item: Expr
    at: int
    sure: bool = True


class Extend(_Ir, gc=False):
    """`slot = slot + [items…]`: in place when `slot` is an owned list, an ordinary `+` otherwise."""

    slot: str
    items: list[Expr]
    at: int
    sure: bool = True


class Collect(_Ir, gc=False):
    """Append to the list that a comprehension is building in `slot`."""

    slot: str
    item: Expr
    at: int


class Forget(_Ir, gc=False):
    """The temporaries of a finished statement hold nothing any more."""

    slots: list[str]


class Disown(_Ir, gc=False):
    """A value in `slots` is about to be reachable from somewhere else as well."""

    slots: list[str]


class Do(_Ir, gc=False):
    """Evaluate and discard."""

    value: Expr
    at: int


class Reject(_Ir, gc=False):
    """A statement that is always an error (writing to a projected binding)."""

    code: str
    message: str
    at: int


class Print(_Ir, gc=False):
    """`print value`."""

    value: Expr
    at: int


class Branch(_Ir, gc=False):
    """`if condition {then} else {otherwise}`."""

    condition: Expr
    then: list[Stmt]
    otherwise: list[Stmt]
    at: int
    sites: tuple[int, int, int] = (0, 0, 0)
    """First site inside, last site inside `then`, last site inside; zeros when it holds no effect."""


class Loop(_Ir, gc=False):
    """`while condition {body}`; `size_bytes` is charged a turn for what the body's literals make."""

    condition: Expr
    body: list[Stmt]
    at: int
    size_bytes: int = 0
    sites: tuple[int, int] = (0, 0)


class Each(_Ir, gc=False):
    """`for variable in iterable {body}`; `number` names its `q`, `i` and `s` slots.

    With `ranged` the iterable is the arguments of a `range` and no list is made. `restores` is False for
    comprehension variables, which nothing outside can see.
    """

    number: int
    variable: str
    iterable: list[Expr]
    body: list[Stmt]
    at: int
    ranged: bool = False
    restores: bool = True
    size_bytes: int = 0
    sites: tuple[int, int] = (0, 0)


class Stop(_Ir, gc=False):
    """`break`."""


class Again(_Ir, gc=False):
    """`continue`."""


class Attempt(_Ir, gc=False):
    """Run `body`, which ends by setting `slot` to a success; a fault sets it to a failure instead.

    `holders` are the temporaries and loop sources of the body, which a fault leaves behind.
    """

    slot: str
    body: list[Stmt]
    at: int
    holders: list[str] = []
    sites: tuple[int, int] = (0, 0)


class Perform(_Ir, gc=False):
    """The effect at `site` (an index into `Body.sites`, from 1) with its evaluated arguments."""

    site: int
    args: list[Expr]
    slot: str | None
    at: int


class End(_Ir, gc=False):
    """`finish`, `submit`, `fail`, or the result of a `fn`."""

    how: Literal["finish", "fail", "return"]
    value: Expr
    at: int


Stmt = (
    Let
    | Put
    | Push
    | Extend
    | Collect
    | Forget
    | Disown
    | Do
    | Reject
    | Print
    | Branch
    | Loop
    | Each
    | Stop
    | Again
    | Attempt
    | Perform
    | End
)

# --- Effects and bodies ---------------------------------------------------------------------------------------------

EffectKind = Literal[
    "operation", "await", "start", "cancel", "sleep", "wait_signal", "signal_run", "event", "join"
]


class Member(_Ir, gc=False):
    """One operation of an aggregate await."""

    operation: str
    host_operation: str | None
    resource_type: str
    receiver: Value
    args: tuple[int, ...]
    fused: bool
    """`receiver` is the authority itself, or the number of the argument that holds it."""


class Site(_Ir, gc=False):
    """A place where the program can wait, named by its path in the syntax tree.

    `name` is the operation, the process, the sleep mode, the event or the signal. `shape` is the form of an
    aggregate await: a list, a dict, an argument number or a `Member`.
    """

    id: str
    kind: EffectKind
    at: int
    name: str = ""
    host_operation: str | None = None
    resource_type: str = ""
    keys: tuple[str, ...] = ()
    receiver: Value = None
    """The authority that receives an operation, when it is written in the program; else the first argument."""
    fused: bool = False
    shape: object = None
    slots: tuple[str, ...] = ()
    """The temporaries and loop slots that are in use here, beside the variables."""


class Body(_Ir, gc=False):
    """One unit of execution: the foreground, a process or a `fn`."""

    kind: Literal["main", "process", "fn"]
    name: str
    params: list[str]
    statements: list[Stmt]
    variables: list[str]
    """Variable names by slot number: `v0` is the first."""
    slots: list[str]
    """Every slot, variables first, in a fixed order: what a suspended body hands out."""
    slot_names: dict[str, str]
    """Slot to its stable name in a frame."""
    owners: list[str]
    """Variable slots that some statement changes in place."""
    sites: list[Site]
    spans: list[tuple[int, int]]
    restores: list[tuple[str, str]] = []
    """Per `for` loop, outer before inner: its `s` slot and its variable."""
    size_bytes: int = 0
    calls_fn: bool = False
    loops: bool = False
    ends: int = 0
    """How many statements leave the body."""


def initial(slot: str) -> Value:
    """What a slot holds before its body starts."""
    match slot[0]:
        case "v":
            return UNSET
        case "s":
            return IDLE
        case "o":
            return False
        case _:
            return None
