"""What each parameter of a tool function is: an argument of the model's, the context, or a live resource.

Everything that can be wrong with a function is found here, when it is decorated, and named with its cure.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from lash.errors import LashError
from lash.tools.context import ToolContext
from lash.tools.json_types import json_schema_of
from lash.tools.resources import ResourceMark

# Types of these modules are never live resources of a user's: an annotation with one is a mistake.
_LANGUAGE_MODULES = frozenset(
    {"builtins", "typing", "typing_extensions", "collections", "collections.abc", "types"}
)


@dataclasses.dataclass(frozen=True, slots=True)
class Argument:
    """A parameter that the model fills in."""

    name: str
    annotation: Any  # any type form that msgspec takes
    required: bool
    default: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceParameter:
    """A parameter that gets a live object."""

    name: str
    kind: Any  # a class, a Protocol or a NewType
    required: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a tool function, by what fills them."""

    receiver: str | None
    arguments: tuple[Argument, ...]
    contexts: tuple[str, ...]
    resources: tuple[ResourceParameter, ...]


def read_signature(
    function: Callable[..., object],
    label: str,
    local_names: Mapping[str, object],
    *,
    receiver: bool,
    context: type = ToolContext,
) -> Signature:
    """Sort the parameters of a function.

    Args:
        function: What is to become a tool, or a process.
        label: How to call it in messages.
        local_names: Names beyond the function's module that its annotations may use.
        receiver: Whether the first parameter is the `self` or `cls` of a method that is not bound yet.
        context: The type that marks a parameter as the one that gets the context.

    Raises:
        LashError: `tool_definition_invalid`, naming the function, the parameter and the cure.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as problem:
        raise invalid(
            label, f"its signature cannot be read ({problem}): wrap it in a function of your own"
        ) from problem
    hints = _annotations(function, label, local_names)
    receiver_name = parameters.pop(0).name if receiver and parameters else None
    arguments: list[Argument] = []
    contexts: list[str] = []
    resources: list[ResourceParameter] = []
    for parameter in _free_parameters(function, parameters):
        _check_kind(parameter, label)
        annotation = hints.get(parameter.name, inspect.Parameter.empty)
        required = parameter.default is inspect.Parameter.empty
        match _classify(parameter.name, annotation, label, context):
            case "context":
                contexts.append(parameter.name)
            case "argument":
                arguments.append(Argument(parameter.name, annotation, required, parameter.default))
            case ("resource", kind):
                resources.append(ResourceParameter(parameter.name, kind, required))
    return Signature(receiver_name, tuple(arguments), tuple(contexts), tuple(resources))


def invalid(label: str, problem: str, **facts: Any) -> LashError:  # facts are JSON by design
    """Return the definition error of one tool: `tool_definition_invalid`, to be raised."""
    return LashError("tool_definition_invalid", f"tool {label}: {problem}", tool=label, **facts)


def _annotations(
    function: Callable[..., object], label: str, local_names: Mapping[str, object]
) -> dict[str, Any]:
    """Return the resolved annotations. For partials and callable objects they are those of what is called."""
    target: Any = function  # partials nest, and a callable object hides its function in its class
    while isinstance(target, functools.partial):
        target = target.func
    if not (inspect.isroutine(target) or hasattr(target, "__wrapped__")):
        target = type(target).__call__
    try:
        return typing.get_type_hints(target, localns=dict(local_names), include_extras=True)
    except NameError as problem:
        raise invalid(
            label,
            f"an annotation names {problem.name!r}, which is not known where the tool is defined: "
            "import it outside `if TYPE_CHECKING`, or define it at module level",
        ) from problem
    except Exception as problem:  # evaluating an annotation runs what stands in it
        raise invalid(label, f"its annotations cannot be read: {problem}") from problem


def _free_parameters(
    function: Callable[..., object], parameters: list[inspect.Parameter]
) -> list[inspect.Parameter]:
    """Leave out what a partial has bound by keyword: the model must not override it."""
    bound: set[str] = set()
    while isinstance(function, functools.partial):
        bound.update(function.keywords)
        function = function.func
    return [parameter for parameter in parameters if parameter.name not in bound]


def _check_kind(parameter: inspect.Parameter, label: str) -> None:
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL | inspect.Parameter.VAR_KEYWORD:
            star = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "**"
            raise invalid(
                label,
                f"{star}{parameter.name} has no fixed arguments to tell the model of: "
                "name each one, or take a list or a dict",
                parameter=parameter.name,
            )
        case inspect.Parameter.POSITIONAL_ONLY:
            raise invalid(
                label,
                f"parameter {parameter.name!r} is positional-only, but tools are called by name: "
                "remove the `/` behind it",
                parameter=parameter.name,
            )
        case _:
            pass


def _classify(name: str, annotation: Any, label: str, context: type) -> str | tuple[str, Any]:
    """Return "context", "argument", or ("resource", type)."""
    if annotation is inspect.Parameter.empty:
        raise invalid(
            label,
            f"parameter {name!r} has no annotation, so the model cannot be told what it is: "
            f"write `{name}: str`, for example",
            parameter=name,
        )
    kind, is_marked = _unwrapped(annotation)
    if is_marked:
        return ("resource", kind)
    if kind is context:
        return "context"
    try:
        json_schema_of(annotation)
    except (TypeError, ValueError, NameError, re.error, msgspec.MsgspecError) as problem:
        if _is_live_class(kind):
            return ("resource", kind)
        raise invalid(
            label,
            f"parameter {name!r} is a {inspect.formatannotation(annotation)}, which JSON cannot carry "
            f"({str(problem).splitlines()[0]}): use JSON types, dataclasses or msgspec Structs, "
            f"or `Resource[…]` if it is a live object",
            parameter=name,
        ) from problem
    return "argument"


def _unwrapped(annotation: Any) -> tuple[Any, bool]:
    """Return an annotation without `Annotated` and `| None`, and whether it carries the resource mark."""
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        kind, is_marked = _unwrapped(inner)
        return kind, is_marked or any(isinstance(note, ResourceMark) for note in notes)
    if get_origin(annotation) in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
        if len(options) == 1:
            return _unwrapped(options[0])
    return annotation, False


def _is_live_class(kind: Any) -> bool:
    """Whether a type that JSON cannot carry is a class of live objects, rather than a mistaken data type."""
    if not isinstance(kind, type) or get_origin(kind) is not None or kind.__module__ in _LANGUAGE_MODULES:
        return False
    is_data = (
        dataclasses.is_dataclass(kind) or typing.is_typeddict(kind) or hasattr(kind, "model_json_schema")
    )
    return not is_data and not issubclass(kind, msgspec.Struct | tuple | list | dict | enum.Enum | complex)
