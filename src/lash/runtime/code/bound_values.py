"""The read-only bindings of a turn: resolved when a program first names them, held by nobody afterwards.

No prompt, variable or stored frame holds the value of a binding. Its hash is recorded as an effect, so a turn
that is driven again on another value is found out instead of going on differently.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Collection

import msgspec

from lash.agents import Binding, CodeOptions
from lash.errors import LashError
from lash.runtime.attachments import SessionAttachments
from lash.runtime.code.effects_of_programs import ProgramEffects
from lash.runtime.code.projected_values import ProjectedValues
from lash.runtime.code.session_history import SessionHistory
from lash.values import Json, TurnInput, stable_hash

HISTORY = "history"


class BoundValues:
    """What programs of one turn may read by name.

    Args:
        options: The agent's bindings and resolvers.
        input: The turn's input, which may bring more.
        history: The session so far.

    Raises:
        LashError: `code_options_invalid` for a binding of the turn's that nobody resolves.
    """

    def __init__(self, options: CodeOptions, input: TurnInput | None, history: SessionHistory) -> None:
        self._options = options
        self._history = history
        self._of_turn = bindings_of(input)
        options.check(self._of_turn)
        self.bindings: dict[str, Binding] = {**options.bindings, **self._of_turn}

    @property
    def names(self) -> frozenset[str]:
        """Every name that programs may read and not assign."""
        return frozenset({HISTORY, *self.bindings})

    def lines(self) -> tuple[str, ...]:
        """Return what the model is told of the bindings that this turn brings."""
        return tuple(
            f"{name} (read-only): {binding.described()}" for name, binding in sorted(self._of_turn.items())
        )

    async def resolved(
        self, named: Collection[str], program: ProgramEffects
    ) -> tuple[dict[str, object], ProjectedValues]:
        """Return what the bindings that a program names are bound to, and what resolves its reads.

        Raises:
            LashError: `binding_unavailable` when its resolver fails or gives no JSON; `binding_changed` when
                the value is not the one that the program ran on before.
        """
        values = ProjectedValues(_fetcher(program.world.attachments))
        found: dict[str, object] = {}
        if HISTORY in named:
            found[HISTORY] = values.bind(f"{HISTORY}:{self._history.length}", self._history.items())
        for name in sorted(named & self.bindings.keys()):
            value, digest = await self._value(name, self.bindings[name], program)
            found[name] = values.bind(f"{name}:{digest[:32]}", value)
        return found, values

    async def _value(self, name: str, binding: Binding, program: ProgramEffects) -> tuple[Json, str]:
        try:
            value = await self._read(binding, program)
            digest = stable_hash(value)
        except LashError as problem:
            if problem.retryable:
                raise
            raise _unavailable(name, binding, problem.message) from problem
        except Exception as problem:  # the host's own code: contained like a tool
            raise _unavailable(name, binding, f"{type(problem).__name__}: {problem}") from problem

        async def seen() -> Json:
            return digest

        if await program.record(f"binding:{name}", seen) != digest:
            raise LashError(
                "binding_changed",
                f"`{name}` ({binding.uri}) is not what the program ran on before; give that value back to "
                "finish the turn, or cancel it",
                binding=name,
                uri=binding.uri,
            )
        return value, digest

    async def _read(self, binding: Binding, program: ProgramEffects) -> Json:
        if binding.scheme == "attachment" and "attachment" not in self._options.resolvers:
            stored = await program.world.attachments.get(binding.uri.partition(":")[2])
            return _parsed(stored.data, stored.meta.media_type)
        resolver = self._options.resolvers[binding.scheme]
        if inspect.iscoroutinefunction(resolver):
            value = await resolver(binding.uri)
        else:
            value = await asyncio.to_thread(resolver, binding.uri)  # it may read a file
            if inspect.isawaitable(value):
                value = await value
        return msgspec.to_builtins(value)


def bindings_of(input: TurnInput | None) -> dict[str, Binding]:
    """Return the bindings that a turn's input brings."""
    options = input.protocol_turn_options if input is not None else None
    given = (options or {}).get("bindings", {})
    try:
        return msgspec.convert(given, dict[str, Binding])
    except msgspec.ValidationError as problem:
        raise LashError("code_options_invalid", f"the turn's bindings cannot be read: {problem}") from problem


def _fetcher(attachments: SessionAttachments) -> Callable[[str], str]:
    """Return what fetches a stored text from the thread that computes, while the event loop stays free."""
    loop = asyncio.get_running_loop()

    async def text_of(attachment_id: str) -> str:
        return (await attachments.get(attachment_id)).data.decode()

    return lambda attachment_id: asyncio.run_coroutine_threadsafe(text_of(attachment_id), loop).result()


def _parsed(data: bytes, media_type: str) -> Json:
    if media_type.partition(";")[0].strip() in ("application/json", "text/json"):
        return json.loads(data)
    return data.decode()


def _unavailable(name: str, binding: Binding, why: str) -> LashError:
    return LashError(
        "binding_unavailable",
        f"`{name}` ({binding.uri}) could not be read: {why}",
        binding=name,
        uri=binding.uri,
    )
