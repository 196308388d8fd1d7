"""An agent whose payments wait for a person: `--agent tests.e2e.cli.clerk:clerk`."""

from __future__ import annotations

import lash
from lash.testing import ScriptedModel, call
from lash.values import ModelRequest


@lash.tool(approval=True)
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


def answer(request: ModelRequest) -> object:
    last = request.messages[-1]
    if last.role == "user":
        return call("pay", amount=5)
    return f"so: {last.parts[0].content}"  # type: ignore[union-attr]


clerk = lash.Agent("clerk", model=ScriptedModel(answer), tools=[pay])
