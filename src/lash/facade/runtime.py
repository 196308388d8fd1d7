"""A database with life in it: sessions, the worker that drives their turns, and the ledger of effects."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from lash.agents import Agent, Binding, CodeOptions, Limits, ProcessDefinition, agents_below
from lash.contracts import Database, EffectHost
from lash.errors import LashError
from lash.facade.branches import Branches
from lash.facade.outcomes import TurnOutcomes
from lash.facade.portal import Portal, refuse_on_running_loop
from lash.facade.processes import Processes
from lash.facade.session import Accepted, Session
from lash.facade.triggers import Triggers
from lash.facade.turn import TurnResult
from lash.facade.wakes import Wakes
from lash.plugins import Plugin, check_plugin_options
from lash.providers import resolve_model
from lash.runtime import (
    DEFAULT_RETENTION_MS,
    ActivityBus,
    ActivitySubscription,
    Approvals,
    BoundAgent,
    DurabilityReport,
    EffectLedger,
    RuntimeServices,
    SessionAttachments,
    SessionWatch,
    Worker,
    durability_report,
)
from lash.runtime.events import EventSource
from lash.runtime.processes import DEFAULT_GRACE_MS, ProcessHost
from lash.runtime.standing import StandingWork
from lash.runtime.triggers import Emitted, TriggerCommands
from lash.system import RandomIds
from lash.tools import OutputBudget, Resources, SerialLanes, ToolSet, ToolThreads
from lash.tracing import TraceLike, Tracer, as_trace
from lash.values import (
    CancelAnswer,
    Clock,
    IdSource,
    Json,
    SessionDeletion,
    SessionInfo,
    TurnAcceptance,
    TurnDraft,
    TurnState,
)

if TYPE_CHECKING:
    from lash.runtime.code_turns import CodeMode

T = TypeVar("T")


class Runtime:
    """Gives agents a database and life. `lash.open` makes one; this is the integrator's door.

    Args:
        database: Every durable contract.
        agents: Whose work this runtime takes up: agents, those that they have as tools, and `@lash.process`es.
        effect_host: Overrides how effects are run; None records them in the database.
        resources: Live objects for tools, by type or as a list.
        clock, ids: Time and fresh ids; the machine's by default.
        lease_ttl_ms: How long a vanished driver keeps its session from others.
        max_concurrent_turns: How many turns run at the same time.
        max_concurrent_processes: How many processes run at the same time; those that wait do not count.
        process_grace_ms: How long something may wait in memory before it is let go of.
        retention_ms: How long settled effects and queue rows are kept; None for ever.
        trace: Where traces go; see `lash.open`.
        work: False to drive nothing.
        frame_key: A secret that suspended programs are authenticated with; see `lash.open`.
        events: The sources of events whose payloads are checked, whoever emits them.

    Raises:
        LashError: `agent_duplicate`; `process_duplicate`; `invalid_argument` for a negative retention;
            `durable_store_required:<facet>` when some parts are durable and others are not, naming each with
            its mend.
    """

    def __init__(
        self,
        *,
        database: Database,
        agents: Sequence[Agent | ProcessDefinition[Any]] = (),
        effect_host: EffectHost | None = None,
        resources: Mapping[type, Any] | Sequence[Any] | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        lease_ttl_ms: int = 30_000,
        max_concurrent_turns: int = 256,
        max_concurrent_processes: int = 256,
        process_grace_ms: int = DEFAULT_GRACE_MS,
        retention_ms: int | None = DEFAULT_RETENTION_MS,
        trace: TraceLike | None = None,
        work: bool = True,
        frame_key: bytes = b"",
        events: Sequence[EventSource] = (),
    ) -> None:
        self.database = database
        self.clock: Clock = clock or database.clock
        self.ids: IdSource = ids or RandomIds()
        self.durability: DurabilityReport = durability_report(database, effect_host=effect_host)
        self.durability.check()
        self._agents = _by_name(agents_below([one for one in agents if isinstance(one, Agent)]))
        self._given = tuple(dict.fromkeys(one.name for one in agents if isinstance(one, Agent)))
        self._definitions = [one for one in agents if isinstance(one, ProcessDefinition)]
        self._resources = resources
        self._bus = ActivityBus(clock=self.clock, incarnation=self.ids.new("live"))
        self._tracer = None if trace is None else Tracer(as_trace(trace))
        if self._tracer is not None:
            self._bus.listen(self._tracer.hear)
        self._services = RuntimeServices(
            database=database,
            clock=self.clock,
            ids=self.ids,
            bus=self._bus,
            effect_host=effect_host,
            lease_ttl_ms=lease_ttl_ms,
            retention_ms=_checked_retention(retention_ms),
            frame_key=frame_key,
            event_sources=_by_type(events),
        )
        self._max_concurrent_turns = max_concurrent_turns
        self._work = work
        self._max_concurrent_processes = max_concurrent_processes
        self._process_grace_ms = process_grace_ms
        self._bound: dict[str, BoundAgent] = {}
        self._host: ProcessHost | None = None
        self._standing: StandingWork | None = None
        self._worker: Worker | None = None
        self._portal = Portal()

    # ---- opening and closing

    async def start(self) -> None:
        """Open the database, resolve models, bind resources, and begin to drive; see `lash.open`."""
        if self._worker is not None:
            return
        resources, threads, lanes = Resources(self._resources or ()), ToolThreads(), SerialLanes()
        self._bound = self._bind(resources, threads, lanes) if self._work else {}
        host = ProcessHost(
            self._services,
            self._bound,
            self._definitions,
            resources=resources,
            threads=threads,
            lanes=lanes,
            max_concurrent=self._max_concurrent_processes,
            grace_ms=self._process_grace_ms,
        )
        self._services = dataclasses.replace(self._services, processes=host)
        self._standing = StandingWork(self._services, host)
        await self.database.connect()
        for plugin in self._plugins:
            await plugin.start()
        await self.database.turn_ingress.release_dead_owners()
        self._worker = Worker(self._services, self._bound, max_concurrent_turns=self._max_concurrent_turns)
        self._host = host
        if self._bound:
            self._worker.start()
        if self._work and (self._bound or self._definitions):
            host.worker.start()
        if self._work:
            self._standing.start()

    async def drain(self, *, timeout: float) -> int:
        """Take up no more work, and let what runs end or park; close the runtime afterwards.

        Args:
            timeout: Seconds after which to stop waiting.

        Returns:
            How many turns and processes still run: closing gives them back, to be gone on with elsewhere.
        """
        worker, host = self._running_worker(), self.process_host
        return sum(await asyncio.gather(worker.drain(timeout), host.worker.drain(timeout)))

    async def close(self) -> None:
        """Stop driving, give unfinished turns back, and let go of the database and the models."""
        worker, self._worker = self._worker, None
        if self._standing is not None:
            await self._standing.stop()
        if self._host is not None:
            await self._host.worker.stop()
        if worker is not None:
            await worker.stop()
        for agent in self._bound.values():
            await agent.model.close()
        await self.database.close()
        if self._tracer is not None:
            self._tracer.close()
        async with AsyncExitStack() as closing:  # each is closed, whatever the others raise
            for plugin in self._plugins:
                closing.push_async_callback(plugin.close)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __enter__(self) -> Self:
        refuse_on_running_loop("with lash.open")
        self._portal.start()
        try:
            self._portal.call(self.__aenter__())
        except BaseException:
            self._portal.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_sync()

    def close_sync(self) -> None:
        """Close, from a script."""
        if self._portal.is_running:
            self._portal.call(self.close())
            self._portal.stop()

    def call_sync(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of this runtime from a script, opening the runtime if it is not open."""
        if not self._portal.is_running:
            if self._worker is not None:
                work.close()
                raise LashError(
                    "sync_call_on_event_loop", "this runtime lives on an event loop; await its methods there"
                )
            self.__enter__()
        return self._portal.call(work)

    # ---- sessions

    async def session(
        self,
        id: str,
        agent: Agent | str | None = None,
        *,
        labels: Sequence[str] | None = None,
        plugin_options: Mapping[str, Json] | None = None,
    ) -> Session:
        """Return a session, created or reopened where it stood.

        Args:
            id: Any non-blank text; kept as it is.
            agent: Whose session it is; needed only when this runtime has several agents and the session
                is new.
            labels: For finding it again; replaces the stored ones.
            plugin_options: What a new session gives its agent's plugins, as JSON by plugin id. Stored by its
                first turn; of no effect on a session that has had one.

        Raises:
            LashError: `plugin_unknown` and `plugin_options_invalid` for these; `session_deleted` (ids are used once),
                `agent_mismatch`, `agent_unknown`, `agent_ambiguous`, `invalid_argument`.
        """
        self._check_open()
        catalog = self.database.session_catalog
        name = agent.name if isinstance(agent, Agent) else agent
        if name is None and len(self._given) != 1:
            known = await catalog.find_session(id)
            name = known.agent if known is not None else None
        if labels is not None:
            labels = await Branches(self.database, self.clock).kept_labels(id, labels)
        info, _ = await catalog.admit_session(id, agent=name or self._only_agent(id), labels=labels)
        if self._work and info.agent not in self._agents:
            raise LashError(
                "agent_unknown",
                f"session {id!r} belongs to agent {info.agent!r}, which this runtime was not given; it was "
                f"given {sorted(self._agents)}",
                session_id=id,
                agent=info.agent,
            )
        if plugin_options and info.agent in self._agents:
            check_plugin_options(self._agents[info.agent].plugins, plugin_options)
        return Session(self, info, plugin_options)

    async def sessions(
        self,
        label: str | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[SessionInfo]:
        """Return sessions by id, after the id `after`. `search` matches id and title, ignoring case."""
        self._check_open()
        return await self.database.session_catalog.list_sessions(
            label=label, search=search, after=after, limit=limit
        )

    async def delete_session(self, id: str) -> SessionDeletion:
        """Remove all that a session owns. The id stays taken for ever (ruling 30).

        Raises:
            LashError: `session_unknown`; `session_busy` while a turn of it runs; `session_forked` while forks
                share its history.
        """
        self._check_open()
        await Branches(self.database, self.clock).check_unforked(id)
        return await self.database.session_catalog.delete_session(id)

    def session_sync(
        self,
        id: str,
        agent: Agent | str | None = None,
        *,
        labels: Sequence[str] | None = None,
        plugin_options: Mapping[str, Json] | None = None,
    ) -> Session:
        """Return a session; for scripts. See `session`."""
        refuse_on_running_loop("session_sync")
        return self.call_sync(self.session(id, agent, labels=labels, plugin_options=plugin_options))

    def sessions_sync(
        self,
        label: str | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[SessionInfo]:
        """Return sessions; for scripts. See `sessions`."""
        refuse_on_running_loop("sessions_sync")
        return self.call_sync(self.sessions(label, search, after, limit))

    def delete_session_sync(self, id: str) -> SessionDeletion:
        """Remove a session; for scripts. See `delete_session`."""
        refuse_on_running_loop("delete_session_sync")
        return self.call_sync(self.delete_session(id))

    @property
    def effects(self) -> EffectLedger:
        """The ledger of effects: list them, settle unknown ones."""
        self._check_open()
        return EffectLedger(self.database.effect_journal)

    @property
    def approvals(self) -> Approvals:
        """The calls that wait for a person: list them, approve or deny them."""
        self._check_open()
        return Approvals(self.database.durable_waits, self.clock)

    @property
    def processes(self) -> Processes:
        """Background work: start it, look at it, steer it."""
        self._check_open()
        return Processes(self)

    @property
    def process_host(self) -> ProcessHost:
        """What runs and starts the processes of this runtime."""
        self._check_open()
        assert self._host is not None, "made with the worker"
        return self._host

    @property
    def triggers(self) -> Triggers:
        """Subscriptions to events: make, list and cancel them, and see what became of events."""
        return Triggers(self)

    @property
    def wakes(self) -> Wakes:
        """Wakes of processes: what has become of them, and sending again what did not arrive."""
        self._check_open()
        return Wakes(self.database.process_registry)

    @property
    def standing(self) -> StandingWork:
        """What this runtime does beside turns and processes."""
        self._check_open()
        assert self._standing is not None, "made with the worker"
        return self._standing

    async def emit(
        self,
        source: EventSource | str,
        payload: Any = None,
        *,
        idempotency_key: str,
        source_key: str | None = None,
    ) -> Emitted:
        """Record that something has happened, and start what was subscribed to it.

        The same key again is the same event: it is recorded once, and each subscription starts once. So a webhook
        that is delivered twice may be emitted twice. What cannot be started now fails nothing: it is told in the
        answer, and started once it can be.

        Args:
            source: Where it comes from: an `EventSource`, or the bare type of an event.
            payload: What has happened, as JSON.
            idempotency_key: Names the event among all events of this database.
            source_key: The key of the source, where only that is known.

        Raises:
            LashError: `trigger_payload_invalid` for a payload that is not what was declared;
                `host_event_idempotency_conflict` for a key that another event has; `host_event_invalid_request`.
        """
        return await self.standing.router.emit(
            source, payload, idempotency_key=idempotency_key, source_key=source_key
        )

    def emit_sync(self, source: EventSource | str, payload: Any = None, *, idempotency_key: str) -> Emitted:
        """Record an event; for scripts. See `emit`."""
        refuse_on_running_loop("emit_sync")
        return self.call_sync(self.emit(source, payload, idempotency_key=idempotency_key))

    def subagent_depth(self, agent: str) -> int:
        """Return how deep the agents that this one asks may stand below a user's session."""
        known = self._agents.get(agent)
        return Limits().subagent_depth if known is None else known.limits.subagent_depth

    def attachments(self, session_id: str) -> SessionAttachments:
        """Return the attachments of a session."""
        self._check_open()
        return SessionAttachments(
            session_id,
            manifest=self.database.runtime_persistence(session_id),
            store=self.database.attachment_store,
            clock=self.clock,
        )

    # ---- turns

    async def accept(self, draft: TurnDraft) -> Accepted:
        """Accept input durably; the worker, here or elsewhere, does the rest."""
        acceptance = await self._accept(draft)
        return Accepted(
            turn_id=acceptance.turn_id,
            batch_id=acceptance.batch_id,
            enqueue_seq=acceptance.enqueue_seq,
            known=acceptance.known,
        )

    async def finish_turn(self, draft: TurnDraft, output_type: Any = None) -> TurnResult:
        """Accept a turn and return its result, whoever drives it."""
        worker = self._running_worker()
        if output_type is None and draft.agent in self._agents:
            output_type = self._agents[draft.agent].output
        outcomes = TurnOutcomes(self.database, worker)
        expected = worker.expect(draft.session_id, draft.turn_id)
        try:
            acceptance = await self._accept(draft)
            if acceptance.status.state is TurnState.COMMITTED:
                return await outcomes.of_receipt(draft, acceptance.status.receipt, output_type)
            return await outcomes.wait_for(
                draft, expected, output_type, claimed=acceptance.claimed is not None
            )
        finally:
            worker.forget(draft.session_id, draft.turn_id)

    async def cancel_turn(self, session_id: str, turn_id: str) -> CancelAnswer:
        """Ask a turn to end; see `Turn.cancel`."""
        worker = self._running_worker()
        answer = await self.database.turn_ingress.request_cancel(session_id, turn_id)
        driver = worker.find_driver(session_id, turn_id)
        if driver is not None and answer == "requested":
            driver.cancel()
        return answer

    def watch_turn(self, session_id: str, turn_id: str) -> ActivitySubscription:
        """Watch one turn, as far as this process drives it."""
        return self._bus.subscribe(session_id, turn_id)

    def watch_session(self, session_id: str, cursor: str | None = None) -> SessionWatch:
        """Watch a session; see `Session.watch`. A watch may be made before the runtime is opened."""
        return SessionWatch(self.database, self._bus, session_id, cursor)

    async def _accept(self, draft: TurnDraft) -> TurnAcceptance:
        worker = self._running_worker()
        mine = draft.agent in self._bound and worker.can_take_up(draft.session_id)
        # Subscribed before the acceptance, so that no input that comes after it goes unnoticed.
        changes = self.database.subscribe([f"session:{draft.session_id}"]) if mine else None
        acceptance: TurnAcceptance | None = None
        try:
            acceptance = await self.database.turn_ingress.accept_turn(
                draft,
                claim_owner_id=self.database.owner_id if mine else None,
                lease_ttl_ms=self._services.lease_ttl_ms,
            )
        finally:
            if changes is not None and (acceptance is None or acceptance.claimed is None):
                changes.close()
        if acceptance.claimed is not None and changes is not None:
            worker.take_up(acceptance.claimed, changes)
        elif draft.agent in self._bound and acceptance.status.state is not TurnState.COMMITTED:
            worker.note_waiting(draft.session_id)
        return acceptance

    # ---- parts

    def _bind(self, resources: Resources, threads: ToolThreads, lanes: SerialLanes) -> dict[str, BoundAgent]:
        """Resolve what the agents name. Threads and serial keys are shared by all of them."""
        bound = {}
        for name, agent in self._agents.items():
            tools = ToolSet(agent.tools, budget=_budget(agent), threads=threads, lanes=lanes).bind(resources)
            bound[name] = BoundAgent(
                agent,
                model=resolve_model(agent.model, clock=self.clock, ids=self.ids),
                tools=tools,
                code=self._programs(agent, tools),
            )
        return bound

    @property
    def _plugins(self) -> list[Plugin]:
        """The plugins of the agents that this runtime drives, each once however many agents share it."""
        return list({id(one): one for bound in self._bound.values() for one in bound.agent.plugins}.values())

    def _programs(self, agent: Agent, tools: ToolSet) -> CodeMode | None:
        """Return what programs of an agent run in; None for an agent of another protocol."""
        if agent.protocol != "code":
            return None
        from lash.runtime.code import AgentPrograms  # the language is loaded by those who use it
        from lash.runtime.processes.program_requests import ProcessRequests
        from lash.runtime.triggers.program_triggers import TriggerRequests, trigger_surface

        sources = self._services.event_sources
        commands = TriggerCommands(self.database.host_event_store, sources)
        return AgentPrograms(
            agent,
            tools,
            extra=trigger_surface(sources),
            requests=(ProcessRequests(), TriggerRequests(commands, sources)),
            secret=self._services.frame_key,
        )

    def check_bindings(self, agent_name: str, bindings: Mapping[str, Binding]) -> None:
        """Refuse bindings of a turn that its agent's programs could not read.

        Raises:
            LashError: `code_options_invalid`.
        """
        agent = self._agents.get(agent_name)
        if agent is None:
            return  # whoever has the agent checks it
        if agent.protocol != "code":
            raise LashError(
                "code_options_invalid", f"agent {agent_name!r} runs no programs, so none could read a binding"
            )
        (agent.code or CodeOptions()).check(bindings)

    def _only_agent(self, session_id: str) -> str:
        if len(self._given) == 1:
            return self._given[0]
        raise LashError(
            "agent_ambiguous",
            f"session {session_id!r} is new and this runtime has the agents {sorted(self._given)}; "
            "say which one: runtime.session(id, agent)",
            session_id=session_id,
        )

    def _running_worker(self) -> Worker:
        self._check_open()
        assert self._worker is not None, "checked"
        return self._worker

    def _check_open(self) -> None:
        if self._worker is None:
            raise LashError(
                "runtime_closed", "this runtime is not open; use it inside `async with lash.open(…)`"
            )


def _budget(agent: Agent) -> OutputBudget:
    """Return how much of a tool's result reaches whoever called it: all of it, where that is a program."""
    if agent.protocol == "code":
        return OutputBudget(limit_bytes=agent.limits.program_memory_bytes, limit_lines=sys.maxsize)
    return OutputBudget(limit_bytes=agent.limits.tool_output_bytes)


def _checked_retention(retention_ms: int | None) -> int | None:
    if retention_ms is not None and retention_ms < 0:
        raise LashError(
            "invalid_argument",
            f"a retention of {retention_ms} ms is negative; give milliseconds, or None to keep settled evidence",
            retention_ms=retention_ms,
        )
    return retention_ms


def _by_type(sources: Sequence[EventSource]) -> dict[str, EventSource]:
    by_type: dict[str, EventSource] = {}
    for source in sources:
        if source.type in by_type:
            raise LashError(
                "event_source_duplicate",
                f"two declared sources have events of the type {source.type!r}; declare the type once",
                type=source.type,
            )
        by_type[source.type] = source
    return by_type


def _by_name(agents: Sequence[Agent]) -> dict[str, Agent]:
    by_name: dict[str, Agent] = {}
    for agent in agents:
        if agent.name in by_name:
            raise LashError(
                "agent_duplicate",
                f"two agents are called {agent.name!r}; names tell work apart",
                agent=agent.name,
            )
        by_name[agent.name] = agent
    return by_name
