"""A payment that waits for a person, and a plugin that keeps large ones from being asked for at all."""

import asyncio
import sys

import lash
from lash.plugins import DenyCall, HookedCall, TurnContext
from lash.testing import ScriptedModel, call
from lash.values import ApprovalRequested, ModelRequest


@lash.tool(approval=lambda args: args["amount"] > 10)
async def pay(to: str, amount: int) -> str:
    """Pay somebody."""
    return f"paid {amount} to {to}"


class Ceiling(lash.Plugin):
    async def before_tool(self, turn: TurnContext, call: HookedCall) -> DenyCall | None:
        if call.tool == "pay" and call.args["amount"] > 1000:
            return DenyCall("the ceiling is 1000")
        return None


def answer(request: ModelRequest) -> object:
    if request.messages[-1].role == "user":
        return [call("pay", to=to, amount=amount) for to, amount in (("ann", 5), ("bob", 50), ("eve", 5000))]
    results = [str(part.content) for message in request.messages[-3:] for part in message.parts]
    return "\n".join(results)


clerk = lash.Agent("clerk", model=ScriptedModel(answer), tools=[pay], plugins=[Ceiling()])


async def main(url: str) -> None:
    async with lash.open(url, clerk) as runtime:
        session = await runtime.session("office")
        turn = session.turn("pay everybody")
        async for event in turn.events():
            match event.activity:
                case ApprovalRequested(approval_id=id, tool=tool, args=args):
                    print(f"{tool} {args}: allowed, but only 20")
                    await runtime.approvals.approve(id, edited_args={**args, "amount": 20}, by="the boss")
        print((await turn).text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "approval.db"))
