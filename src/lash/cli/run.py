"""`lash run`: one durable turn."""

from __future__ import annotations

import argparse
import asyncio
import sys

from lash.cli.options import add_agent, add_db, add_json, cli_agent, print_json
from lash.errors import LashError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash run`."""
    parser.add_argument("prompt", nargs="?", help="the input; read from standard input when left out")
    add_db(parser)
    add_agent(parser)
    add_json(parser)
    parser.add_argument("--turn-id", help="an idempotency key: the same id again prints the same result")


def run(options: argparse.Namespace) -> int:
    """Run one turn, streaming the answer unless `--json` is given."""
    prompt = options.prompt if options.prompt is not None else sys.stdin.read()
    if not prompt.strip():
        raise LashError("invalid_argument", "no prompt: give one, or write it to standard input")
    return asyncio.run(_run(options, prompt))


async def _run(options: argparse.Namespace, prompt: str) -> int:
    from lash.cli.streaming import show
    from lash.facade import open as open_runtime

    async with open_runtime(options.db, cli_agent(options)) as runtime:
        session = await runtime.session(options.session)
        turn = session.turn(prompt, turn_id=options.turn_id)
        if not options.json:
            await show(turn)
        result = await turn
        if options.json:
            print_json(
                {
                    "text": result.text,
                    "output": result.output,
                    "usage": result.usage,
                    "stop": result.stop,
                    "turn_id": result.turn_id,
                    "replayed": result.replayed,
                }
            )
        elif result.stop is not None:
            reasons = "; ".join(f"{issue.code}: {issue.message}" for issue in result.issues)
            print(
                f"lash: the turn stopped: {result.stop}{': ' + reasons if reasons else ''}", file=sys.stderr
            )
        return 0 if result.stop is None else 1
