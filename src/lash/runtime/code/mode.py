"""The code side of an agent: its surface, its part of the instructions, and a runner for each turn."""

from __future__ import annotations

from collections.abc import Sequence

from lash.agents import Agent, CodeOptions
from lash.errors import LashError
from lash.runtime.code.bound_values import BoundValues
from lash.runtime.code.effects_of_programs import ProgramRequests
from lash.runtime.code.prompt import execution_section
from lash.runtime.code.runner import ProgramRules, TurnPrograms
from lash.runtime.code.session_history import SessionHistory
from lash.runtime.code.surface import CodeSurface, code_surface
from lash.runtime.code_turns import CodeTurn
from lash.tools import ToolSet
from lash.turn import CodeRules
from lashlang import HostSurface, LangError, Limits


class AgentPrograms:
    """What turns of an agent of the code protocol are run with; a `CodeMode`.

    Args:
        agent: The agent.
        tools: Its tools.
        abilities: What programs may do beside calling tools, sleeping, and having processes.
        extra: What programs may name beside tools.
        requests: Who does what else programs ask for.
        secret: What stored frames are authenticated with; empty for a mere check against damage.

    Raises:
        LashError: `tool_definition_invalid` for tools that cannot be told apart in programs.
    """

    def __init__(
        self,
        agent: Agent,
        tools: ToolSet,
        *,
        abilities: tuple[str, ...] = (),
        extra: HostSurface | None = None,
        requests: Sequence[ProgramRequests] = (),
        secret: bytes = b"",
    ) -> None:
        self._agent = agent
        self._abilities = abilities
        self._extra = extra
        self._options = agent.code or CodeOptions()
        self._requests = tuple(requests)
        self._secret = secret
        self.surface = _surface(agent, tools, abilities, extra)
        self.section = execution_section(self.surface, self._options.bindings)
        limits = agent.limits
        termination = self._options.termination or (
            "prose_or_submit" if agent.output is None else "submit_required"
        )
        self._rules = ProgramRules(
            limits=Limits(
                fuel=limits.program_fuel,
                memory_bytes=limits.program_memory_bytes,
                time_ms=limits.program_time_ms,
            ),
            rules=CodeRules(termination=termination, max_repairs=limits.max_program_repairs),
        )

    @property
    def requests(self) -> tuple[ProgramRequests, ...]:
        """Who does what programs ask for beside tool calls and sleeping."""
        return self._requests

    @property
    def limits(self) -> Limits:
        """The bounds of one program."""
        return self._rules.limits

    def with_tools(self, tools: ToolSet) -> AgentPrograms:
        """Return the code side of the same agent with other tools."""
        return AgentPrograms(
            self._agent,
            tools,
            abilities=self._abilities,
            extra=self._extra,
            requests=self._requests,
            secret=self._secret,
        )

    @property
    def prose_may_answer(self) -> bool:
        return self._rules.rules.termination == "prose_or_submit"

    def open(self, turn: CodeTurn) -> TurnPrograms:
        """Return what runs the programs of one turn; see `TurnPrograms`."""
        history = SessionHistory(turn.resident.history.messages, turn.resident.history.protocol_events)
        return TurnPrograms(
            turn,
            self.surface,
            self._rules,
            BoundValues(self._options, turn.input, history),
            history,
            requests=self._requests,
            secret=self._secret,
        )


def _surface(
    agent: Agent, tools: ToolSet, abilities: tuple[str, ...], extra: HostSurface | None
) -> CodeSurface:
    try:
        return code_surface(
            tools, abilities=("sleep", "processes", "process_signals", *abilities), extra=extra
        )
    except LangError as problem:
        raise LashError(
            "tool_definition_invalid",
            f"the tools of agent {agent.name!r} cannot be told apart in programs: {problem.message}",
            agent=agent.name,
        ) from problem
