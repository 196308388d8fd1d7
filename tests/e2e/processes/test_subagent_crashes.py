"""A turn that asks another agent, killed at every boundary that it passes: one answer, paid for once."""

from __future__ import annotations

from pathlib import Path

import pytest

import lash
from lash.testing import ScriptedModel, call, reply
from lash.testing.crash_matrix import CrashRun, run_crash_matrix
from lash.values import ModelRequest, TokenUsage, ToolResultPart

pytestmark = [pytest.mark.kill, pytest.mark.xdist_group("kill"), pytest.mark.heavy]

# What only looks changes nothing: to be killed there is to be killed at the write before it.
READS = (
    *("list_", "load_", "find_", "get_", "has_", "is_", "next_", "parked_", "events_", "handle_"),
    *("prune_", "release_", "admit_", "resolve_due"),
)


def make_agent() -> lash.Agent:
    def conclude(request: ModelRequest) -> object:
        told = [str(part.content) for part in request.messages[-1].parts if isinstance(part, ToolResultPart)]
        return reply(f"told {told}", usage=TokenUsage(input_tokens=1))

    thinker = lash.Agent(
        "thinker", model=ScriptedModel([reply("42", usage=TokenUsage(input_tokens=100))], by_request=True)
    )
    steps = [reply(call("thinker", input="What?"), usage=TokenUsage(input_tokens=10)), conclude]
    return lash.Agent("chief", model=ScriptedModel(steps, by_request=True), tools=[thinker.as_tool()])


def test_a_subagent_answers_once_and_is_paid_for_once_wherever_the_kill_falls(tmp_path: Path) -> None:
    matrix = run_crash_matrix(make_agent, "ask", tmp_path, skip=READS)

    def same(run: CrashRun) -> None:
        assert run.text == "told ['42']"
        assert run.report["counted_tokens"] == 111
        assert run.report["roles"] == ["user", "assistant", "tool", "assistant"]
        assert (run.report["leased"], run.report["queued"]) == (False, 0)

    for run in (matrix.uncut, *matrix.cut):
        try:
            same(run)
        except AssertionError as problem:
            raise AssertionError(f"{run.boundary}: {problem}") from problem
    names = {run.boundary.split("#")[0] for run in matrix.cut}
    assert {
        "register_process:before",
        "register_process:after",
        "complete_process_with_lease:before",
        "complete_process_with_lease:after",
        "commit_runtime_state:before",
        "commit_runtime_state:after",
    } <= names
