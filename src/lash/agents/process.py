"""`@lash.process`: a durable function as a definition. It does no I/O and runs nothing.

The name is stored with every process: a runtime runs only processes whose definitions it was given, and
renaming a definition orphans its processes.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

import msgspec

from lash.errors import LashError
from lash.tools import Arguments, Signature, from_json, problems_text, read_signature, to_json
from lash.values import (
    PROCESS_SIGNAL,
    FunctionInput,
    Json,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessRegistration,
    ProcessWakeSpec,
    RecoveryDisposition,
    SelectPointer,
    canonical_json,
)

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

PROCESS_PROGRESS = "process.progress"
PROCESS_WAKE = "process.wake"
PROCESS_YIELD = "process.yield"

# What every process may append beside the core types (contract 4): how far it is, a wake, a signal for it.
WORK_EVENT_TYPES: tuple[ProcessEventType, ...] = (
    ProcessEventType(name=PROCESS_PROGRESS),
    ProcessEventType(name=PROCESS_YIELD),
    ProcessEventType(name=PROCESS_SIGNAL),
    ProcessEventType(
        name=PROCESS_WAKE,
        semantics=ProcessEventSemanticsSpec(wake=ProcessWakeSpec(input=SelectPointer(pointer="/text"))),
    ),
)

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}\Z")


@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ProcessDefinition(Generic[R_co]):
    """A durable function with what a runtime must know of it. Calling it calls the function.

    Attributes:
        name: Stored with its processes.
        function: What is run, and run again.
        description: What it does, from its docstring.
        arguments: What it takes, beside its context and live resources.
        signature: What fills its parameters.
        output: The type of its result, or `Any`.
        recovery: What may be done with a process whose worker is gone.
        max_attempts: How often it may be run from a cut; None for as often as it takes.
        events: The event types that it declares beside the usual ones.
    """

    name: str
    function: Callable[..., Awaitable[R_co]]
    description: str
    arguments: Arguments
    signature: Signature
    output: Any
    recovery: RecoveryDisposition
    max_attempts: int | None
    events: tuple[ProcessEventType, ...]

    @property
    def host_profile(self) -> str:
        """Which runtimes may run it: those that were given this definition."""
        return f"process:{self.name}"

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[R_co]:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<ProcessDefinition {self.name}>"

    def input(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> FunctionInput:
        """Return checked arguments as the input of a process.

        Raises:
            LashError: `invalid_process_args`, naming each argument that is wrong.
        """
        names = [one.name for one in self.signature.arguments]
        if len(args) > len(names):
            raise self._invalid(f"it takes {len(names)} arguments, not {len(args)}")
        twice = sorted(set(names[: len(args)]) & kwargs.keys())
        if twice:
            raise self._invalid(f"given twice: {', '.join(twice)}")
        given = dict(zip(names, args, strict=False)) | dict(kwargs)
        try:
            values: dict[str, Json] = {name: to_json(value) for name, value in given.items()}
            canonical_json(values)
        except (TypeError, ValueError, LashError) as problem:
            raise self._invalid(f"no JSON: {problem}") from problem
        problems = self.arguments.check(values)
        if problems:
            raise self._invalid(problems_text(problems))
        return FunctionInput(name=self.name, args=values)

    def registration(self, process_id: str, input_: FunctionInput) -> ProcessRegistration:
        """Return what a process of this definition is registered with, but for who starts it."""
        return ProcessRegistration(
            id=process_id,
            input=input_,
            recovery=self.recovery,
            max_attempts=self.max_attempts,
        ).with_extra_event_types([*WORK_EVENT_TYPES, *self.events])

    def result_to_json(self, value: Any) -> Json:
        """Return what the function returned as JSON.

        Raises:
            LashError: `process_result_invalid`.
        """
        try:
            encoded = to_json(value)
            canonical_json(encoded)
        except (TypeError, ValueError, LashError) as problem:
            raise LashError(
                "process_result_invalid",
                f"process {self.name} returned a {type(value).__name__}, which JSON cannot carry: {problem}",
            ) from problem
        return encoded

    def result_from_json(self, value: Json) -> R_co:
        """Return a stored result as the function's return type.

        Raises:
            LashError: `process_result_invalid` when it does not fit, because the definition has changed.
        """
        return converted(value, self.output, code="process_result_invalid", what=f"the result of {self.name}")  # type: ignore[no-any-return]  # of the annotated type

    def _invalid(self, problem: str) -> LashError:
        return LashError("invalid_process_args", f"process {self.name}: {problem}", process=self.name)


def converted(value: Json, kind: Any, *, code: str, what: str) -> Any:
    """Return JSON as a type form; None and `Any` leave it as it is.

    Raises:
        LashError: `code`, when it does not fit.
    """
    if kind is None or kind is Any:
        return value
    try:
        return from_json(value, kind)
    except (msgspec.ValidationError, ValueError, OverflowError) as problem:
        raise LashError(code, f"{what} does not fit {kind!r}: {problem}") from problem


@overload
def process(fn: Callable[..., Awaitable[R]], /) -> ProcessDefinition[R]: ...
@overload
def process(
    fn: None = None,
    *,
    name: str | None = None,
    recovery: str = "rerunnable",
    max_attempts: int | None = None,
    events: Sequence[str | ProcessEventType] = (),
) -> Callable[[Callable[..., Awaitable[R]]], ProcessDefinition[R]]: ...
def process(
    fn: Callable[..., Awaitable[R]] | None = None,
    *,
    name: str | None = None,
    recovery: str = "rerunnable",
    max_attempts: int | None = None,
    events: Sequence[str | ProcessEventType] = (),
) -> ProcessDefinition[R] | Callable[[Callable[..., Awaitable[R]]], ProcessDefinition[R]]:
    """Make a durable process of an async function whose first parameter is a `lash.ProcessContext`.

    The other parameters are its arguments: types that JSON can carry, checked when it is started; or live
    resources, as tools have them.

    Args:
        fn: The function; without it, a decorator with the options is returned.
        name: What its processes are stored under; the function's name by default.
        recovery: `"rerunnable"`: run again from its journal when its worker is gone. `"owner_bound"`: given up
            instead, when the worker is gone while it ran.
        max_attempts: How often it may be run from a cut before it is given up. Waiting uses up none.
        events: Event types for `ctx.emit_event`: names, or whole types with a schema and what they mean.

    Raises:
        LashError: `process_definition_invalid`, naming the function and the cure.
    """
    local_names = dict(sys._getframe(1).f_locals)

    def decorate(function: Callable[..., Awaitable[R]]) -> ProcessDefinition[R]:
        return _define(function, name, recovery, max_attempts, events, local_names)

    return decorate if fn is None else decorate(fn)


def _define(
    function: Callable[..., Awaitable[R]],
    name: str | None,
    recovery: str,
    max_attempts: int | None,
    events: Sequence[str | ProcessEventType],
    local_names: Mapping[str, object],
) -> ProcessDefinition[R]:
    from lash.agents.process_context import ProcessContext  # it names definitions, as this names it

    label = name if name is not None else getattr(function, "__name__", type(function).__name__)
    _check_options(function, label, recovery, max_attempts)
    try:
        signature = read_signature(function, label, local_names, receiver=False, context=ProcessContext)
        arguments = Arguments(label, signature.arguments, {})
    except LashError as problem:
        raise _invalid(label, problem.message.removeprefix(f"tool {label}: ")) from problem
    if len(signature.contexts) != 1:
        raise _invalid(label, "exactly one parameter must be annotated `lash.ProcessContext`: write it first")
    hints = typing.get_type_hints(function, localns=dict(local_names), include_extras=True)
    output = hints.get("return", Any)
    return ProcessDefinition(
        name=label,
        function=function,
        description=inspect.getdoc(function) or "",
        arguments=arguments,
        signature=signature,
        output=type(None) if output is None else output,
        recovery=RecoveryDisposition(recovery),
        max_attempts=max_attempts,
        events=tuple(ProcessEventType(name=one) if isinstance(one, str) else one for one in events),
    )


def _check_options(function: Any, label: str, recovery: str, max_attempts: int | None) -> None:
    if not inspect.iscoroutinefunction(function):
        raise _invalid(
            label, "it is no async function: write `async def`, and call what is sync in `ctx.step`"
        )
    if not _NAME.match(label):
        raise _invalid(
            label, "its name must be 1 to 64 letters, digits, `_`, `.` or `-`: give one with name=…"
        )
    if recovery not in ("rerunnable", "owner_bound"):
        raise _invalid(label, f"recovery={recovery!r} is neither rerunnable nor owner_bound")
    if max_attempts is not None and max_attempts < 1:
        raise _invalid(label, f"max_attempts={max_attempts} must be at least 1")


def _invalid(label: str, problem: str) -> LashError:
    return LashError("process_definition_invalid", f"process {label}: {problem}", process=label)
