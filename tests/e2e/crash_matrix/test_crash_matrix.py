"""`agent_crash_matrix`, as a user has it: an agent of twenty lines, and agents that break their promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import lash
from lash.testing import ScriptedModel, call, reply
from lash.testing.crash_matrix import CrashMatrix, CrashRun
from lash.values import ModelRequest, TokenUsage

pytestmark = [pytest.mark.kill, pytest.mark.xdist_group("kill")]

RunMatrix = Callable[..., CrashMatrix]


def make_agent(folder: Path) -> lash.Agent:
    @lash.tool(effect="at_most_once")
    def charge(amount: int) -> str:
        """Charge the card."""
        with (folder / "charged.txt").open("a") as ledger:
            ledger.write(f"{amount}\n")
        return f"charged {amount}"

    @lash.tool(effect="read_only")
    async def balance() -> int:
        """Return the balance."""
        return 10

    def conclude(request: ModelRequest) -> str:
        told = request.messages[-1].parts[0]
        return "Charged." if getattr(told, "content", None) == "charged 5" else "I do not know."

    cost = TokenUsage(input_tokens=10, output_tokens=2)
    steps = [reply(call("balance"), usage=cost), reply(call("charge", amount=5), usage=cost), conclude]
    return lash.Agent("teller", model=ScriptedModel(steps, by_request=True), tools=[charge, balance])


def test_an_agent_is_killed_at_every_boundary_and_charges_once(
    agent_crash_matrix: RunMatrix, tmp_path: Path
) -> None:
    matrix = agent_crash_matrix(make_agent, "Charge 5.")

    def charged_at_most_once(run: CrashRun) -> None:
        assert run.runs_of("charge") <= 1
        assert run.text == ("I do not know." if run.unknown else "Charged.")

    matrix.check(charged_at_most_once)
    names = [run.boundary.split("#")[0] for run in matrix.cut]
    assert {"model:before", "model:after", "tool charge:before", "tool charge:after"} <= set(names)
    assert {"accept_turn:after", "commit_runtime_state:before", "commit_runtime_state:after"} <= set(names)
    assert [run.boundary for run in matrix.cut if run.unknown], "killed in the middle of charge: nobody knows"
    assert len(matrix.unreached) < len(matrix.cut) / 4, matrix.unreached
    for ledger in (tmp_path / "crash-matrix").glob("*/*/charged.txt"):
        assert ledger.read_text() == "5\n"


def make_unsteady_agent(folder: Path) -> lash.Agent:
    """Its answer depends on how often a process was started: not what a model under test may do."""
    marks = folder / "starts.txt"
    marks.write_text(marks.read_text() + "x" if marks.exists() else "x")
    starts = len(marks.read_text())
    return lash.Agent("unsteady", model=ScriptedModel([f"start {starts}"]))


def test_an_agent_that_answers_otherwise_after_a_crash_is_found(agent_crash_matrix: RunMatrix) -> None:
    reads = ("list_", "load_", "prune_", "release_", "is_", "admit_")
    matrix = agent_crash_matrix(make_unsteady_agent, "Go.", skip=reads)
    with pytest.raises(AssertionError, match="'start 2', uncut it is 'start 1'") as caught:
        matrix.check()
    assert "model:before#1" in str(caught.value)


def test_an_agent_that_other_processes_cannot_find_is_refused(agent_crash_matrix: RunMatrix) -> None:
    def here() -> lash.Agent:
        return lash.Agent("a", model=ScriptedModel(["x"]))

    with pytest.raises(lash.LashError) as caught:
        agent_crash_matrix(here, "Go.")
    assert caught.value.code == "invalid_argument"
