"""The engine of durable functions: `@lash.process`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from lash.agents import ProcessDefinition
from lash.errors import LashError
from lash.runtime.processes.engine import ProcessRun
from lash.runtime.processes.function_context import FunctionContext
from lash.runtime.processes.function_run import FunctionCancelled, FunctionRun, MachineryFailed
from lash.runtime.processes.starting import ProcessStarts
from lash.runtime.processes.steps import StepTools
from lash.values import (
    AwaitCancelled,
    AwaitFailure,
    AwaitSuccess,
    FunctionInput,
    Json,
    ProcessAwaitOutput,
    ProcessRecord,
    canonical_json,
)

_log = logging.getLogger("lash.runtime")


class FunctionEngine:
    """Runs durable functions from their start, with what is recorded.

    Args:
        definitions: By name.
        starts: Plans what functions start.
        tools: What their steps share.
        grace_s: How long a function may wait in memory before it is let go of.
    """

    def __init__(
        self,
        definitions: Mapping[str, ProcessDefinition[Any]],
        starts: ProcessStarts,
        tools: StepTools,
        *,
        grace_s: float,
    ) -> None:
        self._definitions = definitions
        self._starts = starts
        self._tools = tools
        self._grace_s = grace_s

    async def run(self, process: ProcessRecord, context: ProcessRun) -> ProcessAwaitOutput:
        """Run a function to its end; see `ProcessEngine`."""
        assert isinstance(process.input, FunctionInput), "chosen by its input"
        definition = self._definitions[process.input.name]
        run = FunctionRun(context, context.recorded, grace_s=self._grace_s)
        function_context = FunctionContext(run, self._starts, self._tools)
        try:
            given = self._given(definition, process.input, function_context)

            async def function() -> Any:
                value = await definition.function(**given)
                await function_context.settle_starts()
                return value

            value = await run.finish(function)
            return AwaitSuccess(value=definition.result_to_json(value))
        except MachineryFailed as failed:
            raise failed.problem from failed
        except FunctionCancelled:
            return AwaitCancelled(message=context.cancel_reason or "cancelled")
        except LashError as problem:
            return AwaitFailure(
                failure_class="execution",
                code=problem.code,
                message=problem.message,
                raw=_json_facts(problem),
            )
        except Exception as problem:  # noqa: BLE001  # the user's own function: its failure is the process's
            _log.warning("process %r failed", process.id, exc_info=problem)
            return AwaitFailure(
                failure_class="execution",
                code="process_failed",
                message=f"{type(problem).__name__}: {problem}",
            )

    def _given(
        self, definition: ProcessDefinition[Any], input_: FunctionInput, context: FunctionContext
    ) -> dict[str, Any]:
        """Return what the function is called with: its arguments, its context, live objects."""
        problems = definition.arguments.check(input_.args)
        if problems:
            raise LashError(
                "invalid_process_args",
                f"process {definition.name} was started with arguments that its function does not take any more: "
                + "; ".join(problems),
                process=definition.name,
            )
        given: dict[str, Any] = definition.arguments.convert(input_.args)
        given.update(dict.fromkeys(definition.signature.contexts, context))
        for parameter in definition.signature.resources:
            try:
                given[parameter.name] = self._tools.resources.get(parameter.kind)
            except LashError as problem:
                if parameter.required or problem.code != "resource_missing":
                    raise
        return given


def _json_facts(problem: LashError) -> Json:
    try:
        canonical_json(problem.facts)
    except LashError:  # facts may be anything; a failure must not fail over them
        return None
    return problem.facts or None
