"""Drives one claimed turn from where it stands to its commit.

The machine decides, the driver does: it turns each thing that the machine asks for into an effect, lets the
controller run or replay it, and feeds the outcome back. At the end everything that the turn changed goes
into one commit. A driver may be killed at any instruction: the next one is handed the journal and asks the
same machine the same questions.
"""

from __future__ import annotations

from dataclasses import dataclass

from lash.contracts import EffectParked, RuntimePersistence
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.injections import Injections
from lash.runtime.resident import ResidentSession
from lash.runtime.services import RuntimeServices
from lash.runtime.turn_commit import TurnOutcome, commit_turn
from lash.runtime.turn_course import TurnCourse
from lash.runtime.turn_effects import TurnEffects
from lash.runtime.turn_stop import TurnStop
from lash.turn import TurnConclusion
from lash.values import (
    ClaimedTurn,
    TurnActivity,
    TurnFinished,
    TurnParked,
    TurnReceipt,
    TurnStarted,
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
        self._effects = TurnEffects(services, claimed)
        self._attachments = SessionAttachments(
            claimed.lease.session_id,
            manifest=persistence,
            store=services.database.attachment_store,
            clock=services.clock,
        )
        self._injections = Injections(services, claimed, nothing_waits=nothing_waits)

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
        await self._effects.drain()

    def adopt_lease(self, claimed: ClaimedTurn) -> None:
        """Go on under the renewed lease."""
        self.claimed = claimed
        self._effects.adopt_lease(claimed)
        self._injections.adopt_lease(claimed)
        if claimed.cancel_requested:
            self._stop.request()

    async def rewind(self) -> None:
        """Get ready to drive the turn again from its start, on the journal as it is now.

        For a turn that was about to be parked while what it waits for came: its effects are saved.
        """
        journal = await self._services.database.effect_journal.load_effects(self._effects.scope)
        self.claimed = self.claimed.replace(journal=tuple(journal))
        self._effects.read_journal(self.claimed)
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
        await self._resident.refresh(self._services.database, self.claimed.head)
        self._activities.emit(TurnStarted(turn_id=self.claimed.turn_id, restarts=self.claimed.restarts))
        course = TurnCourse(
            self._services,
            self._agent,
            self.claimed,
            self._resident,
            self._effects,
            self._activities,
            self._stop,
            self._injections,
            self._attachments,
        )
        try:
            outcome = await course.run()
        except EffectParked as parked:
            await course.pin()
            self._activities.emit(TurnParked(turn_id=self.claimed.turn_id, wait_keys=parked.wait_keys))
            return ParkedTurn(parked.wait_keys)
        return await self._commit(course, outcome)

    async def _commit(self, course: TurnCourse, outcome: TurnOutcome) -> DrivenTurn:
        receipt = await commit_turn(
            self._services, self._agent, self._persistence, self._resident, self.claimed, outcome
        )
        conclusion = outcome.conclusion
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
        await course.tell_committed(receipt)
        return DrivenTurn(
            receipt=receipt, conclusion=conclusion, replayed=tuple(sorted(self._effects.replayed))
        )
