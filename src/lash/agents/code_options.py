"""How an agent that works in programs is set up (`protocol="code"`)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lash.errors import LashError
from lash.values import Json, Record, plain

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

Resolver = Callable[[str], Any | Awaitable[Any]]
"""Gives the value of a reference, sync or async: anything that is JSON. Called with the whole URI."""


class Binding(Record, frozen=True, kw_only=True):
    """A value of the host's that programs may read by name, and that no prompt, variable or stored frame holds.

    Attributes:
        uri: Where it is. The part before the first colon chooses who resolves it: `attachment:` is built in,
            the others are the agent's `CodeOptions.resolvers`.
        type: What it is, in the language's own words, for the model: `list[{ id: int, name: str }]`.
        preview: A glimpse for the model; empty for none.
    """

    uri: str
    type: str = "any"
    preview: str = ""

    @classmethod
    def ref(cls, uri: str, *, type: str = "any", preview: str = "") -> Binding:
        """Return a binding of the value at `uri`."""
        return cls(uri=uri, type=type, preview=preview)

    @property
    def scheme(self) -> str:
        return self.uri.partition(":")[0]

    def described(self) -> str:
        """Return what the model is told of it."""
        return f"{self.type}; {self.preview}" if self.preview else self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeOptions:
    """What programs of an agent may rely on, and how they end a turn.

    Attributes:
        termination: `"submit_required"`: only `submit` ends a turn. `"prose_or_submit"`: an answer without a
            program does as well. None: `submit` is required where the agent has a typed output.
        bindings: Read-only values by name, beside those that a turn brings.
        resolvers: Who gives the value of a binding, by the scheme of its URI.

    Raises:
        LashError: `code_options_invalid`, naming the binding and the cure.
    """

    termination: Literal["prose_or_submit", "submit_required"] | None = None
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    resolvers: Mapping[str, Resolver] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check(self.bindings)

    def check(self, bindings: Mapping[str, Binding]) -> None:
        """Refuse bindings that programs could not name, or that nobody resolves.

        Raises:
            LashError: `code_options_invalid`.
        """
        for name, binding in bindings.items():
            problem = self._problem(name, binding)
            if problem:
                raise LashError("code_options_invalid", f"binding {name!r}: {problem}", binding=name)

    def _problem(self, name: str, binding: Binding) -> str | None:
        if not _NAME.match(name) or name == "history":
            return "it needs a name of letters, digits and `_` that is not `history`"
        if binding.scheme != "attachment" and binding.scheme not in self.resolvers:
            known = ", ".join(["attachment", *self.resolvers])
            return (
                f"nobody resolves {binding.uri!r}: give CodeOptions(resolvers={{{binding.scheme!r}: …}}); "
                f"there are {known}"
            )
        return None


def turn_options(bindings: Mapping[str, Binding]) -> dict[str, Json]:
    """Return bindings as `TurnInput.protocol_turn_options` carries them."""
    return {"bindings": {name: plain(one) for name, one in bindings.items()}}
