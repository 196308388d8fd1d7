"""A session, as its user has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lash.agents import Agent, Binding, turn_options
from lash.contracts import RuntimePersistence
from lash.facade.input import InputLike, turn_input
from lash.facade.portal import refuse_on_running_loop
from lash.facade.processes import ProcessHandle
from lash.facade.results import result_of_receipt
from lash.facade.turn import Turn, TurnResult
from lash.runtime import SessionWatch
from lash.values import (
    ActivePath,
    AttachmentCreateMeta,
    AttachmentRef,
    CancelAnswer,
    EventNode,
    Json,
    Message,
    OnBusy,
    QueuedWorkBatch,
    SessionInfo,
    StoredAttachment,
    TokenLedgerEntry,
    TurnDraft,
)

if TYPE_CHECKING:
    from lash.facade.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A durable yes: the input will become part of a turn, whatever happens to this process."""

    turn_id: str
    batch_id: str
    enqueue_seq: int
    known: bool = False  # the same input had been accepted before


class Session:
    """A durable conversation with one agent. Get one from `Runtime.session`."""

    def __init__(self, runtime: Runtime, info: SessionInfo) -> None:
        self._runtime = runtime
        self.info = info

    @property
    def id(self) -> str:
        return self.info.session_id

    @property
    def agent_name(self) -> str:
        return self.info.agent

    def turn(
        self,
        input: InputLike,
        *,
        turn_id: str | None = None,
        on_busy: OnBusy = "queue",
        output: Any = None,
        context: Json = None,
        bindings: Mapping[str, Binding] | None = None,
    ) -> Turn:
        """Return a turn; `await` it, or iterate its `events()`.

        Args:
            input: Text; or texts and attachment references, in order; or a `TurnInput`.
            turn_id: An idempotency key. The same id with the same input gives the same result again,
                without running anything; with other input it is an `idempotency_conflict`.
            on_busy: While another turn runs, `"queue"` waits for it, `"inject"` enters it at its next
                boundary (the result is then that turn's), `"refuse"` fails with `session_busy`.
            output: The type of the answer for this turn; see `Agent`.
            context: JSON that tools may read as `ctx.context`; the model does not see it.
            bindings: Values that the programs of this turn may read by name (`protocol="code"`).

        Raises:
            LashError: `invalid_argument`, `json_not_representable`, `output_type_invalid`, `code_options_invalid`
                at once; when it
                runs: see `TurnIngress.accept_turn`, and whatever keeps it from being finished here.
        """
        draft = self._draft(input, turn_id, on_busy, output, context, bindings)
        return Turn(self._runtime, draft, output)

    async def send(
        self,
        input: InputLike,
        *,
        idempotency_key: str | None = None,
        on_busy: OnBusy = "queue",
        context: Json = None,
    ) -> Accepted:
        """Accept input durably and return at once; the runtime drives it.

        Args:
            input: As for `turn`.
            idempotency_key: The same key with the same input is accepted once.
            on_busy: As for `turn`.
            context: As for `turn`.

        Raises:
            LashError: `idempotency_conflict`, `session_busy`, `session_deleted`, `invalid_argument`.
        """
        return await self._runtime.accept(self._draft(input, idempotency_key, on_busy, None, context))

    async def spawn(
        self,
        agent: Agent | str,
        input: str,
        *,
        output: Any = None,
        id: str | None = None,
        label: str | None = None,
        wake: bool = True,
    ) -> ProcessHandle[Any]:
        """Give work to an agent in a session of its own below this one, and return at once.

        The work is a process: it outlives this operating-system process. This session's agent is woken with the
        answer; whoever wants it in code awaits the handle.

        Args:
            agent: Who is asked: an agent of this runtime, or its name.
            input: What.
            output: The type of the answer; None for the agent's own.
            id: The id of the process, an idempotency key; a fresh one by default.
            label: What lists call it; the agent's name by default.
            wake: Whether this session is woken when it ends.

        Raises:
            LashError: `agent_unknown`; `subagent_depth_exceeded`; `output_type_invalid`;
                `process_registration_conflict` for an id that was used for something else.
        """
        return await self._runtime.processes.spawn(
            agent, input, session=self.id, output=output, id=id, label=label, wake=wake
        )

    def watch(self, cursor: str | None = None) -> SessionWatch:
        """Watch this session: what its turns show while they run, and what is committed of them.

        Every event carries a `cursor`. Watching again with it, in this process or another one, tells what
        was committed since, whoever drove it: each message (`MessageCommitted`), then the end of its turn
        (`TurnFinished`). What a running turn shows is told as far as this process drives it, and kept for
        two minutes; where some of it is lost, an `EventGap` says why. Closing a watch ends no turn.

        Args:
            cursor: Of the last event that was read; None for what happens from now on.

        Returns:
            An async iterator of `TurnEvent`s; `close` it when done.

        Raises:
            LashError: `cursor_invalid`, at once or when it is iterated.
        """
        return self._runtime.watch_session(self.id, cursor)

    async def history(self) -> tuple[Message, ...]:
        """Return the committed conversation, oldest message first."""
        read = await self._persistence.load_session(ActivePath())
        if read is None:
            return ()
        return tuple(
            node.payload.event
            for node in read.graph.nodes
            if isinstance(node.payload, EventNode) and isinstance(node.payload.event, Message)
        )

    async def usage(self) -> tuple[TokenLedgerEntry, ...]:
        """Return what the session has spent, by source and model."""
        read = await self._persistence.load_session(ActivePath())
        return () if read is None else read.token_ledger

    async def queue(self) -> list[QueuedWorkBatch]:
        """Return the accepted input that is not committed yet, in order."""
        return await self._persistence.list_queued_work(self.id)

    async def cancel(self, turn_id: str) -> CancelAnswer:
        """Ask a turn to end; see `Turn.cancel`."""
        return await self._runtime.cancel_turn(self.id, turn_id)

    async def attach(self, data: bytes, media_type: str, *, label: str | None = None) -> AttachmentRef:
        """Store bytes for this session; give the reference to `turn` or `send`."""
        meta = AttachmentCreateMeta(media_type=media_type, label=label)
        return await self._runtime.attachments(self.id).put(data, meta)

    async def attachment(self, attachment_id: str) -> StoredAttachment:
        """Return stored bytes; `attachment_not_found` when there are none."""
        return await self._runtime.attachments(self.id).get(attachment_id)

    async def result(self, turn_id: str) -> TurnResult | None:
        """Return the result of a committed turn, or None."""
        status = await self._runtime.database.turn_ingress.find_turn(self.id, turn_id)
        if status.receipt is None:
            return None
        return await result_of_receipt(self._persistence, status.receipt)

    def turn_sync(
        self,
        input: InputLike,
        *,
        turn_id: str | None = None,
        on_busy: OnBusy = "queue",
        output: Any = None,
        context: Json = None,
        bindings: Mapping[str, Binding] | None = None,
    ) -> TurnResult:
        """Run a turn and wait for its result; for scripts. See `turn`."""
        refuse_on_running_loop("turn_sync")
        draft = self._draft(input, turn_id, on_busy, output, context, bindings)
        return self._runtime.call_sync(self._runtime.finish_turn(draft, output))

    def send_sync(
        self,
        input: InputLike,
        *,
        idempotency_key: str | None = None,
        on_busy: OnBusy = "queue",
        context: Json = None,
    ) -> Accepted:
        """Accept input durably; for scripts. See `send`."""
        refuse_on_running_loop("send_sync")
        return self._runtime.call_sync(
            self.send(input, idempotency_key=idempotency_key, on_busy=on_busy, context=context)
        )

    def history_sync(self) -> tuple[Message, ...]:
        """Return the committed conversation; for scripts. See `history`."""
        refuse_on_running_loop("history_sync")
        return self._runtime.call_sync(self.history())

    def usage_sync(self) -> tuple[TokenLedgerEntry, ...]:
        """Return what the session has spent; for scripts. See `usage`."""
        refuse_on_running_loop("usage_sync")
        return self._runtime.call_sync(self.usage())

    @property
    def _persistence(self) -> RuntimePersistence:
        return self._runtime.database.runtime_persistence(self.id)

    def _draft(
        self,
        value: InputLike,
        turn_id: str | None,
        on_busy: OnBusy,
        output: Any,
        context: Json,
        bindings: Mapping[str, Binding] | None = None,
    ) -> TurnDraft:
        given = turn_input(value, context=context, output=output)
        if bindings:
            self._runtime.check_bindings(self.info.agent, bindings)
            given = given.replace(protocol_turn_options=turn_options(bindings))
        return TurnDraft(
            session_id=self.id,
            turn_id=turn_id or given.turn_id or self._runtime.ids.new("turn"),
            input=given,
            agent=self.info.agent,
            on_busy=on_busy,
        )
