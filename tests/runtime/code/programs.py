"""What tests of code mode share: an agent whose model writes given programs, and tools that note their calls."""

from __future__ import annotations

from typing import Any

import lash
from lash.testing import ScriptedModel


def block(code: str, prose: str = "") -> str:
    """An answer with one program."""
    return f"{prose}```lashlang\n{code}\n```"


class Calls(list[tuple[str, Any]]):
    """What the tools really did, in order."""

    def tools(self) -> list[Any]:
        """Tools that note every call."""

        @lash.tool(effect="read_only")
        async def lookup(key: str) -> dict[str, int]:
            """Look something up."""
            self.append(("lookup", key))
            return {"length": len(key)}

        @lash.tool(effect="at_most_once")
        async def pay(amount: int) -> str:
            """Pay."""
            self.append(("pay", amount))
            return f"paid {amount}"

        @lash.tool(effect="idempotent", approval=lambda args: args["amount"] > 1)
        async def order(amount: int) -> str:
            """Order something; large orders need a person's word."""
            self.append(("order", amount))
            return f"ordered {amount}"

        @lash.tool(effect="read_only")
        async def fail(why: str) -> str:
            """Fail."""
            self.append(("fail", why))
            raise lash.ToolError("no_luck", why)

        return [lookup, pay, order, fail]


def code_agent(*steps: Any, calls: Calls | None = None, **options: Any) -> lash.Agent:
    """An agent of the code protocol whose model plays `steps`, a turn at a time."""
    tools = options.pop("tools", None)
    return lash.Agent(
        "coder",
        model=ScriptedModel(
            [block(step) if isinstance(step, str) else step for step in steps], by_request=True
        ),
        tools=(Calls() if calls is None else calls).tools() if tools is None else tools,
        protocol="code",
        **options,
    )
