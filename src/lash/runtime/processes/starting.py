"""What a process is started with, whoever starts it: a turn's tool, a durable function, a program, the host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lash.agents import WORK_EVENT_TYPES, Agent, ProcessDefinition
from lash.errors import LashError
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.processes.environment import environment_of, keep_environment
from lash.runtime.processes.subagents import answer_of, subagent_input
from lash.runtime.services import RuntimeServices
from lash.tools import Tool
from lash.values import (
    CORE_EVENT_TYPES,
    SUBAGENT_DEPTH_MAX,
    CausalRef,
    CompletedToolCall,
    Json,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessHandleDescriptor,
    ProcessProvenance,
    ProcessRegistration,
    ProcessScope,
    ProcessWakeSpec,
    SelectConst,
    SelectPointer,
    SelectTemplate,
    ToolCallInput,
    ToolCallPart,
    session_depth,
)

DEFAULT_DEPTH = 3


@dataclass(frozen=True, slots=True)
class StartPlan:
    """A process about to be started.

    Attributes:
        registration: What it is started from; without its environment.
        descriptor: How its starter sees it.
        environment: Stores what it is started under and returns the reference; None when it has none.
        convert: Makes the starter's type of the process's value.
    """

    registration: ProcessRegistration
    descriptor: ProcessHandleDescriptor
    environment: Callable[[], Awaitable[str]] | None
    convert: Callable[[Json], Any]

    async def complete(self) -> ProcessRegistration:
        """Return the registration with the environment stored."""
        if self.environment is None:
            return self.registration
        return self.registration.replace(environment_ref=await self.environment())


class ProcessStarts:
    """Plans starts by what this runtime was given.

    Args:
        services: What all drivers share.
        agents: The agents of this runtime, by name.
    """

    def __init__(self, services: RuntimeServices, agents: Mapping[str, BoundAgent]) -> None:
        self._services = services
        self._agents = agents

    def of_work(
        self,
        process_id: str,
        work: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        agent: str | None,
        owner: ProcessScope,
        caused_by: CausalRef | None,
        wake_target: ProcessScope | None,
        tells_end: bool = False,
        label: str | None = None,
        host_profile: str | None = None,
    ) -> StartPlan:
        """Plan a `@lash.process`, or a call of a tool in the background.

        Args:
            process_id: Its id.
            work: The definition, or the tool.
            args, kwargs: What it is called with.
            agent: Whose tool it is; None to find one that has it.
            owner: Who sees it.
            caused_by: What it comes from.
            wake_target: Whom its wakes reach; None for nobody.
            tells_end: Whether they are also woken when it ends.
            label: How its owner sees it.
            host_profile: Which runtimes may run it, if not those that have the definition.

        Raises:
            LashError: `invalid_process_args`, `invalid_tool_args`, `process_not_startable`.
        """
        if isinstance(work, ProcessDefinition):
            registration = work.registration(process_id, work.input(args, kwargs))
            profile = host_profile or work.host_profile
            descriptor = ProcessHandleDescriptor(kind="function", label=label or work.name)
            plan = StartPlan(registration, descriptor, None, work.result_from_json)
        elif isinstance(work, Tool):
            bound = self._agent_with(work, agent)
            profile = f"agent:{bound.name}"
            call = _prepared_call(bound, work, process_id, args, kwargs)
            registration = ProcessRegistration(id=process_id, input=ToolCallInput(call=call))
            descriptor = ProcessHandleDescriptor(kind="tool", label=label or work.name)
            registration = registration.with_extra_event_types(WORK_EVENT_TYPES)
            plan = StartPlan(registration, descriptor, self._environment(bound), _as_it_is)
        else:
            raise LashError(
                "process_not_startable",
                f"a {type(work).__name__} cannot be started as a process; give a @lash.process or a @lash.tool",
            )
        result_pointer = "/await_output/value" if tells_end else None
        return _owned(plan, profile, owner, caused_by, wake_target, result_pointer)

    def of_agent(
        self,
        process_id: str,
        agent: Agent | str,
        input_: str,
        *,
        output: Any,
        owner: ProcessScope,
        caused_by: CausalRef | None,
        label: str | None = None,
        wake_target: ProcessScope | None = None,
        depth_limit: int = DEFAULT_DEPTH,
    ) -> StartPlan:
        """Plan a question to an agent, in a session of its own below the owner's.

        Raises:
            LashError: `subagent_depth_exceeded`; `agent_unknown`; `output_type_invalid`.
        """
        name = agent if isinstance(agent, str) else agent.name
        bound = self._agents.get(name)
        if bound is None and isinstance(agent, str):
            raise LashError(
                "agent_unknown",
                f"this runtime was given no agent {name!r}, only {sorted(self._agents)}; pass the Agent itself if "
                "another runtime serves it",
                agent=name,
            )
        check_depth(owner.session_id, depth_limit)
        if isinstance(agent, Agent):
            answer_type = agent.output if output is None else output
        else:
            answer_type = bound.agent.output if output is None and bound is not None else output
        work = subagent_input(process_id, name, input_, parent_session_id=owner.session_id, output=output)
        registration = ProcessRegistration(id=process_id, input=work).with_extra_event_types(WORK_EVENT_TYPES)
        plan = StartPlan(
            registration,
            ProcessHandleDescriptor(kind="agent", label=label or name),
            None if bound is None else self._environment(bound),
            lambda value: answer_of(value, answer_type),
        )
        return _owned(plan, f"agent:{name}", owner, caused_by, wake_target, "/await_output/value/text")

    def _environment(self, agent: BoundAgent) -> Callable[[], Awaitable[str]]:
        store = self._services.database.attachment_store
        return lambda: keep_environment(store, environment_of(agent))

    def _agent_with(self, tool: Tool[..., Any], name: str | None) -> BoundAgent:
        for bound in self._agents.values() if name is None else [self._agents[name]]:
            if bound.tools.get(tool.name) is not None:
                return bound
        whose = "no agent of this runtime" if name is None else f"agent {name!r}"
        raise LashError(
            "process_not_startable",
            f"tool {tool.name!r} cannot run in the background: {whose} does not have it among its tools",
            tool=tool.name,
        )


def check_depth(parent_session_id: str, depth_limit: int) -> None:
    """Refuse an agent too far below the session that a user has begun.

    Raises:
        LashError: `subagent_depth_exceeded`.
    """
    limit = min(depth_limit, SUBAGENT_DEPTH_MAX)
    if session_depth(parent_session_id) >= limit:
        raise LashError(
            "subagent_depth_exceeded",
            f"session {parent_session_id!r} is {session_depth(parent_session_id)} agents deep, and {limit} are "
            "allowed; let this agent do the work itself",
            session_id=parent_session_id,
            limit=limit,
        )


def _owned(
    plan: StartPlan,
    host_profile: str,
    owner: ProcessScope,
    caused_by: CausalRef | None,
    wake_target: ProcessScope | None,
    result_pointer: str | None,
) -> StartPlan:
    registration = plan.registration.replace(
        provenance=ProcessProvenance(owner_scope=owner, host_profile_id=host_profile, caused_by=caused_by),
        wake_target=wake_target,
    )
    if wake_target is not None and result_pointer is not None:
        label = plan.descriptor.label or registration.id
        registration = registration.with_extra_event_types(_ends_that_wake(label, result_pointer))
    return StartPlan(registration, plan.descriptor, plan.environment, plan.convert)


def _ends_that_wake(label: str, result_pointer: str) -> list[ProcessEventType]:
    """Return the ends of a process, each of which tells the session that waits for it (contract 1.9)."""
    said = {
        "process.completed": ("{label} has finished: {said}", result_pointer),
        "process.failed": ("{label} has failed: {said}", "/await_output/message"),
        "process.cancelled": ("{label} was cancelled: {said}", "/await_output/message"),
    }
    types = []
    for core in CORE_EVENT_TYPES:
        if core.name in said:
            template, pointer = said[core.name]
            wake = ProcessWakeSpec(
                input=SelectTemplate(
                    template=template,
                    fields={"label": SelectConst(value=label), "said": SelectPointer(pointer=pointer)},
                )
            )
            semantics = ProcessEventSemanticsSpec(terminal=core.semantics.terminal, wake=wake)
            types.append(core.replace(semantics=semantics))
    return types


def _prepared_call(
    bound: BoundAgent, tool: Tool[..., Any], process_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    names = [one.name for one in tool.signature.arguments]
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    prepared = bound.tools.prepare(ToolCallPart(call_id=process_id, name=tool.name, args=given))
    if isinstance(prepared, CompletedToolCall):
        assert prepared.error is not None, "a call that was not prepared says why"
        raise LashError.from_record(prepared.error)
    return prepared


def _as_it_is(value: Json) -> Json:
    return value
