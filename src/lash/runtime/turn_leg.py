"""A stretch of a turn inside one frame: one machine, asked and answered until it is done.

The machine decides, the leg does: it turns each thing that the machine asks for into an effect, lets the turn's
effects run or replay it, and feeds the outcome back.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_never

from lash.contracts import RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.budget import spent_budget
from lash.runtime.code_turns import CodeRunner, CodeTurn
from lash.runtime.compaction import Compactor
from lash.runtime.frames import FinishedLeg, OpenedFrame
from lash.runtime.hook_outcomes import PluginStopError
from lash.runtime.injections import Injections
from lash.runtime.model_calls import ModelCalls
from lash.runtime.model_hooks import ModelHooks
from lash.runtime.plugin_hooks import TurnPlugins
from lash.runtime.resident import ResidentSession
from lash.runtime.services import RuntimeServices
from lash.runtime.tool_batches import ToolBatches
from lash.runtime.tool_calls import ToolCalls
from lash.runtime.tool_hooks import ToolHooks
from lash.runtime.turn_commit import TURN_USAGE_SOURCE
from lash.runtime.turn_effects import TurnEffects
from lash.runtime.turn_hooks import TurnHooks
from lash.runtime.turn_stop import TurnCancelledError, TurnStop
from lash.turn import (
    Abandon,
    AskModel,
    CheckpointPassed,
    CodeRan,
    Done,
    Emit,
    MachineReply,
    ModelAnswered,
    Progress,
    ReachCheckpoint,
    RunCode,
    RunTools,
    StopTurn,
    SurfaceSynced,
    SyncSurface,
    ToolsProtocol,
    ToolsSettled,
    TurnConclusion,
    TurnConfig,
    TurnMachine,
    stop_of_answer,
)
from lash.values import (
    Checkpoint,
    CheckpointOutcome,
    ClaimedTurn,
    ModelFailure,
    ModelResponse,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    TokenLedgerEntry,
    TokenUsage,
    TurnInput,
    TurnIssue,
    turn_effect_key,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegParts:
    """What all legs of one turn share."""

    services: RuntimeServices
    claimed: ClaimedTurn
    effects: TurnEffects
    activities: TurnActivities
    stop: TurnStop
    injections: Injections
    attachments: SessionAttachments
    plugins: TurnPlugins
    input: TurnInput | None


class TurnLeg:
    """Drives one machine.

    Attributes:
        resident: The session as the leg shows it: another one once it has made room.

    Args:
        parts: What the turn's legs share.
        agent: The agent, with what its plugins bring.
        resident: The session as this frame shows it.
        config: The leg's terms; its turn id names messages and effects.
        frame: The frame that the leg opened, if it did.
        spent: What the legs before it have used.
        compactor: Makes room when the model says that there is none.
    """

    def __init__(
        self,
        parts: LegParts,
        agent: BoundAgent,
        resident: ResidentSession,
        config: TurnConfig,
        *,
        frame: OpenedFrame | None,
        spent: TokenUsage,
        compactor: Compactor,
    ) -> None:
        self._frames = [] if frame is None else [frame]
        self._parts = parts
        self._agent = agent
        self.resident = resident
        self._config = config
        self._spent = spent
        self._compactor = compactor
        self._effects = parts.effects
        self._stop = parts.stop
        self._turn_hooks = TurnHooks(parts.plugins)
        self._model_hooks = ModelHooks(parts.plugins)
        self._tool_hooks = ToolHooks(parts.plugins, resident)
        self.tools = ToolBatches(self._tool_calls(), self._tool_hooks)
        self.code = self._open_code()
        self._models = ModelCalls(
            parts.services, agent, resident, parts.activities, config, self._model_hooks
        )

    def _tool_calls(self) -> ToolCalls:
        parts = self._parts
        return ToolCalls(
            parts.services,
            self._agent,
            parts.activities,
            parts.attachments,
            session_id=parts.claimed.lease.session_id,
            turn_id=self._config.turn_id,
            context=None if parts.input is None else parts.input.context,
            recorded=parts.effects.recorded,
        )

    def _open_code(self) -> CodeRunner | None:
        """Return what runs the turn's programs, if its agent's protocol asks for any."""
        parts = self._parts
        if self._agent.code is None:
            return None
        return self._agent.code.open(
            CodeTurn(
                services=parts.services,
                agent=self._agent,
                claimed=parts.claimed,
                turn_id=self._config.turn_id,
                resident=self.resident,
                input=parts.input,
                activities=parts.activities,
                tools=self.tools,
                attachments=parts.attachments,
                execute=self._effects.execute,
                recorded=self._effects.recorded,
                replayed=self._effects.replayed,
                drain=self._effects.drain,
                stop=self._stop,
            )
        )

    async def run(self, *, aborted: TurnIssue | None = None) -> list[FinishedLeg]:
        """Drive the machine to its end.

        Returns:
            The leg; before it an empty one for each frame that it opened and left again.

        Args:
            aborted: Why the turn ends before it begins, if a plugin wants it to.

        Raises:
            EffectParked: An effect waits.
            LashError: What keeps the turn from being finished here.
        """
        machine = TurnMachine(self._config, ToolsProtocol() if self.code is None else self.code.protocol())
        if aborted is not None:
            machine.feed(StopTurn("plugin_abort", aborted))
        conclusion = await self._run(machine)
        left = [
            FinishedLeg(frame=frame, conclusion=TurnConclusion(turn_id=self._config.turn_id), model_keys={})
            for frame in self._frames[:-1]
        ]
        frame = self._frames[-1] if self._frames else None
        return [*left, FinishedLeg(frame=frame, conclusion=conclusion, model_keys=self._models.keys)]

    async def _run(self, machine: TurnMachine) -> TurnConclusion:
        while True:
            effect = machine.poll()
            match effect:
                case Done(conclusion=conclusion):
                    return conclusion
                case Emit(activity=activity):
                    self._parts.activities.emit(activity)
                case Progress(records=records):
                    if self.code is not None:
                        self.code.note(records)  # the commit at the end carries them
                case Abandon():
                    continue  # effects are ended where they run
                case SyncSurface(effect_id=effect_id, apply=apply):
                    machine.feed(SurfaceSynced(effect_id, self._config.surface if apply else None))
                case AskModel() | RunTools() | RunCode() | ReachCheckpoint():
                    reply = await self._answer(effect)
                    if reply is None:
                        machine.cancel()
                    else:
                        machine.feed(reply)
                case None:
                    raise AssertionError("the turn machine waits for a reply that was given")
                case _:
                    assert_never(effect)

    async def _answer(self, effect: AskModel | RunTools | RunCode | ReachCheckpoint) -> MachineReply | None:
        """Return what the machine asked for; None when the turn is cancelled first."""
        try:
            match effect:
                case AskModel():
                    return await self._ask_model(effect)
                case RunTools():
                    return await self._run_tools(effect)
                case RunCode():
                    return await self._run_code(effect)
                case ReachCheckpoint():
                    return await self._reach_checkpoint(effect)
        except TurnCancelledError:
            return None
        except PluginStopError as stopped:
            return StopTurn("plugin_abort", stopped.issue)
        except LashError as problem:
            if problem.code != "plugin_failed":
                raise
            return StopTurn("plugin_abort", TurnIssue.of("plugin", problem.record()))

    async def _ask_model(self, effect: AskModel) -> MachineReply:
        by_plugins = (entry.usage for entry in self._parts.plugins.usage)
        spent = sum(by_plugins, self._spent + self._models.usage)
        issue = spent_budget(self._agent.agent.limits, self.resident.turn_state, spent)
        if issue is not None:
            return StopTurn("budget_exhausted", issue)
        scope, replay_key = self._coordinates(
            effect.iteration, RuntimeEffectKind.LLM_CALL, str(effect.effect_id)
        )
        result = await self._model_result(effect, scope, replay_key)
        if self._overflowed(result) and await self._make_room(effect, scope):
            self._count_void(result, replay_key)
            result = await self._model_result(effect, scope, f"{replay_key}:again")
        if isinstance(result, ModelResponse):
            result = await self._model_hooks.rewritten(
                result, scope, f"{effect.effect_id}:response", self.resident
            )
            self._models.show_held_back(effect, result, replayed=replay_key in self._effects.replayed)
        return ModelAnswered(effect.effect_id, result)

    async def _model_result(
        self, effect: AskModel, scope: RuntimeScope, replay_key: str
    ) -> ModelResponse | ModelFailure:
        envelope = self._models.envelope(effect, scope, replay_key)
        executor = RuntimeEffectLocalExecutor.of(self._models.executor(effect, replay_key))
        outcome = await self._stop.race(
            self._effects.execute(envelope, executor), recorded=replay_key in self._effects.recorded
        )
        return self._models.settle(effect, replay_key, outcome, replayed=replay_key in self._effects.replayed)

    def _count_void(self, result: ModelResponse | ModelFailure, replay_key: str) -> None:
        """Count an answer that is asked for again: the machine will not hear of it."""
        if isinstance(result, ModelResponse):
            self._parts.plugins.usage.append(
                TokenLedgerEntry(
                    source=TURN_USAGE_SOURCE,
                    model=self._agent.model.spec.id,
                    usage=result.usage,
                    key=replay_key,
                )
            )

    def _overflowed(self, result: ModelResponse | ModelFailure) -> bool:
        if isinstance(result, ModelFailure):
            return result.terminal_reason == "context_overflow"
        return stop_of_answer(result, self._config.context_window_tokens) == "context_overflow"

    async def _make_room(self, effect: AskModel, scope: RuntimeScope) -> bool:
        """Compact the history once a turn, when the model has no room for it."""
        opened = await self._compactor.after_overflow(scope, f"{effect.effect_id}:compact", self.resident)
        if opened is None:
            return False
        self._frames.append(opened)
        self.resident = self.resident.entering(opened.frame_id, opened.seeds)
        self._models.look_at(self.resident)
        return True

    async def _run_tools(self, effect: RunTools) -> MachineReply:
        scope, parent_key = self._coordinates(
            effect.iteration, RuntimeEffectKind.TOOL_CALL, str(effect.effect_id)
        )
        batch = await self.tools.prepare(effect, scope, parent_key)
        recorded = self._effects.recorded
        if any(call.effect == "idempotent" for call in batch.prepared):
            # The keys of these calls come from the model's answer: it must be on disk before they are used.
            await self._effects.drain()
        if self._stop.requested:
            await self.tools.withdraw(batch, recorded)
            if batch.replay_keys and not any(key in recorded for key in batch.replay_keys):
                raise TurnCancelledError
        running = asyncio.ensure_future(
            self.tools.settle(
                batch,
                self._effects.execute,
                self._effects.replayed,
                recorded,
                only_recorded=self._stop.requested,
            )
        )
        results = await self._stop.with_grace(running, self.tools.cancel, self.tools.interrupt)
        replayed = tuple(
            call_id for call_id, one in batch.envelopes.items() if one.replay_key in self._effects.replayed
        )
        return ToolsSettled(effect.effect_id, results, replayed)

    async def _run_code(self, effect: RunCode) -> MachineReply:
        if self.code is None:
            raise LashError(
                "code_executor_missing",
                f"turn {self._config.turn_id!r} asks to run code, and its agent has no code protocol",
                turn_id=self._config.turn_id,
                effect_id=effect.effect_id,
            )
        scope, replay_key = self._coordinates(
            effect.iteration, RuntimeEffectKind.EXEC_CODE, str(effect.effect_id)
        )
        running = asyncio.ensure_future(self.code.run(effect, scope, replay_key))
        result = await self._stop.with_grace(running, self.tools.cancel, self.code.interrupt)
        return CodeRan(effect.effect_id, result)

    async def _reach_checkpoint(self, effect: ReachCheckpoint) -> MachineReply:
        injections = self._parts.injections
        effect_id = self._checkpoint_id(effect.effect_id)
        hooked = self._turn_hooks.has_checkpoints or self._tool_hooks.holds_messages
        is_left_out = effect_id.isdigit() and self._effects.leaves_empty_checkpoints_out
        if injections.finds_nothing and not hooked and is_left_out:
            return CheckpointPassed(effect.effect_id)  # an empty checkpoint leaves no line, see LeasedEffects
        scope, replay_key = self._coordinates(effect.iteration, RuntimeEffectKind.CHECKPOINT, effect_id)
        added = await self._turn_hooks.checkpoint(
            effect.kind, scope, f"{effect.effect_id}:checkpoint", self.resident
        )
        held = self._tool_hooks.take_messages()
        envelope = RuntimeEffectEnvelope(
            RuntimeInvocation.effect(scope, effect_id, RuntimeEffectKind.CHECKPOINT, replay_key),
            Checkpoint(checkpoint=effect.kind),
        )

        async def deliver(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            delivery = await injections.take(effect_id)
            return CheckpointOutcome(delivery=self._turn_hooks.delivered(delivery, replay_key, held, added))

        outcome = await self._effects.execute(envelope, RuntimeEffectLocalExecutor.of(deliver))
        assert isinstance(outcome, CheckpointOutcome), "a checkpoint answers with its delivery"
        injections.enter(effect_id, outcome.delivery, self._parts.activities)
        return CheckpointPassed(effect.effect_id, outcome.delivery)

    def _checkpoint_id(self, effect_id: int) -> str:
        """Name a checkpoint among all of the turn's: numbers begin anew in each frame.

        Only those of the first frame may leave no line when they are empty: their numbers tell what came later.
        """
        if self._config.turn_id == self._parts.claimed.turn_id:
            return str(effect_id)
        return f"{self._config.turn_id}:{effect_id}"

    def _coordinates(
        self, iteration: int, kind: RuntimeEffectKind, effect_id: str
    ) -> tuple[RuntimeScope, str]:
        scope = RuntimeScope(
            session_id=self._parts.claimed.lease.session_id,
            turn_id=self._config.turn_id,
            turn_index=self.resident.turn_state.turn_index,
            protocol_iteration=iteration,
        )
        return scope, turn_effect_key(scope, kind, effect_id)
