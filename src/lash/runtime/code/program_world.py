"""What programs act in: a turn, or a process. The one thing that the effects of programs know of either."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from lash.runtime.attachments import SessionAttachments
from lash.runtime.code_turns import CodeTurn
from lash.runtime.services import RuntimeServices
from lash.runtime.tool_batches import ToolBatches
from lash.runtime.tool_calls import ExecuteEffect
from lash.turn import RunCode
from lash.values import CausalRef, CausedByEffect, EffectScope, ProcessScope, RuntimeScope


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramWorld:
    """Where a program runs.

    Attributes:
        effect_scope: What its effects belong to.
        runtime_scope: The coordinates that they carry.
        owner: Who sees the processes that it starts.
        host_profile: Which runtimes may run those.
        caused_by: What its commands come from.
        tools: Runs tool calls, through the pipeline that all calls go through.
        execute: Runs or replays one effect.
        recorded: Keys of the effects that were recorded before.
        replayed: Keys of the effects that came from the journal; filled by `execute`.
        drain: Returns once every outcome so far is durable.
        stop_requested: Whether the turn or process is to end.
    """

    services: RuntimeServices
    effect_scope: EffectScope
    runtime_scope: RuntimeScope
    owner: ProcessScope
    host_profile: str
    caused_by: CausalRef | None
    tools: ToolBatches
    attachments: SessionAttachments
    execute: ExecuteEffect
    recorded: Collection[str]
    replayed: Collection[str]
    drain: Callable[[], Awaitable[None]]
    stop_requested: Callable[[], bool]


def turn_world(turn: CodeTurn, scope: RuntimeScope, effect: RunCode) -> ProgramWorld:
    """Return the world of a program of a turn."""
    session_id = turn.claimed.lease.session_id
    return ProgramWorld(
        services=turn.services,
        effect_scope=EffectScope.turn(session_id, turn.claimed.turn_id),
        runtime_scope=scope,
        owner=ProcessScope(session_id=session_id),
        host_profile=f"agent:{turn.agent.name}",
        caused_by=CausedByEffect(session_id, str(effect.effect_id), turn.claimed.turn_id),
        tools=turn.tools,
        attachments=turn.attachments,
        execute=turn.execute,
        recorded=turn.recorded,
        replayed=turn.replayed,
        drain=turn.drain,
        stop_requested=lambda: turn.stop.requested,
    )
