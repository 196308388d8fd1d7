"""Programs, and what plugins and people have to say about their calls."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.runtime.code.programs import code_agent

import lash
from lash.plugins import DenyCall, HookedCall, HookedResult, ReplaceResult, TurnContext

WITHIN_S = 60


async def turn(agent: lash.Agent) -> lash.TurnResult:
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        async with asyncio.timeout(WITHIN_S):
            return await session.turn("go", turn_id="t1")


async def test_calls_of_a_program_pass_the_hooks() -> None:
    class Watches(lash.Plugin):
        async def before_tool(self, turn: TurnContext, call: HookedCall) -> DenyCall | None:
            return DenyCall("no payments") if call.tool == "pay" else None

        async def after_tool(
            self, turn: TurnContext, call: HookedCall, result: HookedResult
        ) -> ReplaceResult | None:
            return ReplaceResult("covered") if call.tool == "lookup" else None

    result = await turn(
        code_agent(
            'seen = await tools.lookup({ key: "abc" })?\npaid = await tools.pay({ amount: 1 })\n'
            "submit { seen: seen, ok: paid.ok }",
            plugins=[Watches()],
        )
    )
    assert result.output == {"seen": "covered", "ok": False}


async def test_plugins_bring_operations_and_a_program_may_go_on_in_another_frame() -> None:
    class Brings(lash.Plugin):
        def tools(self) -> list[Any]:
            @lash.tool(effect="read_only")
            async def doubled(n: int) -> int:
                """Double."""
                return 2 * n

            return [doubled]

    def steps(request: Any) -> str:
        asked = [message.text for message in request.messages if message.role == "user"]
        if any("second half" in text for text in asked):
            return "```lashlang\nsubmit await tools.doubled({ n: 21 })?\n```"
        return '```lashlang\nawait tools.continue_as({ task: "the second half" })?\n```'

    result = await turn(code_agent(steps, plugins=[Brings(), lash.ContinueAs()]))
    assert result.output == 42
    assert result.stop is None
