"""`@tool`: a Python function as something that a model may call.

A `Tool` is a frozen definition. It holds no state of any call and no live object, so that every process
that imports it sees the same schema and the same digest.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, Self, TypeVar, get_args, overload

from lash.tools.arguments import Arguments
from lash.tools.docstring import read_docstring
from lash.tools.retry import ONCE, Effect, Retry
from lash.tools.signature import ResourceParameter, Signature, invalid, read_signature
from lash.values import Json, ToolSpec

P = ParamSpec("P")
R = TypeVar("R")

Approval = bool | Callable[[dict[str, Json]], bool]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Tool(Generic[P, R]):
    """A function with what a model and a runtime must know of it. Calling it calls the function.

    Attributes:
        function: What is called.
        spec: Name, description and JSON Schema, as the model sees them.
        effect: What a repetition may do: nothing (`read_only`), nothing new under the same idempotency key
            (`idempotent`), or harm (`at_most_once`).
        approval: Whether a person must agree first; a callable decides by the arguments.
        timeout_s: Seconds that one attempt may take.
        retry: How often it is tried.
        serial_key: Calls of tools with the same key run one at a time.
        arguments: What the model fills in.
        signature: What fills the other parameters.
        is_async: Whether it runs on the event loop; anything else runs in a thread.
    """

    function: Callable[P, R]
    spec: ToolSpec
    effect: Effect
    approval: Approval
    timeout_s: float | None
    retry: Retry
    serial_key: str | None
    arguments: Arguments
    signature: Signature
    is_async: bool

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def description(self) -> str:
        return self.spec.description

    @property
    def resources(self) -> tuple[ResourceParameter, ...]:
        """The live objects that it asks for."""
        return self.signature.resources

    def needs_approval(self, args: dict[str, Json]) -> bool:
        """Return whether a call with these arguments waits for a person."""
        return self.approval(args) if callable(self.approval) else self.approval

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Self:
        """Return the tool with its `self` (or `cls`) bound, when it is a method reached through an object."""
        if self.signature.receiver is None:
            return self
        is_classmethod = isinstance(self.function, classmethod)
        if instance is None and not is_classmethod:
            return self
        bound = self.function.__get__(instance, owner)
        return dataclasses.replace(
            self, function=bound, signature=dataclasses.replace(self.signature, receiver=None)
        )

    def __repr__(self) -> str:
        return f"<Tool {self.name} ({self.effect})>"


@overload
def tool(fn: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    fn: None = None,
    *,
    name: str | None = None,
    effect: Effect = "at_most_once",
    approval: Approval = False,
    timeout: float | None = None,
    retry: Retry | int | None = None,
    serial_key: str | None = None,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
@overload
def tool(
    fn: Callable[P, R],
    *,
    name: str | None = None,
    effect: Effect = "at_most_once",
    approval: Approval = False,
    timeout: float | None = None,
    retry: Retry | int | None = None,
    serial_key: str | None = None,
) -> Tool[P, R]: ...
def tool(
    fn: Callable[P, R] | None = None,
    *,
    name: str | None = None,
    effect: Effect = "at_most_once",
    approval: Approval = False,
    timeout: float | None = None,
    retry: Retry | int | None = None,
    serial_key: str | None = None,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a tool of a function, sync or async, or of a method, a partial or a callable object.

    The schema comes from the annotations, the description from the docstring. A parameter annotated
    `ToolContext` gets the context; one annotated `Resource[T]`, or with a class that JSON cannot carry,
    gets the live object of that type that was given to `lash.open`.

    Args:
        fn: The function; without it, a decorator with the options is returned.
        name: What the model calls it; the function's name by default.
        effect: `read_only`, `idempotent` (may be repeated under the same `ctx.idempotency_key`) or
            `at_most_once` (never started again once it may have run).
        approval: Whether a person must agree to a call; or a function of the arguments that says so.
        timeout: Seconds that an attempt may take. An async function is then cancelled. A sync function
            cannot be stopped: its `ctx.cancelled` becomes true, and its result is ignored.
        retry: Attempts in all, or a `Retry`. See there what is retried.
        serial_key: Calls whose tools share this key run one at a time.

    Raises:
        LashError: `tool_definition_invalid`, naming the function, the parameter and the cure.
    """
    local_names = _caller_names()

    def decorate(function: Callable[P, R]) -> Tool[P, R]:
        return _define(
            function,
            name=name,
            effect=effect,
            approval=approval,
            timeout=timeout,
            retry=retry,
            serial_key=serial_key,
            local_names=local_names,
        )

    return decorate if fn is None else decorate(fn)


def _define(
    function: Any,  # a callable, or a classmethod or staticmethod that is not bound yet
    *,
    name: str | None,
    effect: Effect,
    approval: Approval,
    timeout: float | None,
    retry: Retry | int | None,
    serial_key: str | None,
    local_names: Mapping[str, object],
) -> Tool[P, R]:
    if isinstance(function, Tool):
        raise invalid(function.name, "it is a tool already: decorate it once")
    function = function.__func__ if isinstance(function, staticmethod) else function
    plain: Any = function.__func__ if isinstance(function, classmethod) else function  # what is inspected
    label = name if name is not None else _function_name(plain)
    _check_callable(plain, label)
    _check_options(label, effect, timeout, serial_key)
    is_method = isinstance(function, classmethod) or _is_unbound_method(plain)
    signature = read_signature(plain, label, local_names, receiver=is_method)
    description, parameter_texts = read_docstring(_docstring(plain))
    arguments = Arguments(label, signature.arguments, parameter_texts)
    return Tool(
        function=function,
        spec=ToolSpec(name=label, description=description, input_schema=arguments.schema),
        effect=effect,
        approval=approval,
        timeout_s=timeout,
        retry=_policy(retry, label),
        serial_key=serial_key,
        arguments=arguments,
        signature=signature,
        is_async=inspect.iscoroutinefunction(_called(plain)),
    )


def _check_options(label: str, effect: str, timeout: Any, serial_key: str | None) -> None:
    if not _NAME.match(label):
        raise invalid(
            label,
            "its name must be 1 to 64 letters, digits, `_` or `-`, because model vendors accept no other: "
            "give one with name=…",
        )
    if effect not in get_args(Effect):  # what a caller without a type checker may pass
        raise invalid(label, f"effect={effect!r} is none of {', '.join(get_args(Effect))}")
    if timeout is not None and not (isinstance(timeout, int | float) and 0 < timeout < math.inf):
        raise invalid(label, f"timeout={timeout!r} must be a positive number of seconds, or None")
    if serial_key is not None and not serial_key:
        raise invalid(label, "serial_key must not be empty: leave it out to run calls side by side")


def _check_callable(plain: Any, label: str) -> None:
    if inspect.isclass(plain) or not callable(plain):
        raise invalid(
            label, f"a {type(plain).__name__} is not a tool: decorate a function, or a callable object"
        )
    called = _called(plain)
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise invalid(
            label,
            "it is a generator, but a tool returns one value: return a list, and report with ctx.progress",
        )


def _policy(retry: Any, label: str) -> Retry:  # checked here, for callers without a type checker
    match retry:
        case None:
            return ONCE
        case Retry():
            return retry
        case int() if retry >= 1 and not isinstance(retry, bool):
            return Retry(attempts=retry)
        case _:
            raise invalid(
                label, f"retry={retry!r} must be a number of attempts from 1, or a lash.tools.Retry"
            )


def _called(plain: Any) -> Any:
    """Return the function that a call of `plain` ends up in."""
    while isinstance(plain, functools.partial):
        plain = plain.func
    return plain if inspect.isroutine(plain) else type(plain).__call__


def _function_name(plain: Any) -> str:
    while isinstance(plain, functools.partial):
        plain = plain.func
    return getattr(plain, "__name__", None) or type(plain).__name__


def _docstring(plain: Any) -> str | None:
    while isinstance(plain, functools.partial):
        plain = plain.func
    if inspect.isroutine(plain):
        return inspect.getdoc(plain)
    return type(plain).__call__.__doc__ or type(plain).__doc__


def _is_unbound_method(plain: Any) -> bool:
    """Whether a plain function stands in a class body and takes `self`: its class is not there yet to ask."""
    if not inspect.isfunction(plain):
        return False
    owner = plain.__qualname__.rpartition(".")[0]
    first = next(iter(inspect.signature(plain).parameters.values()), None)
    return bool(owner) and not owner.endswith("<locals>") and first is not None and first.name == "self"


def _caller_names() -> Mapping[str, object]:
    """Return the local names where `@tool` stands: annotations may name types of an enclosing function."""
    return dict(sys._getframe(2).f_locals)
