"""The course of one turn: plugins first, then one leg for each frame that it passes through, then plugins again.

A turn that goes on in another frame (`continue_as`, compaction) is one turn for its user: its legs share one scope
of effects and are committed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lash.contracts import RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.plugins import SessionRestored, TurnPersisted, TurnSummary
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent, merged_input
from lash.runtime.compaction import Compactor
from lash.runtime.frames import (
    FinishedLeg,
    OpenedFrame,
    drafts_of_nodes,
    joined,
    leg_turn_id,
    seed_messages,
)
from lash.runtime.hook_outcomes import PluginStopError
from lash.runtime.injections import Injections
from lash.runtime.plugin_hooks import TurnPlugins
from lash.runtime.resident import ResidentSession
from lash.runtime.services import RuntimeServices
from lash.runtime.turn_approvals import withdraw_open
from lash.runtime.turn_commit import TurnOutcome
from lash.runtime.turn_effects import TurnEffects
from lash.runtime.turn_hooks import TurnHooks
from lash.runtime.turn_leg import LegParts, TurnLeg
from lash.runtime.turn_stop import TurnCancelledError, TurnStop
from lash.runtime.wakes import turn_causes
from lash.turn import MessageDraft, TurnConclusion, TurnConfig
from lash.values import (
    ClaimedTurn,
    FrameOpened,
    Json,
    MessageOrigin,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    StopReason,
    SurfaceSync,
    SyncExecutionSurface,
    SyncExecutionSurfaceOutcome,
    TokenUsage,
    TurnInput,
    TurnInputPayload,
    TurnIssue,
    TurnReceipt,
    turn_effect_key,
)

_FRAMES_MAX = 16  # frames a turn may open one after the other: a model that only ever starts over is stopped


COMPACTION_OPTION = "compaction"  # in a turn input's protocol options: compact, and nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a leg begins.

    Attributes:
        resident: The session as its frame shows it.
        frame: The frame that is opened for it, if one is.
        added: What plugins put behind the turn's input.
        task: What the leg is to do, where it is not the turn's input.
        aborted: Why it must not begin.
    """

    resident: ResidentSession
    frame: OpenedFrame | None = None
    added: tuple[MessageDraft, ...] = ()
    task: str = ""
    aborted: TurnIssue | None = None


class TurnCourse:
    """Takes one claimed turn from its input to what its commit is made of. Use it once.

    Args:
        services: What all drivers share.
        agent: Whose turn it is.
        claimed: The claim.
        resident: The session as committed; left as it is.
        effects, activities, stop, injections, attachments: What the driver holds for the turn.
    """

    def __init__(
        self,
        services: RuntimeServices,
        agent: BoundAgent,
        claimed: ClaimedTurn,
        resident: ResidentSession,
        effects: TurnEffects,
        activities: TurnActivities,
        stop: TurnStop,
        injections: Injections,
        attachments: SessionAttachments,
    ) -> None:
        self._agent = agent
        self._claimed = claimed
        self._resident = resident
        self._activities = activities
        self._input = _input_of(claimed)
        self._plugins = TurnPlugins(services, agent, effects, activities, resident, self._input, stop)
        self._hooks = TurnHooks(self._plugins)
        self._compactor = Compactor(self._plugins, activities)
        self._parts = LegParts(
            services=services,
            claimed=claimed,
            effects=effects,
            activities=activities,
            stop=stop,
            injections=injections,
            attachments=attachments,
            plugins=self._plugins,
            input=self._input,
        )
        self._attachment_ids: set[str] = set()
        self._begun: dict[str, BoundAgent] = {}  # the agent of each leg, by the leg's turn id
        self._execution_state: bytes | None = None

    async def run(self) -> TurnOutcome:
        """Return what the turn comes to.

        Raises:
            EffectParked: The turn waits.
            LashError: What keeps the turn from being finished here.
        """
        if self._resident.revision > 0:
            await self._plugins.tell(
                SessionRestored(
                    session_id=self._resident.session_id,
                    turn_id=self._claimed.turn_id,
                    restarts=self._claimed.restarts,
                )
            )
        legs = await self._legs()
        conclusion = joined(legs, self._claimed.turn_id)
        conclusion = await self._past_after_hooks(conclusion)
        if conclusion.stop is not None:
            waits = self._parts.services.database.durable_waits
            await withdraw_open(waits, self._resident.session_id, self._claimed.turn_id)
        return TurnOutcome(
            legs=tuple(legs),
            conclusion=conclusion,
            completions=self._parts.injections.completions(),
            effects=self._parts.effects.take_unwritten(),
            attachment_ids=tuple(sorted(self._attachment_ids)),
            execution_state=self._execution_state,
            plugin_states=self._plugins.changed_states(),
            plugin_options=self._plugins.options,
            plugin_usage=tuple(self._plugins.usage),
        )

    async def tell_committed(self, receipt: TurnReceipt) -> None:
        """Tell the plugins that the turn is committed."""
        await self._plugins.tell(
            TurnPersisted(
                session_id=self._resident.session_id,
                turn_id=receipt.turn_id,
                head_revision=receipt.head_revision,
                stop=receipt.stop,
            )
        )

    async def _legs(self) -> list[FinishedLeg]:
        """Run leg after leg until one ends without a switch."""
        opening = await self._opening()
        if isinstance(opening, FinishedLeg):
            return [opening]
        legs: list[FinishedLeg] = []
        for at in range(_FRAMES_MAX + 1):
            leg, aborted = await self._leg(at, opening, legs)
            legs += await leg.run(aborted=aborted)
            self._attachment_ids.update(leg.tools.attachment_ids(self._input))
            self._execution_state = None if leg.code is None else leg.code.execution_state()
            following = self._following(leg, legs)
            if following is None:
                return legs
            opening = following
        legs[-1] = _stopped(legs[-1], "max_turns", _too_many_frames())
        return legs

    async def _leg(
        self, at: int, opening: Opening, legs: Sequence[FinishedLeg]
    ) -> tuple[TurnLeg, TurnIssue | None]:
        """Return the next leg, and why it must not begin if a plugin will not have it."""
        turn_id = leg_turn_id(self._claimed.turn_id, at)
        agent, surface, aborted = self._agent, self._agent.surface, opening.aborted
        try:
            agent = self._plugins.extended_agent()
            surface = await self._surface(agent, turn_id, pinned=len(self._plugins) > 0)
            self._begun[turn_id] = agent
        except LashError as problem:
            if problem.code != "plugin_failed":
                raise
            aborted = aborted or TurnIssue.of("plugin", problem.record())
        config = self._config(agent, turn_id, opening, legs, surface)
        leg = TurnLeg(
            self._parts,
            agent,
            opening.resident,
            config,
            frame=opening.frame,
            spent=sum((one.conclusion.usage for one in legs), TokenUsage()),
            compactor=self._compactor,
        )
        return leg, aborted

    def _following(self, leg: TurnLeg, legs: list[FinishedLeg]) -> Opening | None:
        """Return what the turn goes on with in another frame; None when it is over."""
        switch = legs[-1].conclusion.switch
        if switch is None or not switch.frame_id.strip() or switch.frame_id == leg.resident.frame_id:
            return None
        try:
            seeds = seed_messages(switch.frame_id, drafts_of_nodes(switch.initial_nodes))
        except LashError as problem:
            legs[-1] = _stopped(legs[-1], "tool_failure", TurnIssue.of("tool", problem.record()))
            return None
        frame = OpenedFrame(frame_id=switch.frame_id, reason="continue_as", seeds=seeds)
        self._activities.emit(FrameOpened(frame_id=frame.frame_id, reason=frame.reason))
        return Opening(
            resident=leg.resident.entering(frame.frame_id, seeds, switch.variables),
            frame=frame,
            task=switch.task or "",
        )

    async def _opening(self) -> FinishedLeg | Opening:
        """Ask the plugins before the first leg: where it begins, with what, and whether at all."""
        scope = self._scope(self._claimed.turn_id)
        opening = Opening(resident=self._resident)
        try:
            if self._plugins.failure is not None:
                raise self._plugins.failure
            request = _compaction_request(self._input)
            if request is not None:
                return await self._compacted_only(scope, request.get("focus"))
            frame = await self._compactor.before_turn(scope, self._resident)
            if frame is not None:
                inside = self._resident.entering(frame.frame_id, frame.seeds)
                opening = Opening(resident=inside, frame=frame)
            added = await self._hooks.before_turn(scope, opening.resident)
            return replace(opening, added=added.messages)
        except PluginStopError as stopped:
            return replace(opening, aborted=stopped.issue)
        except TurnCancelledError:
            return opening  # the leg finds out at its first effect
        except LashError as problem:
            if problem.code != "plugin_failed":
                raise
            return replace(opening, aborted=TurnIssue.of("plugin", problem.record()))

    async def _compacted_only(self, scope: RuntimeScope, focus: str | None) -> FinishedLeg:
        """Return the whole of a turn that is there to compact the history, and for nothing else."""
        frame = await self._compactor.on_request(scope, self._resident, focus)
        conclusion = TurnConclusion(turn_id=self._claimed.turn_id, output=frame is not None, has_output=True)
        return FinishedLeg(frame=frame, conclusion=conclusion, model_keys={})

    async def _past_after_hooks(self, conclusion: TurnConclusion) -> TurnConclusion:
        """Show the end of the turn to the plugins; what goes wrong there is an issue of the turn."""
        if not self._plugins.overriding("after_turn"):
            return conclusion
        summary = TurnSummary(
            turn_id=conclusion.turn_id,
            text=conclusion.text,
            stop=conclusion.stop,
            usage=conclusion.usage,
            tool_calls=conclusion.tool_calls,
            issues=conclusion.issues,
            messages=conclusion.messages,
        )
        try:
            await self._hooks.after_turn(
                self._parts.services,
                summary,
                self._scope(self._claimed.turn_id),
                self._resident,
                self._agent.name,
            )
        except LashError as problem:
            if problem.code != "plugin_failed":
                raise
            issue = TurnIssue.of("plugin", problem.record())
            return conclusion.replace(issues=(*conclusion.issues, issue))
        return conclusion

    async def pin(self) -> None:
        """Record what the turn has offered its model so far, before it is parked.

        It may be taken up days later, by a program whose instructions and tools have been worked on since: what
        was asked before must be asked again in the same words to be found in the journal.
        """
        for turn_id, agent in self._begun.items():
            await self._surface(agent, turn_id, pinned=True)

    async def _surface(self, agent: BoundAgent, turn_id: str, *, pinned: bool) -> SurfaceSync:
        """Return the tools and instructions of a leg, as they are recorded if they are."""
        scope = self._scope(turn_id)
        key = turn_effect_key(scope, RuntimeEffectKind.SYNC_EXECUTION_SURFACE, "1")
        if not pinned and key not in self._parts.effects.recorded:
            return agent.surface

        async def look(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            return SyncExecutionSurfaceOutcome(sync=agent.surface)

        outcome = await self._parts.effects.execute(
            RuntimeEffectEnvelope(
                RuntimeInvocation.effect(scope, "1", RuntimeEffectKind.SYNC_EXECUTION_SURFACE, key),
                SyncExecutionSurface(update_machine_config=False),
            ),
            RuntimeEffectLocalExecutor.of(look),
        )
        assert isinstance(outcome, SyncExecutionSurfaceOutcome), "a sync answers with what it found"
        return outcome.sync or agent.surface

    def _config(
        self,
        agent: BoundAgent,
        turn_id: str,
        opening: Opening,
        legs: Sequence[FinishedLeg],
        surface: SurfaceSync,
    ) -> TurnConfig:
        """Return the terms of a leg: the turn's own for the first, what is left of them for those after it."""
        config = agent.turn_config(turn_id, self._input, turn_causes(self._claimed.work.batches))
        if not legs:
            own = () if _compaction_request(self._input) is not None else config.input
            return replace(config, surface=surface, input=(*own, *opening.added))
        used = sum(one.conclusion.model_calls for one in legs)
        left = None if config.max_turns is None else max(1, config.max_turns - used)
        origin = MessageOrigin(kind="continue_as", source_id=legs[-1].conclusion.turn_id)
        task = (MessageDraft.text("user", opening.task, origin),) if opening.task else ()
        return replace(config, surface=surface, input=task, causes=(), max_turns=left)

    def _scope(self, turn_id: str) -> RuntimeScope:
        return RuntimeScope(
            session_id=self._resident.session_id,
            turn_id=turn_id,
            turn_index=self._resident.turn_state.turn_index,
            protocol_iteration=0,
        )


def _input_of(claimed: ClaimedTurn) -> TurnInput | None:
    return merged_input(
        [
            payload.input
            for batch in claimed.work.batches
            for payload in batch.payloads
            if isinstance(payload, TurnInputPayload)
        ]
    )


def _compaction_request(input_: TurnInput | None) -> dict[str, Json] | None:
    """Return what a turn asks for that is there to compact the history; None for any other turn."""
    options = None if input_ is None else input_.protocol_turn_options
    request = None if options is None else options.get(COMPACTION_OPTION)
    return request if isinstance(request, dict) else None


def _stopped(leg: FinishedLeg, stop: StopReason, issue: TurnIssue) -> FinishedLeg:
    ended = leg.conclusion.replace(stop=stop, issues=(*leg.conclusion.issues, issue), switch=None)
    return replace(leg, conclusion=ended)


def _too_many_frames() -> TurnIssue:
    return TurnIssue(
        kind="frames",
        code="agent_frames_exhausted",
        message=f"the turn opened {_FRAMES_MAX} frames one after the other and was stopped",
    )
