"""The seam between a turn's driver and whatever runs the programs of its model.

The driver opens one runner a turn and hands it each program. A program is a composite effect: nothing is
recorded for it, every call that it makes is an effect of its own (`execute`), with a key that is derived from
the program's. A turn that is driven again runs its programs again, and the calls replay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lash.runtime.activity_bus import TurnActivities
from lash.runtime.attachments import SessionAttachments
from lash.runtime.resident import ResidentSession
from lash.runtime.services import RuntimeServices
from lash.runtime.tool_batches import ToolBatches
from lash.runtime.tool_calls import ExecuteEffect
from lash.runtime.turn_stop import TurnStop
from lash.tools import ToolSet
from lash.turn import RunCode, TurnProtocol
from lash.values import ClaimedTurn, ConversationRecord, ExecFailure, ExecResponse, RuntimeScope, TurnInput

if TYPE_CHECKING:
    from lash.runtime.bound_agent import BoundAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTurn:
    """What a runner may use of the turn that it runs programs for.

    Attributes:
        claimed: The claim: session, turn, lease, journal.
        turn_id: The id that the stretch of the turn in the current frame goes by: keys of its effects begin with it.
        resident: The session's committed state: history, frame, checkpoint.
        tools: Runs calls through the tool pipeline: arguments, approval, hooks, budget.
        attachments: The session's.
        execute: Runs or replays one effect. Raises `EffectParked` when it must wait: let it pass, with the
            program suspended.
        recorded: Keys of the effects that were recorded before this drive began.
        replayed: Keys of the effects that came from the journal; filled by `execute`.
        drain: Returns once every outcome so far is durable; waited for before a call whose key is made of them
            leaves this process.
        stop: Whether the turn is to end.
    """

    services: RuntimeServices
    agent: BoundAgent
    claimed: ClaimedTurn
    turn_id: str
    resident: ResidentSession
    input: TurnInput | None
    activities: TurnActivities
    tools: ToolBatches
    attachments: SessionAttachments
    execute: ExecuteEffect
    recorded: Collection[str]
    replayed: Collection[str]
    drain: Callable[[], Awaitable[None]]
    stop: TurnStop


class CodeRunner(Protocol):
    """Runs the programs of one turn."""

    def protocol(self) -> TurnProtocol:
        """Return the protocol that the turn runs by."""
        ...

    def note(self, records: Iterable[ConversationRecord]) -> None:
        """Take notice of what the turn has added to the conversation, before a program may look at it."""
        ...

    async def run(self, effect: RunCode, scope: RuntimeScope, replay_key: str) -> ExecResponse | ExecFailure:
        """Run a program to its end.

        Args:
            effect: The program.
            scope: Where it runs: session, turn, iteration.
            replay_key: The key that the keys of its calls begin with.

        Raises:
            EffectParked: A call of the program waits. The turn is parked, and the program is asked for again.
        """
        ...

    def interrupt(self) -> None:
        """End what the running program waits for: the turn was cancelled, and its grace is over."""
        ...

    def execution_state(self) -> bytes | None:
        """Return what the turn's commit keeps of the programs' variables; None for "as it was"."""
        ...


class CodeMode(Protocol):
    """The code side of an agent: what it is told about programs, and a runner a turn."""

    @property
    def section(self) -> str:
        """The part of the instructions that explains programs; a function of the agent's definition alone."""
        ...

    @property
    def prose_may_answer(self) -> bool:
        """Whether an answer without a program may end a turn."""
        ...

    def with_tools(self, tools: ToolSet) -> CodeMode:
        """Return the code side of the same agent with other tools: a turn whose plugins bring some."""
        ...

    def open(self, turn: CodeTurn) -> CodeRunner:
        """Return what runs the programs of one turn."""
        ...
