"""Drives one claimed turn from where it stands to its commit.

The machine decides, the driver does: it turns each thing that the machine asks for into an effect, lets the
controller run or replay it, and feeds the outcome back. At the end everything that the turn changed goes
into one commit. A driver may be killed at any instruction: the next one is handed the journal and asks the
same machine the same questions.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_never

from lash.contracts import (
    EffectParked,
    RuntimeEffectController,
    RuntimeEffectLocalExecutor,
    RuntimePersistence,
)
from lash.effects import LeasedEffects
from lash.errors import LashError
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent, merged_input
from lash.runtime.budget import spent_budget
from lash.runtime.code_turns import CodeRunner, CodeTurn
from lash.runtime.injections import Injections
from lash.runtime.model_calls import ModelCalls
from lash.runtime.resident import ResidentSession
from lash.runtime.services import RuntimeServices
from lash.runtime.tool_batches import ToolBatches
from lash.runtime.tool_calls import ToolCalls
from lash.runtime.turn_commit import commit_turn
from lash.runtime.turn_stop import TurnCancelledError, TurnStop
from lash.runtime.wakes import turn_causes
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
    TurnMachine,
)
from lash.values import (
    Checkpoint,
    CheckpointOutcome,
    ClaimedTurn,
    EffectScope,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    TurnActivity,
    TurnFinished,
    TurnInputPayload,
    TurnParked,
    TurnReceipt,
    TurnStarted,
    turn_effect_key,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivenTurn:
    """A committed turn, as its driver saw it."""

    receipt: TurnReceipt
    conclusion: TurnConclusion
    replayed: tuple[str, ...] = ()  # keys of the effects that came from the journal


@dataclass(frozen=True, slots=True)
class ParkedTurn:
    """A turn that waits: all that could be done is done, and every outcome is recorded."""

    wait_keys: tuple[str, ...]


class TurnDriver:
    """One turn on its way to its commit.

    Args:
        services: What all drivers share.
        agent: Whose turn it is.
        claimed: The claim: lease, input, journal.
        resident: The session's state; brought up to date here, and to the new revision by the commit.
        persistence: The session's durable state.
        nothing_waits: Whether the claim has seen that no other work of the session could enter the turn.
    """

    def __init__(
        self,
        services: RuntimeServices,
        agent: BoundAgent,
        claimed: ClaimedTurn,
        resident: ResidentSession,
        persistence: RuntimePersistence,
        *,
        nothing_waits: bool = False,
    ) -> None:
        self.claimed = claimed
        self._services = services
        self._agent = agent
        self._resident = resident
        self._persistence = persistence
        self._stop = TurnStop(requested=claimed.cancel_requested)
        self._activities = TurnActivities(services.bus, claimed.lease.session_id, claimed.turn_id)
        self._scope = EffectScope.turn(claimed.lease.session_id, claimed.turn_id)
        self._read_journal(claimed)
        self._attachments = SessionAttachments(
            claimed.lease.session_id,
            manifest=persistence,
            store=services.database.attachment_store,
            clock=services.clock,
        )
        self._injections = Injections(services, claimed, nothing_waits=nothing_waits)

    def _read_journal(self, claimed: ClaimedTurn) -> None:
        self._recorded = {record.identity.replay_key for record in claimed.journal}
        self._leased = LeasedEffects(
            self._scope,
            self._services.database.effect_journal,
            lease=claimed.lease,
            recorded=claimed.journal,
        )

    @property
    def _controller(self) -> RuntimeEffectController:
        host = self._services.effect_host
        return self._leased if host is None else host.scoped(self._scope).controller

    def cancel(self) -> None:
        """Ask the turn to end at once; it is committed with what it has done."""
        self._stop.request()

    def note_change(self) -> None:
        """Something of the session has changed: input may wait for the next checkpoint."""
        self._injections.expect()

    def publish(self, activity: TurnActivity) -> None:
        """Show something to whoever watches the turn."""
        self._activities.emit(activity)

    async def save(self) -> None:
        """Return once everything that is known of the turn's effects is durable."""
        await self._leased.drain()

    def adopt_lease(self, claimed: ClaimedTurn) -> None:
        """Go on under the renewed lease."""
        self.claimed = claimed
        self._leased.lease = claimed.lease
        self._injections.adopt_lease(claimed)
        if claimed.cancel_requested:
            self._stop.request()

    async def rewind(self) -> None:
        """Get ready to drive the turn again from its start, on the journal as it is now.

        For a turn that was about to be parked while what it waits for came: its effects are saved.
        """
        journal = await self._services.database.effect_journal.load_effects(self._scope)
        self.claimed = self.claimed.replace(journal=tuple(journal))
        self._read_journal(self.claimed)
        self._injections.expect()

    async def drive(self) -> DrivenTurn | ParkedTurn:
        """Drive the turn to its commit, or to where it waits.

        Returns:
            The committed turn; or the waits of one that cannot go on before one of them is resolved. It holds
            nothing in memory that is not recorded, once `save` has returned.

        Raises:
            LashError: whatever keeps the turn from being finished here: `session_lease_lost`, a failure of
                the store, `effect_replay_hash_conflict`. The turn stays accepted.
        """
        await self._resident.refresh(self._persistence, self.claimed.head)
        self._activities.emit(TurnStarted(turn_id=self.claimed.turn_id, restarts=self.claimed.restarts))
        inputs = [
            payload.input
            for batch in self.claimed.work.batches
            for payload in batch.payloads
            if isinstance(payload, TurnInputPayload)
        ]
        self._input = merged_input(inputs)
        config = self._agent.turn_config(
            self.claimed.turn_id, self._input, turn_causes(self.claimed.work.batches)
        )
        self._models = ModelCalls(self._services, self._agent, self._resident, self._activities, config)
        self._tools = ToolBatches(self._tool_calls())
        self._code = self._open_code()
        machine = TurnMachine(config, ToolsProtocol() if self._code is None else self._code.protocol())
        try:
            conclusion = await self._run(machine)
        except EffectParked as parked:
            self._activities.emit(TurnParked(turn_id=self.claimed.turn_id, wait_keys=parked.wait_keys))
            return ParkedTurn(parked.wait_keys)
        return await self._commit(conclusion)

    def _tool_calls(self) -> ToolCalls:
        return ToolCalls(
            self._services,
            self._agent,
            self._activities,
            self._attachments,
            session_id=self.claimed.lease.session_id,
            turn_id=self.claimed.turn_id,
            context=None if self._input is None else self._input.context,
        )

    def _open_code(self) -> CodeRunner | None:
        """Return what runs the turn's programs, if its agent's protocol asks for any."""
        if self._agent.code is None:
            return None
        return self._agent.code.open(
            CodeTurn(
                services=self._services,
                agent=self._agent,
                claimed=self.claimed,
                resident=self._resident,
                input=self._input,
                activities=self._activities,
                tools=self._tools,
                attachments=self._attachments,
                execute=self._execute,
                recorded=self._recorded,
                replayed=self._leased.replayed,
                drain=self.save,
                stop=self._stop,
            )
        )

    async def _run(self, machine: TurnMachine) -> TurnConclusion:
        while True:
            effect = machine.poll()
            match effect:
                case Done(conclusion=conclusion):
                    return conclusion
                case Emit(activity=activity):
                    self._activities.emit(activity)
                case Progress(records=records):
                    if self._code is not None:
                        self._code.note(records)  # the commit at the end carries them
                case Abandon():
                    continue  # effects are ended where they run
                case SyncSurface(effect_id=effect_id, apply=apply):
                    machine.feed(SurfaceSynced(effect_id, self._agent.surface if apply else None))
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

    async def _ask_model(self, effect: AskModel) -> MachineReply:
        issue = spent_budget(self._agent.agent.limits, self._resident.turn_state, self._models.usage)
        if issue is not None:
            return StopTurn("budget_exhausted", issue)
        scope, replay_key = self._coordinates(
            effect.iteration, RuntimeEffectKind.LLM_CALL, str(effect.effect_id)
        )
        envelope = self._models.envelope(effect, scope, replay_key)
        executor = RuntimeEffectLocalExecutor.of(self._models.executor(effect, replay_key))
        outcome = await self._stop.race(
            self._execute(envelope, executor), recorded=replay_key in self._recorded
        )
        result = self._models.settle(
            effect, replay_key, outcome, replayed=replay_key in self._leased.replayed
        )
        return ModelAnswered(effect.effect_id, result)

    async def _run_tools(self, effect: RunTools) -> MachineReply:
        scope, parent_key = self._coordinates(
            effect.iteration, RuntimeEffectKind.TOOL_CALL, str(effect.effect_id)
        )
        batch = self._tools.prepare(effect, scope, parent_key)
        if any(call.effect == "idempotent" for call in batch.prepared):
            # The keys of these calls come from the model's answer: it must be on disk before they are used.
            await self._leased.drain()
        recorded = [key for key in batch.replay_keys if key in self._recorded]
        if self._stop.requested:
            await self._tools.withdraw(batch, self._recorded)
            if batch.replay_keys and not recorded:
                raise TurnCancelledError
        running = asyncio.ensure_future(
            self._tools.settle(
                batch,
                self._execute,
                self._leased.replayed,
                self._recorded,
                only_recorded=self._stop.requested,
            )
        )
        results = await self._stop.with_grace(running, self._tools.cancel, self._tools.interrupt)
        replayed = tuple(
            call_id for call_id, one in batch.envelopes.items() if one.replay_key in self._leased.replayed
        )
        return ToolsSettled(effect.effect_id, results, replayed)

    async def _run_code(self, effect: RunCode) -> MachineReply:
        if self._code is None:
            raise LashError(
                "code_executor_missing",
                f"turn {self.claimed.turn_id!r} asks to run code, and its agent has no code protocol",
                turn_id=self.claimed.turn_id,
                effect_id=effect.effect_id,
            )
        scope, replay_key = self._coordinates(
            effect.iteration, RuntimeEffectKind.EXEC_CODE, str(effect.effect_id)
        )
        running = asyncio.ensure_future(self._code.run(effect, scope, replay_key))
        result = await self._stop.with_grace(running, self._tools.cancel, running.cancel)
        return CodeRan(effect.effect_id, result)

    async def _reach_checkpoint(self, effect: ReachCheckpoint) -> MachineReply:
        if self._injections.finds_nothing and self._services.effect_host is None:
            return CheckpointPassed(effect.effect_id)  # an empty checkpoint leaves no line, see LeasedEffects
        effect_id = str(effect.effect_id)
        scope, replay_key = self._coordinates(effect.iteration, RuntimeEffectKind.CHECKPOINT, effect_id)
        envelope = RuntimeEffectEnvelope(
            RuntimeInvocation.effect(scope, effect_id, RuntimeEffectKind.CHECKPOINT, replay_key),
            Checkpoint(checkpoint=effect.kind),
        )

        async def deliver(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            return CheckpointOutcome(delivery=await self._injections.take(effect_id))

        outcome = await self._execute(envelope, RuntimeEffectLocalExecutor.of(deliver))
        assert isinstance(outcome, CheckpointOutcome), "a checkpoint answers with its delivery"
        self._injections.announce(outcome.delivery, self._activities)
        return CheckpointPassed(effect.effect_id, outcome.delivery)

    def _coordinates(
        self, iteration: int, kind: RuntimeEffectKind, effect_id: str
    ) -> tuple[RuntimeScope, str]:
        scope = RuntimeScope(
            session_id=self.claimed.lease.session_id,
            turn_id=self.claimed.turn_id,
            turn_index=self._resident.turn_state.turn_index,
            protocol_iteration=iteration,
        )
        return scope, turn_effect_key(scope, kind, effect_id)

    async def _execute(
        self, envelope: RuntimeEffectEnvelope, executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        return await self._controller.execute_effect(envelope, executor)

    async def _commit(self, conclusion: TurnConclusion) -> DrivenTurn:
        receipt = await commit_turn(
            self._services,
            self._agent,
            self._persistence,
            self._resident,
            self.claimed,
            conclusion,
            completions=self._injections.completions(),
            effects=self._leased.take_unwritten(),
            model_keys=self._models.keys,
            attachment_ids=self._tools.attachment_ids(self._input),
            execution_state=None if self._code is None else self._code.execution_state(),
        )
        self._activities.emit(
            TurnFinished(
                turn_id=conclusion.turn_id,
                text=conclusion.text,
                stop=conclusion.stop,
                usage=conclusion.usage,
                output=conclusion.output,
                head_revision=receipt.head_revision,
            )
        )
        return DrivenTurn(
            receipt=receipt, conclusion=conclusion, replayed=tuple(sorted(self._leased.replayed))
        )
