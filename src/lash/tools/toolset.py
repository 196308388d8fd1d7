"""The tools of an agent, and the way of one call through them (runtime 6.2).

`prepare` freezes a call before it becomes an effect, `execute` runs it behind the effect boundary, maybe
in another process and after the definition has changed. Neither raises for what a model or a tool does
wrong: that is a `CompletedToolCall` with an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from lash.errors import LashError
from lash.tools.arguments import problems_text
from lash.tools.budget import OutputBudget
from lash.tools.call import Call
from lash.tools.context import ToolInvocation
from lash.tools.definition import Tool, tool
from lash.tools.failures import failed_call
from lash.tools.lanes import SerialLanes
from lash.tools.resources import Resources, type_name
from lash.tools.threads import ToolThreads
from lash.values import CompletedToolCall, PreparedToolCall, ToolCallPart, ToolSpec, stable_hash

AnyTool = Tool[..., Any]  # a set holds tools of every signature

_SUGGESTIONS_MAX = 20


class ToolSet:
    """Tools with unique names.

    Args:
        tools: Tools, or plain functions, which become at-most-once tools.
        budget: How much of a result the model sees.
        threads: Where sync tools run; share one between the sets of a runtime.
        lanes: The serial keys; share one between the sets of a runtime.

    Raises:
        LashError: `tool_definition_invalid` for names that occur twice (all of them at once), and for
            methods that are not bound to an object.
    """

    def __init__(
        self,
        tools: Iterable[AnyTool | Callable[..., object]] = (),
        *,
        budget: OutputBudget | None = None,
        threads: ToolThreads | None = None,
        lanes: SerialLanes | None = None,
    ) -> None:
        self._tools = _by_name([one if isinstance(one, Tool) else tool(one) for one in tools])
        self._budget = budget or OutputBudget()
        self._threads = ToolThreads() if threads is None else threads
        self._lanes = SerialLanes() if lanes is None else lanes  # an empty one is false
        self._resources = Resources()
        self._specs = tuple(one.spec for one in self._tools.values())
        self._digests: dict[str, str] = {}

    @property
    def resources(self) -> Resources:
        """The live objects that it was bound to."""
        return self._resources

    def extended(self, tools: Iterable[AnyTool | Callable[..., object]]) -> ToolSet:
        """Return this set with more tools, bound to the same live objects.

        Raises:
            LashError: `tool_definition_invalid` for a name that is taken; `resource_missing`.
        """
        more = ToolSet(
            [*self._tools.values(), *tools], budget=self._budget, threads=self._threads, lanes=self._lanes
        ).bind(self._resources)
        more._digests = dict(self._digests)
        return more

    def without(self, names: Collection[str]) -> ToolSet:
        """Return this set without some of its tools, bound to the same live objects."""
        left = ToolSet(
            [one for one in self._tools.values() if one.name not in names],
            budget=self._budget,
            threads=self._threads,
            lanes=self._lanes,
        )
        left._resources = self._resources
        return left

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def specs(self) -> tuple[ToolSpec, ...]:
        """Return what the model is shown, in the order in which the tools were given."""
        return self._specs

    def get(self, name: str) -> AnyTool | None:
        """Return a tool by name."""
        return self._tools.get(name)

    def digest(self, name: str) -> str:
        """Return the hash of a tool's spec, by which envelopes name it.

        Raises:
            LashError: `tool_unavailable` when there is no such tool.
        """
        if name not in self._digests:
            if name not in self._tools:
                raise self._unavailable(name)
            self._digests[name] = stable_hash(self._tools[name].spec)
        return self._digests[name]

    def bind(self, resources: Resources) -> ToolSet:
        """Return the same set with live objects for its tools; threads and serial keys stay shared.

        Raises:
            LashError: `resource_missing` naming every tool and type without an object;
                `resource_ambiguous` when several fit, or when an argument that the model would fill has
                exactly the type of a live object.
        """
        missing = []
        for one in self._tools.values():
            _check_confusion(one, resources)
            for parameter in one.resources:
                try:
                    resources.get(parameter.kind)
                except LashError as problem:
                    if problem.code != "resource_missing":
                        raise
                    if parameter.required:
                        missing.append(f"{type_name(parameter.kind)} for {one.name}({parameter.name})")
        if missing:
            raise LashError(
                "resource_missing",
                f"no live object was given for: {', '.join(missing)}. Pass lash.open(…, resources=…); "
                "data that the model should fill in is a dataclass or a msgspec Struct",
                missing=missing,
            )
        bound = ToolSet(self._tools.values(), budget=self._budget, threads=self._threads, lanes=self._lanes)
        bound._resources = resources
        return bound

    def prepare(self, call: ToolCallPart) -> PreparedToolCall | CompletedToolCall:
        """Check a call of the model's and freeze it.

        Returns:
            The prepared call; or, with an error for the model, `tool_unavailable` for a name that is not
            here and `invalid_tool_args` for arguments that do not fit.
        """
        one = self._tools.get(call.name)
        if one is None:
            return failed_call(call.call_id, call.name, self._unavailable(call.name), attempts=0)
        not_parsed = ["the arguments are no JSON object"] if call.raw_args is not None else []
        problems = not_parsed or one.arguments.check(call.args)
        if problems:
            return failed_call(
                call.call_id, call.name, _invalid_args(one, problems_text(problems)), attempts=0
            )
        return PreparedToolCall(call_id=call.call_id, tool_name=one.name, args=call.args, effect=one.effect)

    async def execute(self, prepared: PreparedToolCall, invocation: ToolInvocation) -> CompletedToolCall:
        """Run a prepared call, with its retries.

        Returns:
            The result; a failure has one of the codes `tool_unavailable`, `invalid_tool_args`,
            `tool_approval_required`, `tool_timeout`, `tool_cancelled`, `tool_failed`,
            `tool_result_invalid`, `tool_result_too_large`, `resource_missing`, `tool_threads_exhausted`,
            `tool_serial_key_blocked`, or the code of the `ToolError` that the tool raised.

        Raises:
            asyncio.CancelledError: when the caller is cancelled.
            LashError: what the attachment store or `invocation.sleep` raises: the world's failure, not
                the tool's.
        """
        one = self._tools.get(prepared.tool_name)
        if one is None:
            error = self._unavailable(prepared.tool_name)
            return failed_call(prepared.call_id, prepared.tool_name, error, attempts=0)
        try:
            arguments = one.arguments.convert(prepared.args)
        except (msgspec.ValidationError, ValueError, OverflowError) as problem:
            return failed_call(prepared.call_id, one.name, _invalid_args(one, str(problem)), attempts=0)
        call = Call(one, prepared, invocation, self._resources, self._budget, self._threads, self._lanes)
        return call.refused() or await call.run(arguments)

    def _unavailable(self, name: str) -> LashError:
        import difflib  # only for a wrong name, and not light

        near = difflib.get_close_matches(name[:64], self._tools, n=3)
        known = near or list(self._tools)[:_SUGGESTIONS_MAX]
        shown = name if len(name) <= 64 else f"{name[:64]}…"
        hint = (
            f"{'did you mean' if near else 'there are'} {', '.join(known)}" if known else "there are no tools"
        )
        return LashError("tool_unavailable", f"there is no tool {shown!r}: {hint}")

    def __iter__(self) -> Iterator[AnyTool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools


def _by_name(tools: list[AnyTool]) -> Mapping[str, AnyTool]:
    found: dict[str, AnyTool] = {}
    twice: dict[str, None] = {}
    for one in tools:
        if one.signature.receiver is not None:
            raise LashError(
                "tool_definition_invalid",
                f"tool {one.name} is a method without an object: pass it as `instance.{one.name}`",
                tool=one.name,
            )
        if one.name in found:
            twice[one.name] = None
        found[one.name] = one
    if twice:
        raise LashError(
            "tool_definition_invalid",
            f"several tools are called {', '.join(twice)}: give them different names with @tool(name=…)",
            names=list(twice),
        )
    return found


def _check_confusion(one: AnyTool, resources: Resources) -> None:
    """Refuse an argument whose type is also that of a live object: who is meant to fill it?"""
    for argument in one.signature.arguments:
        if isinstance(argument.annotation, type) and argument.annotation in resources:
            raise LashError(
                "resource_ambiguous",
                f"{one.name}({argument.name}) is an argument of the model's, but a live "
                f"{type_name(argument.annotation)} was given as well: annotate it as "
                f"Resource[{type_name(argument.annotation)}], or do not give the object",
                type=type_name(argument.annotation),
            )


def _invalid_args(one: AnyTool, problems: str) -> LashError:
    expected = ", ".join(one.spec.input_schema.get("properties", ())) or "none"
    return LashError(
        "invalid_tool_args",
        f"the arguments of {one.name} do not fit its schema: {problems}. It takes: {expected}",
        tool=one.name,
    )
