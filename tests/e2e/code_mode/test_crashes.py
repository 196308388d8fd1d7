"""A turn in code mode is killed at every boundary: no call is made twice, and the answer is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import lash
import lash.runtime.code  # the processes of the matrix are forked of one that has it loaded
import lash.runtime.triggers.program_triggers
from lash.testing import ScriptedModel, reply
from lash.testing.crash_matrix import CrashMatrix, CrashRun
from lash.values import TokenUsage

pytestmark = [pytest.mark.kill, pytest.mark.xdist_group("kill")]

RunMatrix = Callable[..., CrashMatrix]

# What is around every turn, with programs or without, is killed by the matrices of plain turns.
ELSEWHERE = ("admit", "find_", "is_cancel", "list_", "load_", "prune_", "release_", "renew_")

LOOK = """I look first.
```lashlang
rows = []
for name in ["ada", "bob"] {
  rows = push(rows, { name: name, owed: await tools.balance({ name: name })? })
}
print rows
```"""
ACT = """```lashlang
total = 0
for row in rows {
  kept = await { note: tools.note({ text: row.name, amount: row.owed })?, again: tools.balance({ name: row.name })? }
  total = total + kept.again
}
charged = await tools.charge({ amount: total })
submit charged.ok ? charged.value : "I do not know."
```"""


def make_agent(folder: Path) -> lash.Agent:
    @lash.tool(effect="read_only")
    async def balance(name: str) -> int:
        """Return what somebody owes."""
        return {"ada": 3, "bob": 4}[name]

    @lash.tool(effect="idempotent")
    async def note(text: str, amount: int, ctx: lash.ToolContext) -> str:
        """Write something down."""
        return f"{text}: {amount}"

    @lash.tool(effect="at_most_once")
    async def charge(amount: int) -> str:
        """Charge the card."""
        with (folder / "charged.txt").open("a") as ledger:
            ledger.write(f"{amount}\n")
        return f"charged {amount}"

    cost = TokenUsage(input_tokens=10, output_tokens=2)
    steps = [reply(LOOK, usage=cost), reply(ACT, usage=cost)]
    return lash.Agent(
        "teller", model=ScriptedModel(steps, by_request=True), tools=[balance, note, charge], protocol="code"
    )


def test_a_program_is_killed_at_every_boundary_and_its_effects_happen_once(
    agent_crash_matrix: RunMatrix, tmp_path: Path
) -> None:
    matrix = agent_crash_matrix(make_agent, "Charge what they owe.", skip=ELSEWHERE)

    def once(run: CrashRun) -> None:
        assert run.runs_of("charge") <= 1
        assert run.text == ("I do not know." if run.unknown else "charged 7")

    matrix.check(once)
    assert matrix.uncut.runs_of("balance") == 4
    names = {run.boundary.split("#")[0] for run in matrix.cut}
    assert {"tool balance:before", "tool note:after", "tool charge:before", "tool charge:after"} <= names
    assert [run.boundary for run in matrix.cut if run.unknown], "killed inside charge: nobody knows"
    for number in range(1, len(matrix.cut) + 1):
        ledger = tmp_path / "crash-matrix" / f"{number:03}" / "charged.txt"
        assert not ledger.exists() or ledger.read_text() == "7\n"
