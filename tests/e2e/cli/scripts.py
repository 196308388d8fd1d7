"""Scripts for the command line: `--model scripted:tests.e2e.cli.scripts:NAME`."""

from lash.testing import call, reply
from lash.values import TokenUsage

COST = TokenUsage(input_tokens=10, output_tokens=2)

readme = [
    reply(call("read_file", path="README.md"), usage=COST),
    reply("It promises durability.", usage=COST),
]


async def hang(request: object) -> str:
    """Answer the first input never, and the second at once."""
    import asyncio
    import sys

    text = request.messages[-1].text  # type: ignore[attr-defined]
    if text.strip() == "hang":
        print("[hanging]", file=sys.stderr, flush=True)
        await asyncio.Event().wait()
    return f"heard {text.strip()}"


def hanging() -> object:
    from lash.testing import ScriptedModel

    return ScriptedModel(hang)
