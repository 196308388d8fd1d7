"""A running turn is cancelled by its id from another operating-system process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import lash
from lash.testing import ScriptedModel, call

CANCEL = """
import asyncio, sys, lash

async def main():
    async with lash.open(sys.argv[1], work=False) as runtime:
        print(await runtime.cancel_turn("s", sys.argv[2]))

asyncio.run(main())
"""


async def test_turn_is_cancelled_by_id_from_another_process(tmp_path: Path) -> None:
    url = str(tmp_path / "agent.db")
    entered = asyncio.Event()
    told = asyncio.Event()

    @lash.tool(effect="read_only")
    async def wait(ctx: lash.ToolContext) -> str:
        """Wait to be told to stop."""
        entered.set()
        await ctx.wait_cancelled()
        told.set()
        return "stopped early"

    agent = lash.Agent("a", model=ScriptedModel([call("wait"), "never said"]), tools=[wait])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        turn = session.turn("go", turn_id="t1")
        running = asyncio.ensure_future(turn)
        await entered.wait()
        answer = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", CANCEL, url, "t1"], capture_output=True, text=True
        )
        assert answer.stdout.strip() == "requested", answer.stderr
        result = await running
        assert told.is_set()
        assert result.stop == "cancelled"
        assert [one.result for one in result.tool_calls] == ["stopped early"]
