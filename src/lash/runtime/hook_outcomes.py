"""What becomes of a hook: a directive that is recorded, a stop of the turn, a failure that names the plugin."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar, get_args

import msgspec

from lash.effects import is_recorded
from lash.errors import LashError
from lash.plugins import Plugin
from lash.values import Json, TurnIssue, plain

T = TypeVar("T")


def plugin_failed(plugin_id: str, hook: str, problem: BaseException) -> LashError:
    """Return the error of a turn that a plugin has failed."""
    text = problem.message if isinstance(problem, LashError) else f"{type(problem).__name__}: {problem}"
    return LashError(
        "plugin_failed", f"plugin {plugin_id} failed in {hook}: {text}", plugin=plugin_id, hook=hook
    )


async def contained(plugin: Plugin, hook: str, work: Awaitable[T]) -> T:
    """Return what a hook gives.

    Raises:
        LashError: `plugin_failed` for what the plugin raises; the world's own failures as they are.
    """
    try:
        return await work
    except Exception as problem:
        if isinstance(problem, LashError) and (problem.code == "plugin_failed" or not is_recorded(problem)):
            raise
        raise plugin_failed(plugin.id, hook, problem) from problem


class PluginStopError(Exception):
    """A plugin ends the turn. Never leaves the driver."""

    def __init__(self, issue: TurnIssue) -> None:
        super().__init__(issue.message)
        self.issue = issue


def said_directive(plugin: Plugin, hook: str, directive: object, kinds: Any) -> Json:
    """Return a directive as it is recorded.

    Args:
        plugin: Who gives it.
        hook: In which phase.
        directive: What the hook returned.
        kinds: The union of what the phase allows.

    Raises:
        LashError: `plugin_failed` for a directive that the phase does not allow.
    """
    if directive is None:
        return None
    if not isinstance(directive, kinds):
        allowed = ", ".join(one.__name__ for one in get_args(kinds) or (kinds,))
        problem = f"it returned {directive!r}, and this phase allows only {allowed}"
        raise LashError(
            "plugin_failed", f"plugin {plugin.id} failed in {hook}: {problem}", plugin=plugin.id, hook=hook
        )
    return plain(directive)


def read_directive(said: Json, kinds: Any) -> Any:
    """Return a recorded directive; None for none."""
    return None if said is None else msgspec.convert(said, kinds)
