"""Plugins: what an application adds to the turns of an agent, as one class with optional hooks."""

from lash.plugins.compaction import Compaction
from lash.plugins.contexts import (
    HookedCall,
    HookedResult,
    HookHost,
    PluginEvent,
    PromptContext,
    PromptContribution,
    PromptSlot,
    SessionRestored,
    TurnContext,
    TurnPersisted,
    TurnSummary,
)
from lash.plugins.continuing import ContinueAs
from lash.plugins.directives import (
    AbortTurn,
    AddMessages,
    AfterToolDirective,
    AfterTurnDirective,
    BeforeToolDirective,
    BeforeTurnDirective,
    CheckpointDirective,
    DenyCall,
    Directive,
    EnqueueTurn,
    ReplaceArgs,
    ReplaceResult,
    RequireApproval,
    ShortCircuit,
)
from lash.plugins.order import check_plugin_options, plugin_problems
from lash.plugins.plugin import Plugin, overrides
from lash.plugins.rolling import RollingHistory

__all__ = [
    "AbortTurn",
    "AddMessages",
    "AfterToolDirective",
    "AfterTurnDirective",
    "BeforeToolDirective",
    "BeforeTurnDirective",
    "CheckpointDirective",
    "Compaction",
    "ContinueAs",
    "DenyCall",
    "Directive",
    "EnqueueTurn",
    "HookHost",
    "HookedCall",
    "HookedResult",
    "Plugin",
    "PluginEvent",
    "PromptContext",
    "PromptContribution",
    "PromptSlot",
    "ReplaceArgs",
    "ReplaceResult",
    "RequireApproval",
    "RollingHistory",
    "SessionRestored",
    "ShortCircuit",
    "TurnContext",
    "TurnPersisted",
    "TurnSummary",
    "check_plugin_options",
    "overrides",
    "plugin_problems",
]
