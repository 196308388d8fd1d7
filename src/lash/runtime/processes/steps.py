"""One step of a durable function: a plain function or a tool, with its attempts, to a recordable end.

Whatever the function raises becomes data, so that a repeat raises the same. Only what the process's own
interpreter is told (`KeyboardInterrupt`, `SystemExit`, a cancellation) passes through.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lash.errors import ErrorRecord, LashError
from lash.tools import (
    ONCE,
    Cancellation,
    Effect,
    Resources,
    Retry,
    SerialLanes,
    Tool,
    ToolInvocation,
    ToolSet,
    ToolThreads,
    may_retry,
    to_json,
)
from lash.values import CompletedToolCall, Json, PreparedToolCall, canonical_json

_log = logging.getLogger("lash.runtime")


@dataclass(frozen=True, slots=True)
class StepTools:
    """What steps of a runtime share: threads, serial keys, live objects."""

    resources: Resources
    threads: ToolThreads
    lanes: SerialLanes


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A function with what it is called with.

    Attributes:
        function: What is called; a tool is run as tools are.
        args, kwargs: What with.
        name: What the ledger calls it.
        effect: What a repetition may do.
        policy: How often it is tried.
        timeout_s: How long one attempt may take.
        output: The type of what it returns, or `Any`.
    """

    function: Callable[..., Any] | Tool[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    name: str
    effect: Effect
    policy: Retry
    timeout_s: float | None
    output: Any

    @classmethod
    def of(
        cls,
        fn: Callable[..., Any] | Tool[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        name: str | None,
        effect: Effect | None,
        retry: Retry | int | None,
        timeout: float | None,
    ) -> Step:
        """Return a step as it was asked for; what was left open is the tool's, or the default.

        Raises:
            LashError: `invalid_argument` for what is no function, effect or retry.
        """
        tool = fn if isinstance(fn, Tool) else None
        if not callable(fn):
            raise LashError(
                "invalid_argument", f"a step calls a function, not a {type(fn).__name__}: leave out the ()"
            )
        chosen = effect or ("at_most_once" if tool is None else tool.effect)
        if chosen not in typing.get_args(Effect):
            raise LashError(
                "invalid_argument", f"effect={chosen!r} is none of {', '.join(typing.get_args(Effect))}"
            )
        plain = fn if tool is None else tool.function
        default = ONCE if tool is None else tool.retry
        default_s = None if tool is None else tool.timeout_s
        return cls(
            function=fn,
            args=args,
            kwargs=kwargs,
            name=name or _name_of(fn),
            effect=chosen,
            policy=Retry(attempts=retry) if isinstance(retry, int) else retry or default,
            timeout_s=default_s if timeout is None else timeout,
            output=_return_type(plain),
        )

    def prepared(self, call_id: str) -> PreparedToolCall:
        """Return the step as its envelope carries it: arguments as JSON, or by their type where they are none."""
        if isinstance(self.function, Tool):
            args = _named_args(self.function, self.args, self.kwargs)
        else:
            args = {
                "args": [_shown(value) for value in self.args],
                "kwargs": {name: _shown(value) for name, value in self.kwargs.items()},
            }
        return PreparedToolCall(call_id=call_id, tool_name=self.name, args=args, effect=self.effect)


async def run_step(
    step: Step, prepared: PreparedToolCall, tools: StepTools, invocation: ToolInvocation
) -> CompletedToolCall:
    """Run a step to its end.

    Raises:
        asyncio.CancelledError: when the caller is cancelled.
    """
    if isinstance(step.function, Tool):
        return await _run_tool(step.function, step, prepared, tools, invocation)
    attempts = 0
    while True:
        attempts += 1
        try:
            value = await _attempt(step, tools, invocation.cancellation)
        except Exception as problem:  # noqa: BLE001  # the user's own function: contained, and recorded
            timed_out = isinstance(problem, _TimedOut)
            if attempts < step.policy.attempts and may_retry(
                problem, step.effect, step.policy, timed_out=timed_out
            ):
                facts = problem.facts if isinstance(problem, LashError) else {}
                delay_ms = step.policy.delay_ms(attempts, retry_after_ms=facts.get("retry_after_ms"))
                await asyncio.sleep(delay_ms / 1000)
                continue
            return _failed(prepared, _told(step, problem), attempts)
        try:
            content = _encoded(step, value)
        except LashError as problem:
            return _failed(prepared, problem, attempts)
        return CompletedToolCall(
            call_id=prepared.call_id, tool_name=step.name, content=content, attempts=attempts
        )


class _TimedOut(Exception):
    """The attempt's time was up."""


async def _attempt(step: Step, tools: StepTools, cancellation: Cancellation) -> Any:
    call = functools.partial(step.function, *step.args, **step.kwargs)
    try:
        async with asyncio.timeout(step.timeout_s) as limit:
            if inspect.iscoroutinefunction(_called(step.function)):
                return await call()
            value = await tools.threads.run(call, on_start=_nothing, on_abandon=_nothing)
            return await value if inspect.isawaitable(value) else value
    except TimeoutError as problem:
        if not limit.expired():
            raise
        raise _TimedOut(f"did not finish within {step.timeout_s:g} s") from problem


async def _run_tool(
    tool: Tool[..., Any],
    step: Step,
    prepared: PreparedToolCall,
    tools: StepTools,
    invocation: ToolInvocation,
) -> CompletedToolCall:
    bound = ToolSet([tool], threads=tools.threads, lanes=tools.lanes).bind(tools.resources)
    return await bound.execute(prepared.replace(tool_name=tool.name), invocation)


def _nothing(*_: object) -> None:
    """Nobody need be told."""


def _told(step: Step, problem: Exception) -> LashError:
    if isinstance(problem, LashError):
        return problem
    if isinstance(problem, _TimedOut):
        return LashError("step_timeout", f"step {step.name} {problem}", step=step.name)
    _log.warning("step %s failed", step.name, exc_info=problem)
    kind = type(problem).__name__
    return LashError("step_failed", f"step {step.name}: {kind}: {problem}", step=step.name, exception=kind)


def _failed(prepared: PreparedToolCall, error: LashError, attempts: int) -> CompletedToolCall:
    record = error.record()
    try:
        canonical_json(record.facts)
    except LashError:  # facts are anything; a failure must not fail over them
        record = ErrorRecord(code=record.code, message=record.message, retryable=record.retryable)
    return CompletedToolCall(
        call_id=prepared.call_id, tool_name=prepared.tool_name, content=None, error=record, attempts=attempts
    )


def _encoded(step: Step, value: Any) -> Json:
    try:
        encoded: Json = to_json(value)
        canonical_json(encoded)
    except (TypeError, ValueError, LashError) as problem:
        raise LashError(
            "step_result_invalid",
            f"step {step.name} returned a {type(value).__name__}, which JSON cannot carry: {problem}",
            step=step.name,
        ) from problem
    return encoded


def _shown(value: Any) -> Json:
    try:
        encoded: Json = to_json(value)
        canonical_json(encoded)
    except (TypeError, ValueError, LashError):
        return {"type": type(value).__qualname__}
    return encoded


def _named_args(tool: Tool[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Json]:
    names = [one.name for one in tool.signature.arguments]
    given = dict(zip(names, args, strict=False)) | kwargs
    return {name: to_json(value) for name, value in given.items()}


def _called(fn: Any) -> Any:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn if inspect.isroutine(fn) else getattr(type(fn), "__call__", fn)  # noqa: B004  # not asked whether


def _name_of(fn: Any) -> str:
    if isinstance(fn, Tool):
        return fn.name
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(fn, "__name__", None) or type(fn).__name__


def _return_type(fn: Any) -> Any:
    """Return the annotated return type, or `Any` where there is none that could be read."""
    try:
        hints = typing.get_type_hints(_called(fn), include_extras=True)
    except Exception:  # noqa: BLE001  # evaluating annotations runs what stands in them; without them it is JSON
        return Any
    output = hints.get("return", Any)
    return type(None) if output is None else output
