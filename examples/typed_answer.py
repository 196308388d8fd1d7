"""An answer of a type: the model's first try does not fit, and goes back to it."""

import asyncio
import sys

import msgspec

import lash
from lash.testing import ScriptedModel


class Verdict(msgspec.Struct):
    spam: bool
    reason: str


model = ScriptedModel(['{"spam": "yes"}', '{"spam": true, "reason": "It promises money."}'], by_request=True)
judge = lash.Agent("judge", model=model, output=Verdict)


async def main(url: str) -> None:
    async with lash.open(url, judge) as runtime:
        session = await runtime.session("mail-7")
        result = await session.turn("You have won a million! Is this spam?")
        print(result.output, "after", result.model_calls, "answers")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "typed_answer.db"))
