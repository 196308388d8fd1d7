"""A session, as its user has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lash.agents import Agent, Binding, turn_options
from lash.contracts import RuntimePersistence
from lash.errors import LashError
from lash.facade.branches import Branches
from lash.facade.input import InputLike, turn_input
from lash.facade.portal import refuse_on_running_loop
from lash.facade.process_handle import ProcessHandle
from lash.facade.results import result_of_receipt
from lash.facade.turn import Turn, TurnResult
from lash.runtime import COMPACTION_OPTION, SessionPaths, SessionWatch, messages_of
from lash.values import (
    ActivePath,
    AgentFrameRecord,
    AttachmentCreateMeta,
    AttachmentRef,
    CancelAnswer,
    Json,
    Message,
    OnBusy,
    QueuedWorkBatch,
    SessionInfo,
    StoredAttachment,
    TokenLedgerEntry,
    TurnDraft,
    TurnInput,
    canonical_json,
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

    def __init__(
        self, runtime: Runtime, info: SessionInfo, plugin_options: Mapping[str, Json] | None = None
    ) -> None:
        self._runtime = runtime
        self._plugin_options = plugin_options
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
        plugins: Mapping[str, Json] | None = None,
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
            plugins: What plugins are given for this turn, as JSON by plugin id (`TurnContext.plugin_input`).

        Raises:
            LashError: `invalid_argument`, `json_not_representable`, `output_type_invalid`, `code_options_invalid`
                at once; when it
                runs: see `TurnIngress.accept_turn`, and whatever keeps it from being finished here.
        """
        draft = self._draft(input, turn_id, on_busy, output, context, bindings, plugins)
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

    async def history(self, *, all: bool = True) -> tuple[Message, ...]:
        """Return the committed conversation, oldest message first.

        Args:
            all: The complete one, with what a fork shares and what is behind frames; False for what the model
                is shown in the current frame.
        """
        path = await SessionPaths(self._runtime.database).read(self.id)
        if all or not path.nodes:
            return path.messages
        current = path.nodes[-1].agent_frame_id
        return messages_of([node for node in path.nodes if node.agent_frame_id == current])

    async def frames(self) -> tuple[AgentFrameRecord, ...]:
        """Return the session's agent frames, oldest first: the context boundaries it has been through."""
        read = await self._persistence.load_session(ActivePath())
        return () if read is None else read.agent_frames

    async def compact(self, focus: str | None = None, *, turn_id: str | None = None) -> bool:
        """Have a summary take the history's place in what the model is shown. The history stays readable.

        A durable turn of its own: it waits for a running one, and survives a restart. The agent's plugins are
        asked (`Plugin.compact`), else the built-in `Compaction`.

        Args:
            focus: What the summary is to pay most attention to.
            turn_id: An idempotency key.

        Returns:
            Whether there was anything to compact.

        Raises:
            LashError: `compaction_failed` when the summary could not be made; as `turn`.
        """
        options: dict[str, Json] = {COMPACTION_OPTION: {"focus": focus}}
        draft = TurnDraft(
            session_id=self.id,
            turn_id=turn_id or self._runtime.ids.new("turn"),
            input=TurnInput(items=(), protocol_turn_options=self._with_plugin_options(options)),
            agent=self.info.agent,
        )
        result = await self._runtime.finish_turn(draft, bool)
        if result.stop is not None:
            why = result.issues[0].message if result.issues else result.stop
            raise LashError("compaction_failed", f"session {self.id!r} was not compacted: {why}")
        return bool(result.output)

    async def fork(self, node_id: str | None = None, *, id: str | None = None) -> Session:
        """Return a new session that begins with this one's history, shared and not copied; both go on.

        Args:
            node_id: The last node that is shared, or the last message, by its id; None for the last there is.
                To edit a message and try again, fork at the one before it and send the other text.
            id: The id of the fork; a fresh one by default.

        Raises:
            LashError: `fork_point_unknown`; `fork_point_unsafe` between a tool call and its result;
                `idempotency_conflict` when `id` is another session.
        """
        branches = Branches(self._runtime.database, self._runtime.clock)
        info = await branches.fork(self.info, node_id, id or self._runtime.ids.new("session"))
        return Session(self._runtime, info)

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

    def compact_sync(self, focus: str | None = None, *, turn_id: str | None = None) -> bool:
        """Have a summary take the history's place in what the model is shown; for scripts. See `compact`."""
        refuse_on_running_loop("compact_sync")
        return self._runtime.call_sync(self.compact(focus, turn_id=turn_id))

    def fork_sync(self, node_id: str | None = None, *, id: str | None = None) -> Session:
        """Return a session that begins with this one's history; for scripts. See `fork`."""
        refuse_on_running_loop("fork_sync")
        return self._runtime.call_sync(self.fork(node_id, id=id))

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
        plugins: Mapping[str, Json] | None = None,
    ) -> TurnDraft:
        given = turn_input(value, context=context, output=output)
        options: dict[str, Json] = dict(given.protocol_turn_options or {})
        if bindings:
            self._runtime.check_bindings(self.info.agent, bindings)
            options |= turn_options(bindings)
        if plugins:
            options["plugins"] = dict(plugins)
            canonical_json(options["plugins"])
        given = given.replace(protocol_turn_options=self._with_plugin_options(options) or None)
        return TurnDraft(
            session_id=self.id,
            turn_id=turn_id or given.turn_id or self._runtime.ids.new("turn"),
            input=given,
            agent=self.info.agent,
            on_busy=on_busy,
        )

    def _with_plugin_options(self, options: dict[str, Json]) -> dict[str, Json]:
        """Return a turn's options with those of a session that has none yet: its first turn stores them."""
        if self._plugin_options and self.info.head_revision == 0:
            return {**options, "plugin_options": dict(self._plugin_options)}
        return options
