"""Generated code: from a body to a function, by way of checked Python text.

`generate` writes, checks and compiles; `Generated.place` gives back the place in the program for a line of a
traceback. The namespace of generated code is fresh, has no builtins, and holds nothing but the helpers named here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any, Final, NoReturn

from lashlang.machine import access, ir, operators, projection
from lashlang.machine.border import to_host, written
from lashlang.machine.builtins import TABLE, arity_error
from lashlang.machine.builtins.numbers import spread
from lashlang.machine.builtins.text import fill
from lashlang.machine.codegen.statements import BodyWriter, is_large
from lashlang.machine.codegen.whitelist import check
from lashlang.machine.equality import equal
from lashlang.machine.fault import Fault
from lashlang.machine.meter import CODE_NAME, SHORT_TEXT, Meter
from lashlang.machine.schema import schema
from lashlang.machine.sizes import TEXT_COST
from lashlang.machine.texts import stringify
from lashlang.machine.values import IDLE, UNSET, Unset, Value, truthy

PARK: Final = Unset()
"""What `perform` returns when the host has no answer yet."""

Step = Callable[..., tuple[int, Value, tuple[Value, ...]]]


def undefined(name: str) -> NoReturn:
    """Read of a variable that holds nothing."""
    raise Fault("undefined_variable", f"unknown name `{name}`")


def reject(code: str, message: str) -> NoReturn:
    """A statement that is always an error."""
    raise Fault(code, message)


def made(h: Meter, text: str) -> str:
    """Charge a string that was just joined from few parts."""
    size = len(text)
    if size > SHORT_TEXT:
        h.text(size)
        return text
    h.mem -= TEXT_COST + size
    if h.mem < 0:
        h.settle()
    return text


def say(h: Meter, value: Value) -> None:
    """`print`."""
    h.tell(*written(h, value))


def failed(h: Meter, fault: Fault, calls: int) -> Value:
    """What `try` makes of a fault; function calls that it left are no longer counted."""
    h.calls = calls
    h.text(len(fault.message))
    return {"ok": False, "error": fault.message}


class Left(Exception):
    """Raised where a body parks (`code` is its site) or ends; its slots are read from the frame that raised."""

    def __init__(self, code: int, value: Value) -> None:
        self.code = code
        self.value = value


def stop(code: int, value: Value) -> NoReturn:
    """The end of a large body."""
    raise Left(code, value)


class Failure:
    """The answer to an effect that aborts the program: raised where the program waits."""

    __slots__ = ("fault",)

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def answered(answer: Value) -> Value:
    """An answer that arrived while the program was parked."""
    if type(answer) is Failure:
        raise answer.fault
    return answer


HELPERS: Final[dict[str, Any]] = {
    "U": UNSET,
    "Z": IDLE,
    "P": PARK,
    "Fault": Fault,
    "type_": type,
    "bool_": bool,
    "int_": int,
    "float_": float,
    "str_": str,
    "list_": list,
    "dict_": dict,
    "len_": len,
    "append": list.append,
    "truthy": truthy,
    "equal": equal,
    "stringify": stringify,
    "undefined": undefined,
    "reject": reject,
    "made": made,
    "say": say,
    "sent": to_host,
    "failed": failed,
    "answered": answered,
    "stop": stop,
    "reach_field": projection.reach_field,
    "reach_index": projection.reach_index,
    "whole": projection.whole,
    "rows": projection.rows,
    "projected_call": projection.call,
    "fill": fill,
    "spread": spread,
    "schema": schema,
    "arity_error": arity_error,
    "refill": Meter.refill,
    "grab": Meter.grab,
    "enter": Meter.enter,
    "leave": Meter.leave,
    **{
        name: getattr(operators, name)
        for name in (
            "add", "concat", "subtract", "multiply", "divide", "remainder", "negate", "less", "less_equal",
            "greater", "greater_equal", "not_equal", "is_in",
        )
    },
    **{name: getattr(access, name) for name in ("field", "index", "store", "push", "extend", "iterable", "unwrap")},
    **{f"b_{name}": entry[0] for name, entry in TABLE.items()},
}  # fmt: skip
_COMMENT: Final = re.compile(r"\s*#([0-9]+)")


class Generated:
    """The compiled function of one body and what is needed to explain it."""

    __slots__ = ("bodies", "code", "constants", "large", "source", "step")

    def __init__(self, code: CodeType, constants: list[Value], source: str, bodies: list[ir.Body]) -> None:
        self.code = code
        self.constants = constants
        self.source = source
        self.bodies = bodies
        self.large = is_large(bodies[-1])
        namespace = dict(HELPERS)
        namespace["__builtins__"] = {}
        namespace.update((f"k{number}", value) for number, value in enumerate(constants))
        exec(code, namespace)  # noqa: S102 - a checked tree in a namespace without builtins
        self.step: Step = namespace["step"]

    def place(self, function: str, line: int) -> tuple[int, int] | None:
        """The place in the program that line `line` of generated function `function` stands for, if any."""
        lines = self.source.split("\n")
        name = function.removeprefix("fn_") if function != "step" else None
        body = next(b for b in self.bodies if (b.name == name if name else b.kind != "fn"))
        for text in reversed(lines[:line]):
            match = _COMMENT.match(text)
            if match:
                return body.spans[int(match[1])] if match[1] != "0" else None
        return None


def generate(body: ir.Body, functions: Iterable[ir.Body]) -> Generated:
    """Write, check and compile the function of `body`, with those of `functions` beside it."""
    bodies = [*(functions if body.calls_fn else ()), body]
    constants: list[Value] = []
    lines: list[str] = []
    for each in bodies:
        lines += BodyWriter(each, constants).lines()
    source = "\n".join(lines) + "\n"
    tree = ast.parse(source, CODE_NAME)
    check(tree, HELPERS.keys(), {f"fn_{each.name}" for each in bodies if each.kind == "fn"})
    return Generated(compile(tree, CODE_NAME, "exec", dont_inherit=True), constants, source, bodies)
