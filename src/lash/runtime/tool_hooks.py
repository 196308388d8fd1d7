"""Hooks around tool calls: before a call is frozen, and when the calls of its answer have ended.

Both phases run call by call in call order, whatever the order in which the calls end, so that what plugins keep of
them is the same whenever the turn is driven.
"""

from __future__ import annotations

from dataclasses import dataclass

from lash.errors import LashError
from lash.plugins import (
    AbortTurn,
    AddMessages,
    AfterToolDirective,
    BeforeToolDirective,
    DenyCall,
    HookedCall,
    HookedResult,
    Plugin,
    ReplaceArgs,
    ReplaceResult,
    RequireApproval,
    ShortCircuit,
    TurnContext,
)
from lash.runtime.hook_outcomes import PluginStopError, plugin_failed, read_directive, said_directive
from lash.runtime.plugin_hooks import Said, TurnPlugins
from lash.runtime.resident import ResidentSession
from lash.tools import failed_call
from lash.turn import MessageDraft
from lash.values import (
    CompletedToolCall,
    Json,
    MessageOrigin,
    RuntimeScope,
    ToolCallPart,
    TurnIssue,
    plain,
    stable_hash,
)


@dataclass(frozen=True, slots=True)
class HookedThrough:
    """A call that has been past the before-hooks.

    Attributes:
        call: With the arguments that it is to run with.
        result: What stands for its result, if it is not to run.
        approval_reason: Why a person must agree to it, if a plugin wants one to.
    """

    call: ToolCallPart
    result: CompletedToolCall | None = None
    approval_reason: str | None = None


class ToolHooks:
    """Runs the phases of tool calls.

    Args:
        plugins: Whose hooks they are.
        resident: The session as the turn sees it.
    """

    def __init__(self, plugins: TurnPlugins, resident: ResidentSession) -> None:
        self._plugins = plugins
        self._resident = resident
        self._before = bool(plugins.overriding("before_tool"))
        self._after = list(
            dict.fromkeys((*plugins.overriding("after_tool"), *plugins.overriding("project_result")))
        )
        self._messages: list[MessageDraft] = []
        self._transient: list[MessageDraft] = []

    @property
    def may_change_results(self) -> bool:
        """Whether a result is not what it is before the after-hooks have seen it."""
        return bool(self._after)

    @property
    def holds_messages(self) -> bool:
        """Whether the next checkpoint has something to deliver."""
        return bool(self._messages or self._transient)

    def take_messages(self) -> AddMessages:
        """Return what the after-hooks want the next checkpoint to deliver, once."""
        held = AddMessages(messages=tuple(self._messages), transient=tuple(self._transient))
        self._messages, self._transient = [], []
        return held

    async def before(self, call: ToolCallPart, scope: RuntimeScope, effect_id: str) -> HookedThrough:
        """Take a call past the before-hooks.

        Raises:
            PluginStopError: A plugin ends the turn.
            TurnCancelledError: The turn is cancelled.
        """
        if not self._before or call.raw_args is not None:
            return HookedThrough(call)

        async def ask(plugin: Plugin, turn: TurnContext, said: Said) -> Json:
            hooked = HookedCall(call_id=call.call_id, tool=call.name, args=_args_after(call, said))
            return said_directive(
                plugin, "before_tool", await plugin.before_tool(turn, hooked), BeforeToolDirective
            )

        said = await self._plugins.phase(
            "before_tool",
            scope,
            f"{effect_id}:before:{call.call_id}",
            self._resident,
            {"call": plain(call)},
            ask,
        )
        return _through(call, said)

    async def after(
        self, call: ToolCallPart, result: CompletedToolCall, scope: RuntimeScope, effect_id: str
    ) -> CompletedToolCall:
        """Return a result as the hooks leave it. In a cancelled turn nobody is asked any more.

        Raises:
            PluginStopError: A plugin ends the turn.
        """
        if not self._after:
            return result
        hooked = HookedCall(call_id=call.call_id, tool=call.name, args=call.args)

        async def ask(plugin: Plugin, turn: TurnContext, said: Said) -> Json:
            seen = _seen(result, _content_after(result, said))
            directive = said_directive(
                plugin, "after_tool", await plugin.after_tool(turn, hooked, seen), AfterToolDirective
            )
            if isinstance(read := read_directive(directive, AfterToolDirective), ReplaceResult):
                seen = _seen(result, read.content)
            try:
                shown = plugin.project_result(hooked, seen)
                plain(shown)
            except Exception as problem:
                raise plugin_failed(plugin.id, "project_result", problem) from problem
            if shown == _content_after(result, said) and directive is None:
                return None
            return {"directive": directive, "content": shown}

        said = await self._plugins.phase(
            "after_tool",
            scope,
            f"{effect_id}:after:{call.call_id}",
            self._resident,
            {"call_id": call.call_id, "result": stable_hash(result)},
            ask,
            plugins=self._after,
            cut_short=True,
        )
        self._hold(said)
        return result.replace(content=_content_after(result, said))

    def _hold(self, said: Said) -> None:
        for plugin_id, one in said.items():
            match read_directive(one["directive"], AfterToolDirective):
                case AbortTurn(code=code, message=message):
                    raise PluginStopError(
                        TurnIssue(kind="plugin", code=code, message=message, facts={"plugin": plugin_id})
                    )
                case AddMessages(messages=messages, transient=transient):
                    origin = MessageOrigin(kind="plugin", source_id=plugin_id)
                    self._messages += [one.replace(origin=one.origin or origin) for one in messages]
                    self._transient += [one.replace(origin=one.origin or origin) for one in transient]
                case _:
                    pass


def _seen(result: CompletedToolCall, content: Json) -> HookedResult:
    code = None if result.error is None else result.error.code
    return HookedResult(content=content, is_error=result.is_error, error_code=code)


def _args_after(call: ToolCallPart, said: Said) -> dict[str, Json]:
    args = call.args
    for one in said.values():
        if isinstance(directive := read_directive(one, BeforeToolDirective), ReplaceArgs):
            args = directive.args
    return args


def _content_after(result: CompletedToolCall, said: Said) -> Json:
    content = result.content
    for one in said.values():
        content = one["content"]
    return content


def _through(call: ToolCallPart, said: Said) -> HookedThrough:
    """Return what the directives of all plugins come to: the strictest holds (runtime 6.2)."""
    directives = {id_: read_directive(one, BeforeToolDirective) for id_, one in said.items()}
    replaced = call.replace(args=_args_after(call, said))
    for plugin_id, one in directives.items():
        if isinstance(one, AbortTurn):
            raise PluginStopError(
                TurnIssue(
                    kind="plugin",
                    code=one.code,
                    message=one.message,
                    call_id=call.call_id,
                    facts={"plugin": plugin_id},
                )
            )
    for one in directives.values():
        if isinstance(one, DenyCall):
            denied = LashError("tool_denied", f"{call.name} was not run: {one.reason}")
            return HookedThrough(replaced, failed_call(call.call_id, call.name, denied, attempts=0))
    for one in directives.values():
        if isinstance(one, ShortCircuit):
            return HookedThrough(replaced, _short_circuited(call, one))
    reasons = [one.reason for one in directives.values() if isinstance(one, RequireApproval)]
    return HookedThrough(replaced, approval_reason="; ".join(filter(None, reasons)) if reasons else None)


def _short_circuited(call: ToolCallPart, directive: ShortCircuit) -> CompletedToolCall:
    if directive.is_error:
        error = LashError("tool_short_circuited", str(directive.content))
        failed = failed_call(call.call_id, call.name, error, attempts=0)
        return failed.replace(content=directive.content)
    return CompletedToolCall(call_id=call.call_id, tool_name=call.name, content=directive.content, attempts=0)
