"""The processes of one runtime: engines, worker and starts, put together from what it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lash.agents import ProcessDefinition
from lash.errors import LashError
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.processes.call_processes import CallOrigin, CallProcesses
from lash.runtime.processes.engine import ProcessEngine, ProcessEngines, ProcessRun
from lash.runtime.processes.function_engine import FunctionEngine
from lash.runtime.processes.session_engine import SessionTurnEngine
from lash.runtime.processes.starting import ProcessStarts
from lash.runtime.processes.steps import StepTools
from lash.runtime.processes.tool_engine import ToolCallEngine
from lash.runtime.processes.worker import ProcessWorker
from lash.runtime.services import RuntimeServices
from lash.tools import Resources, SerialLanes, ToolThreads
from lash.values import (
    FunctionInput,
    LashlangProcessInput,
    ProcessAwaitOutput,
    ProcessInput,
    ProcessRecord,
    SessionTurnInput,
    ToolCallInput,
)

DEFAULT_GRACE_MS = 1_000


class ProcessHost:
    """What runs and starts processes for one runtime.

    Args:
        services: What all drivers share.
        agents: The agents of this runtime, by name.
        definitions: Its durable functions.
        resources: Live objects for functions and steps.
        engines: More engines, by the kind of input that each runs; they win over the usual ones.
        max_concurrent: How many processes run at the same time.
        grace_ms: How long a run may wait in memory before it is let go of.

    Raises:
        LashError: `process_duplicate` for two definitions of one name; `resource_missing`.
    """

    def __init__(
        self,
        services: RuntimeServices,
        agents: Mapping[str, BoundAgent],
        definitions: Sequence[ProcessDefinition[Any]],
        *,
        resources: Resources,
        threads: ToolThreads | None = None,
        lanes: SerialLanes | None = None,
        engines: Mapping[type[ProcessInput], ProcessEngine] | None = None,
        max_concurrent: int = 256,
        grace_ms: int = DEFAULT_GRACE_MS,
    ) -> None:
        self._services = services
        self._grace_s = grace_ms / 1000
        self.definitions = definitions_by_name(definitions)
        _check_resources(self.definitions, resources)
        self.starts = ProcessStarts(services, agents)
        tools = StepTools(
            resources,
            ToolThreads() if threads is None else threads,
            SerialLanes() if lanes is None else lanes,
        )
        usual: dict[type[ProcessInput], ProcessEngine] = {
            ToolCallInput: ToolCallEngine(agents),
            SessionTurnInput: SessionTurnEngine(agents),
            FunctionInput: FunctionEngine(self.definitions, self.starts, tools, grace_s=self._grace_s),
            LashlangProcessInput: _ProgramEngine(),
        }
        profiles = [f"agent:{name}" for name in agents]
        profiles += [definition.host_profile for definition in self.definitions.values()]
        self.worker = ProcessWorker(
            services,
            agents,
            ProcessEngines(usual | dict(engines or {})),
            [*profiles, "default"],
            max_concurrent=max_concurrent,
            grace_s=self._grace_s,
        )

    def for_call(self, origin: CallOrigin) -> CallProcesses:
        """Return the processes of one attempt of a tool call."""
        return CallProcesses(self._services, self.starts, origin, grace_s=self._grace_s)


class _ProgramEngine:
    """Runs what programs declare. The language is loaded with the first such process."""

    async def run(self, process: ProcessRecord, context: ProcessRun) -> ProcessAwaitOutput:
        from lash.runtime.processes.lashlang_engine import LashlangEngine

        return await LashlangEngine(secret=context.services.frame_key).run(process, context)


def definitions_by_name(
    definitions: Sequence[ProcessDefinition[Any]],
) -> dict[str, ProcessDefinition[Any]]:
    """Return definitions by their names.

    Raises:
        LashError: `process_duplicate`.
    """
    by_name: dict[str, ProcessDefinition[Any]] = {}
    for one in definitions:
        if one.name in by_name and by_name[one.name] is not one:
            raise LashError(
                "process_duplicate",
                f"two processes are called {one.name!r}; names tell work apart",
                process=one.name,
            )
        by_name[one.name] = one
    return by_name


def _check_resources(definitions: Mapping[str, ProcessDefinition[Any]], resources: Resources) -> None:
    """Refuse at the start what a function would miss when it runs."""
    for definition in definitions.values():
        for parameter in definition.signature.resources:
            if parameter.required:
                resources.get(parameter.kind)
