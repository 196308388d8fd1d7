"""The turn machine.

Theory of operation
-------------------
A turn is a conversation between a model, its tools and whoever put work into the session. The machine
holds the state of one turn and does nothing but decide what comes next: it asks its driver for effects
(`poll`) and is told how they went (`feed`). It has no clock, no randomness, no I/O and no knowledge of how
anything is done, so a turn is a function of its config and of the replies. That is what durability rests
on: a turn whose process died is driven again from its start, is fed the recorded replies, and asks for the
same effects under the same ids until it comes to the one that has no reply yet.

*Effects and replies.* At most one effect that wants a reply is outstanding. Ids count from 1 in the order
of asking. `poll` hands an effect out once; then it answers None until the reply has come. A reply that
names another effect, or is of another kind than the phase waits for, changes nothing. Notices (`Emit`,
`Progress`, `Abandon`) want no reply and come before the effect behind them. `Done` is the last.

*Phases.* Opening → (AwaitSurface → Preparing → AwaitModel → AwaitTools or AwaitCode → AwaitCheckpoint →
Preparing …) → Finished. The tools are read again whenever the iteration is not the one they were last read
for. What a phase leads to is the protocol's to say, in actions; the machine keeps the laws that hold under
every protocol: message ids, unique call ids, usage, what an answer that was cut off means, that a finished
turn leaves no call without a result, that what was delivered at a checkpoint is stored, that a turn beyond
its limit stops as `max_turns`.

*Atomic steps.* Every change is made on a fork of the state and adopted at the end. When a protocol or a
validator raises, the machine is as it was, and the same reply can be fed again.

*Snapshots.* The state is data (`state.py`), and a waiting phase holds what its effect is rebuilt from. A
restored machine hands the outstanding effect out again, with the same id and payload. What a snapshot does
not hold: the config, the committed history, and notices that were already handed out.
"""

from __future__ import annotations

from typing import Self, assert_never

from lash.errors import LashBug
from lash.turn.actions import Action, AdvanceIteration, Finish, GoOn, Report
from lash.turn.answers import (
    issue_of_cut,
    issue_of_failure,
    read_answer,
    stop_of_answer,
    stop_of_failure,
)
from lash.turn.conclusion import ModelCallUsage, TurnConclusion
from lash.turn.config import TurnConfig
from lash.turn.deliveries import deliver
from lash.turn.effects import Abandon, Done, Emit, MachineEffect
from lash.turn.interpreter import apply_actions, end_turn
from lash.turn.outstanding import outstanding_effect
from lash.turn.protocol import ToolOutcome, TurnProtocol, TurnView
from lash.turn.replies import (
    CheckpointPassed,
    CodeRan,
    MachineReply,
    ModelAnswered,
    StopTurn,
    SurfaceSynced,
    ToolsSettled,
)
from lash.turn.snapshot import decode_snapshot, encode_snapshot
from lash.turn.state import (
    AwaitCheckpoint,
    AwaitCode,
    AwaitModel,
    AwaitSurface,
    AwaitTools,
    Finished,
    Opening,
    Preparing,
    TurnState,
)
from lash.values.activities import UsageReported
from lash.values.effects import SurfaceSync
from lash.values.models import ModelFailure, ModelResponse
from lash.values.turns import StopReason, TurnIssue


class TurnMachine:
    """One turn in flight.

    Args:
        config: The turn's terms.
        protocol: Decides what the model is asked and what its answers lead to.
    """

    def __init__(self, config: TurnConfig, protocol: TurnProtocol) -> None:
        self._config = config
        self._protocol = protocol
        self._state = TurnState.opening(config)
        self._handed_out = False  # whether `poll` has given the outstanding effect, or Done

    @classmethod
    def restore(cls, snapshot: bytes, config: TurnConfig, protocol: TurnProtocol) -> Self:
        """Return the machine that `snapshot` was taken of; it hands its outstanding effect out again.

        Args:
            snapshot: What `snapshot()` gave.
            config: The same terms as before; the input and causes in it are not added again.
            protocol: The same protocol as before.

        Raises:
            LashError: `turn_snapshot_unsupported` for another version, unknown fields or bytes that are
                no snapshot; `turn_snapshot_mismatch` for another turn or protocol.
        """
        machine = cls(config, protocol)
        machine._state = decode_snapshot(snapshot, turn_id=config.turn_id, protocol=protocol.id)
        return machine

    def snapshot(self) -> bytes:
        """Return the turn in flight as bytes."""
        return encode_snapshot(self._state, self._protocol.id)

    @property
    def conclusion(self) -> TurnConclusion | None:
        """How the turn ended; None while it has not."""
        phase = self._state.phase
        return self._state.conclusion(phase.ending) if isinstance(phase, Finished) else None

    def poll(self) -> MachineEffect | None:
        """Return the next effect, or None while the outstanding one has no reply and after `Done`."""
        if not self._state.notices:
            self._move_on()
        if self._state.notices:
            return self._state.notices.pop(0)
        if self._handed_out:
            return None
        self._handed_out = True
        phase = self._state.phase
        if isinstance(phase, Finished):
            return Done(self._state.conclusion(phase.ending))
        assert not isinstance(phase, Opening | Preparing), "moving on leaves these"
        return outstanding_effect(self._state, phase, self._config)

    def feed(self, reply: MachineReply) -> None:
        """Take a reply. One that names another effect than the outstanding one, or is of another kind,
        changes nothing.

        Raises:
            LashError: `turn_cause_invalid` for a checkpoint's cause that is none.
            LashBug: Results do not match the calls, or the protocol broke its contract. The machine is
                as it was.
        """
        state = self._state.fork()
        match state.phase, reply:
            case Finished(), _:
                return
            case _, StopTurn(reason=reason, issue=issue):
                self._end(state, reason, issue)
            case AwaitSurface() as phase, SurfaceSynced() if reply.effect_id == phase.effect_id:
                _take_surface(state, phase, reply.sync)
            case AwaitModel() as phase, ModelAnswered() if reply.effect_id == phase.effect_id:
                self._take_model_result(state, phase.effect_id, reply.result)
            case AwaitTools() as phase, ToolsSettled() if reply.effect_id == phase.effect_id:
                outcomes = _tool_outcomes(state, phase, reply)
                apply_actions(state, self._config, self._protocol.on_tools(self._view(state), outcomes))
            case AwaitCode() as phase, CodeRan() if reply.effect_id == phase.effect_id:
                actions = self._protocol.on_code(self._view(state), reply.result)
                apply_actions(state, self._config, actions)
            case AwaitCheckpoint() as phase, CheckpointPassed() if reply.effect_id == phase.effect_id:
                self._pass_checkpoint(state, phase, reply)
            case _:
                return
        self._adopt(state)

    def cancel(self) -> None:
        """End the turn as `cancelled`, with all that it has done so far. No effect on a finished turn.

        What is known of an outstanding effect should be fed before: the part of an answer that has come
        (terminal reason `cancelled`), or tool results, with a failed one for each call that was cut off.
        """
        self.feed(StopTurn(reason="cancelled"))

    def _adopt(self, state: TurnState) -> None:
        self._state = state
        self._handed_out = False

    def _view(self, state: TurnState) -> TurnView:
        return TurnView(
            config=self._config,
            iteration=state.iteration,
            surface=state.surface,
            records=tuple(state.records),
            tool_calls=tuple(state.tool_calls),
            memory=state.memory,
            final_note=state.final_note,
            prompt_tokens=state.model_usage[-1].usage.input_tokens if state.model_usage else 0,
        )

    def _move_on(self) -> None:
        """Leave a phase that waits for nothing."""
        if not isinstance(self._state.phase, Opening | Preparing):
            return
        state = self._state.fork()
        if state.synced_iteration != state.iteration:
            apply = not isinstance(state.phase, Opening)
            state.phase = AwaitSurface(effect_id=state.next_effect_id(), apply=apply)
        else:
            actions = self._protocol.prepare_iteration(self._view(state))
            if actions and isinstance(actions[-1], AdvanceIteration):
                raise LashBug(f"turn {state.turn_id!r}: preparing an iteration may not advance it")
            apply_actions(state, self._config, actions)
        self._adopt(state)

    def _end(self, state: TurnState, stop: StopReason, issue: TurnIssue | None) -> None:
        """End the turn from outside, whatever it waits for."""
        if self._handed_out and not isinstance(state.phase, Opening | Preparing | Finished):
            state.notices.append(Abandon(effect_id=state.phase.effect_id))
        if issue is not None:
            state.issues.append(issue)
        end_turn(state, self._config, Finish(stop=stop, text=self._view(state).last_text))

    def _take_model_result(
        self, state: TurnState, effect_id: int, result: ModelResponse | ModelFailure
    ) -> None:
        view = self._view(state)
        state.model_calls += 1
        actions: list[Action]
        match result:
            case ModelFailure():
                stop = stop_of_failure(result)
                actions = [Report(issue_of_failure(result)), Finish(stop=stop, text=view.last_text)]
            case ModelResponse():
                _count_usage(state, effect_id, result)
                answer, issues = read_answer(result, state.records, effect_id)
                state.issues += issues
                cut = stop_of_answer(result, self._config.context_window_tokens)
                if cut is None:
                    actions = self._protocol.on_model(view, answer)
                else:
                    actions = [
                        *self._protocol.on_cut(view, answer),
                        Report(issue_of_cut(result, cut)),
                        Finish(stop=cut, text=answer.text),
                    ]
            case _:
                assert_never(result)
        apply_actions(state, self._config, actions)

    def _pass_checkpoint(self, state: TurnState, phase: AwaitCheckpoint, reply: CheckpointPassed) -> None:
        delivered = deliver(state, reply.delivery)
        if delivered or isinstance(phase.on_empty, GoOn):
            actions = self._protocol.on_checkpoint(self._view(state), phase.kind)
        else:
            actions = [phase.on_empty]
        apply_actions(state, self._config, actions)


def _take_surface(state: TurnState, phase: AwaitSurface, sync: SurfaceSync | None) -> None:
    if phase.apply and sync is not None:
        state.surface = sync
    state.synced_iteration = state.iteration
    state.phase = Preparing()


def _count_usage(state: TurnState, effect_id: int, response: ModelResponse) -> None:
    state.model_usage.append(
        ModelCallUsage(
            effect_id=effect_id, iteration=state.iteration, usage=response.usage, model=response.model
        )
    )
    reported = UsageReported(iteration=state.iteration, usage=response.usage, cumulative=state.usage)
    state.notices.append(Emit(reported))


def _tool_outcomes(state: TurnState, phase: AwaitTools, reply: ToolsSettled) -> tuple[ToolOutcome, ...]:
    """Return the results in call order.

    Raises:
        LashBug: There is not exactly one result for each call.
    """
    by_id = {result.call_id: result for result in reply.results}
    asked = [call.call_id for call in phase.calls]
    if len(by_id) != len(reply.results) or set(by_id) != set(asked):
        given = [result.call_id for result in reply.results]
        raise LashBug(f"turn {state.turn_id!r}: the results are of calls {given}, but {asked} were asked for")
    return tuple(
        ToolOutcome(call=call, result=by_id[call.call_id], replayed=call.call_id in reply.replayed)
        for call in phase.calls
    )
