"""What a process of a program is run from: the agent, the stored module, and the checks before it is run.

Each way in which a process cannot be run is an end of its own, with a code of its own (runtime 4.2): it is known
before anything of it runs.
"""

from __future__ import annotations

import msgspec

from lash.errors import LashError
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.code import AgentPrograms
from lash.runtime.processes.engine import ProcessRun
from lash.values import AwaitFailure, FailureClass, LashlangProcessInput, ProcessRecord
from lashlang import Code, LangError, ModuleArtifact, ModuleArtifactError, ProcessRef, compile_program


class ProgramLoadError(Exception):
    """A process that cannot be run: its end."""

    def __init__(self, code: str, message: str, failure_class: FailureClass = "invalid_request") -> None:
        super().__init__(message)
        self.end = AwaitFailure(failure_class=failure_class, code=code, message=message)


def agent_of(process: ProcessRecord, context: ProcessRun) -> BoundAgent:
    """Return the agent whose tools the process may use.

    Raises:
        LashError: `agent_unknown`: another runtime, which has that agent, is to run it.
    """
    profile = process.provenance.host_profile_id
    agent = context.agents.get(profile.removeprefix("agent:")) if profile.startswith("agent:") else None
    if agent is None and profile == "default" and len(context.agents) == 1:
        agent = next(iter(context.agents.values()))
    if agent is None:
        raise LashError(
            "agent_unknown",
            f"process {process.id!r} was started under {profile!r}, and this runtime was given "
            f"{sorted(context.agents)}",
            process_id=process.id,
        )
    return agent


async def module_of(process: ProcessRecord, context: ProcessRun) -> ModuleArtifact:
    """Return the module that a process was started from.

    Raises:
        ProgramLoadError: `process_module_artifact_missing`, `process_module_artifact_load_failed`.
    """
    assert isinstance(process.input, LashlangProcessInput), "chosen by its input"
    ref = process.input.module_ref
    try:
        module = await context.services.database.artifact_store.get_module_artifact(ref)
    except (ModuleArtifactError, LashError) as problem:
        if isinstance(problem, LashError) and problem.retryable:
            raise
        raise ProgramLoadError(
            "process_module_artifact_load_failed", f"module {ref} cannot be read: {problem}", "internal"
        ) from problem
    if module is None:
        raise ProgramLoadError(
            "process_module_artifact_missing", f"module {ref} is not stored here", "unavailable"
        )
    return module


def checked_code(process: ProcessRecord, module: ModuleArtifact, programs: AgentPrograms) -> Code:
    """Return the program of a process, after everything that its start has pinned was compared.

    Raises:
        ProgramLoadError: `process_required_surface_mismatch`, `process_ref_mismatch`,
            `process_surface_incompatible`, `process_compile_failed`.
    """
    asked = process.input
    assert isinstance(asked, LashlangProcessInput), "chosen by its input"
    if module.required_surface_ref != asked.required_surface_ref:
        raise ProgramLoadError(
            "process_required_surface_mismatch",
            f"the module needs {module.required_surface_ref}, the process was started with "
            f"{asked.required_surface_ref}",
        )
    try:
        wanted = msgspec.convert(asked.process_ref, ProcessRef)
    except msgspec.ValidationError as problem:
        raise ProgramLoadError(
            "process_ref_mismatch", f"the process reference is none: {problem}"
        ) from problem
    if module.exports.processes.get(asked.process_name) != wanted:
        raise ProgramLoadError(
            "process_ref_mismatch", f"the module has no process {asked.process_name!r} of that reference"
        )
    lacking = module.required_surface.missing_from(programs.surface.host)
    if lacking:
        raise ProgramLoadError(
            "process_surface_incompatible",
            f"this runtime lacks what the process needs: {'; '.join(lacking)}",
            "unavailable",
        )
    try:
        return compile_program(module)
    except LangError as problem:
        raise ProgramLoadError("process_compile_failed", str(problem), "internal") from problem
