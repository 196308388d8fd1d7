"""A model that follows a script: it streams, fails on demand, and knows whether the script was used up.

A script that has to survive its process must be a function of the conversation, not of how often this
process called it: `by_request=True` picks the step by the answers that the turn already has.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, cast

from lash.contracts import ModelCallError, ModelCapabilities, StreamSink
from lash.errors import LashError
from lash.providers.tool_arguments import distinct_call_ids
from lash.testing.script_steps import Reply, Step, call, garbled_call, reply, steps_taken
from lash.values import (
    Message,
    ModelFailure,
    ModelRequest,
    ModelResponse,
    ModelSpec,
    Part,
    ReasoningDelta,
    ReasoningPart,
    TextDelta,
    TextPart,
    TokenUsage,
    ToolCallPart,
    canonical_json,
    plain,
)

__all__ = [
    "Reply",
    "ScriptedModel",
    "call",
    "garbled_call",
    "load_script",
    "reply",
    "scripted_from_spec",
    "steps_taken",
]

_CUT = ModelFailure(
    kind="stream", code="model_stream_cut", message="the script cut the stream here", retryable=True
)


class ScriptedModel:
    """Plays one step for each call.

    Args:
        steps: Texts, tool calls (`call("read_file", path="README.md")`), sequences of both, `Reply`s,
            whole `ModelResponse`s, failures (`ModelFailure`, any exception), or functions of the request
            that return one of these, sync or async. A single function is asked for every step.
        by_request: Pick the step by the answers that the turn already has, instead of by the calls that
            this object has had. Each turn then plays the script from its start, and a turn that another
            process takes over goes on at the right step.
        usage: What every call costs, unless its `Reply` says otherwise; None counts a token for every
            four characters of what went in and what came out.
        chunk_chars: How much text a streamed piece has.
        name: The id of the model.
    """

    def __init__(
        self,
        steps: Sequence[Step] | Callable[[ModelRequest], Any],  # a step function may return any step
        *,
        by_request: bool = False,
        usage: TokenUsage | None = None,
        chunk_chars: int = 16,
        name: str = "scripted",
        context_window_tokens: int = 128_000,
        capabilities: ModelCapabilities | None = None,
    ) -> None:
        if isinstance(steps, str):
            raise LashError("script_invalid", "the steps must be a list; a single text is [text]")
        self.provider_id = "scripted"
        self.spec = ModelSpec(id=name, context_window_tokens=context_window_tokens)
        self.capabilities = capabilities or ModelCapabilities(
            tools=True, output_schema=True, attachments=True
        )
        self.requests: list[ModelRequest] = []
        self.responses: list[ModelResponse] = []
        self.overruns = 0
        self._steps = steps if callable(steps) else tuple(steps)
        self._by_request = by_request
        self._usage = usage
        self._chunk_chars = max(1, chunk_chars)
        self._played = 0  # the number of steps that this object has reached

    @property
    def paid(self) -> TokenUsage:
        """What the answers that this object has given cost together."""
        total = TokenUsage()
        for response in self.responses:
            total += response.usage
        return total

    def planned_usage(self, first: int = 0, last: int | None = None) -> TokenUsage:
        """Return what `steps[first:last]` cost, when the script says so without being played.

        Raises:
            LashError: `script_usage_unknown` when a step's usage depends on its request.
        """
        if callable(self._steps):
            raise _usage_unknown("the script is a function")
        total = TokenUsage()
        for index, step in enumerate(self._steps[first:last], start=first):
            stated = step.usage if isinstance(step, Reply | ModelResponse) else None
            if (stated or self._usage) is None and not isinstance(step, ModelFailure | BaseException):
                raise _usage_unknown(f"step {index} states no usage; give ScriptedModel usage=…")
            if not isinstance(step, ModelFailure | BaseException):
                total += stated or self._usage or TokenUsage()
        return total

    def assert_exhausted(self) -> None:
        """Check that the script was played to its end, and not beyond.

        Raises:
            AssertionError: naming how many steps are left, or how many calls were too many.
        """
        if self.overruns:
            raise AssertionError(f"the model was called {self.overruns} times beyond the end of its script")
        if not callable(self._steps) and self._played < len(self._steps):
            raise AssertionError(f"only {self._played} of {len(self._steps)} scripted steps were played")

    async def complete(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        """Play the step that is due.

        Raises:
            ModelCallError: when the step is a failure; `script_exhausted` when no step is left.
            BaseException: when the step is an exception of another kind, that one.
        """
        # A list may go on growing after this call; any other sequence is a snapshot already.
        kept = replace(request, messages=tuple(request.messages)) if _is_list(request.messages) else request
        self.requests.append(kept)
        step = await _resolved(self._due(request), request)
        response = await self._play(step, request, sink)
        self.responses.append(response)
        return response

    async def close(self) -> None:
        """Nothing to give back."""

    def _due(self, request: ModelRequest) -> Step:
        if callable(self._steps):
            self._played += 1
            return cast("Step", self._steps)  # a function of the request is a step
        index = steps_taken(request) if self._by_request else self._played
        if index >= len(self._steps):
            self.overruns += 1
            raise ModelCallError(
                ModelFailure(
                    kind="unknown",
                    code="script_exhausted",
                    message=f"call {index + 1} of a script with {len(self._steps)} steps",
                )
            )
        self._played = max(self._played, index + 1)
        return self._steps[index]

    async def _play(self, step: Step, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        match step:
            case ModelResponse():
                await self._stream(Reply(parts=step.parts), step.parts, sink)
                return step
            case ModelFailure():
                raise ModelCallError(step)
            case BaseException():
                raise step
            case Reply():
                answer = step
            case str() | ToolCallPart() | TextPart() | ReasoningPart():
                answer = reply(step)
            case list() | tuple():
                answer = reply(*step)
            case _:
                raise LashError("script_invalid", f"a {type(step).__name__} is no step of a script")
        parts = _with_call_ids(answer.parts, request)
        await self._stream(answer, parts, sink)
        calls = any(isinstance(part, ToolCallPart) for part in parts)
        return ModelResponse(
            parts=parts,
            usage=answer.usage or self._usage or counted_usage(request, parts),
            terminal_reason=answer.terminal_reason or ("tool_use" if calls else "stop"),
            model=self.spec.id,
        )

    async def _stream(self, answer: Reply, parts: Sequence[Part], sink: StreamSink) -> None:
        """Tell `sink` of the parts piece by piece; break off where the answer says so."""
        left = answer.fail_after_chars
        pieces = 0
        for block, part in enumerate(parts):
            if not isinstance(part, TextPart | ReasoningPart):
                continue
            for start in range(0, len(part.text), self._chunk_chars):
                if answer.before_chunk is not None:
                    await answer.before_chunk(pieces)
                pieces += 1
                piece = part.text[start : start + self._chunk_chars]
                if isinstance(part, ReasoningPart):
                    sink(ReasoningDelta(text=piece, block=str(block)))
                else:
                    piece = piece if left is None else piece[:left]
                    if piece:
                        sink(TextDelta(text=piece, block=str(block)))
                    left = None if left is None else left - len(piece)
                await asyncio.sleep(0)  # a real stream lets others run between its pieces
                if left == 0:
                    raise _broken_off(answer.failure)
        if left is not None:
            raise _broken_off(answer.failure)


def counted_usage(request: ModelRequest, parts: Sequence[Part]) -> TokenUsage:
    """Return a token for every four characters begun, of the request and of the answer."""
    read = len(request.instructions) + sum(_chars(part) for m in request.messages for part in m.parts)
    return TokenUsage(
        input_tokens=-(-read // 4),
        output_tokens=-(-sum(_chars(part) for part in parts if not isinstance(part, ReasoningPart)) // 4),
        reasoning_tokens=-(-sum(len(part.text) for part in parts if isinstance(part, ReasoningPart)) // 4),
    )


def load_script(reference: str) -> ScriptedModel:
    """Return the scripted model that `"package.module:attribute"` names.

    The attribute is a `ScriptedModel`, a list of steps, or a function without parameters that returns
    either. A bare list is played by request, so that a restarted process goes on where it should.

    Raises:
        LashError: `script_invalid` when there is no such thing.
    """
    module_name, _, attribute = reference.partition(":")
    try:
        found: Any = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as problem:
        raise LashError(
            "script_invalid", f"no script at {reference!r}: {problem}. Write package.module:attribute."
        ) from problem
    if inspect.isfunction(found):
        found = found()
    if isinstance(found, ScriptedModel):
        return found
    if isinstance(found, list | tuple):
        return ScriptedModel(found, by_request=True)
    raise LashError("script_invalid", f"{reference!r} is a {type(found).__name__}, no script")


def scripted_from_spec(reference: str, _host: object = None) -> ScriptedModel:
    """Return `load_script(reference)`: the factory of the model provider `scripted`."""
    return load_script(reference)


async def _resolved(step: Step, request: ModelRequest) -> Step:
    """Ask functions for the step that they stand for."""
    while callable(step) and not isinstance(step, BaseException):
        answer = step(request)
        step = await answer if inspect.isawaitable(answer) else answer
    return step


def _with_call_ids(parts: Sequence[Part], request: ModelRequest) -> tuple[Part, ...]:
    """Name the calls that have no id, as a function of the conversation."""
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    key = request.call_key or f"answer {sum(message.role == 'assistant' for message in request.messages)}"
    named = iter(distinct_call_ids(calls, key))
    return tuple(next(named) if isinstance(part, ToolCallPart) else part for part in parts)


def _is_list(messages: Sequence[Message]) -> bool:
    return isinstance(messages, list)


def _chars(part: Part) -> int:
    match part:
        case TextPart() | ReasoningPart():
            return len(part.text)
        case ToolCallPart():
            return len(part.name) + len(part.raw_args or canonical_json(part.args))
        case _:
            return len(canonical_json(plain(part)))


def _broken_off(failure: ModelFailure | LashError | None) -> LashError:
    return failure if isinstance(failure, LashError) else ModelCallError(failure or _CUT)


def _usage_unknown(why: str) -> LashError:
    return LashError("script_usage_unknown", f"what the script costs is not known beforehand: {why}")
