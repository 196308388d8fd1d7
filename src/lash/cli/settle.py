"""`lash settle`: an operator says how an effect ended that nobody knows the end of."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json

from lash.cli.options import add_db, add_json, existing, print_json
from lash.errors import LashError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash settle`."""
    parser.add_argument("key", metavar="KEY", help="the effect's key, as `lash effects` shows it")
    add_db(parser)
    add_json(parser)
    verdict = parser.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--result", metavar="JSON", help="it happened, and gave this")
    verdict.add_argument("--failed", metavar="TEXT", help="it did not happen, and this is why")
    parser.add_argument("--by", default=None, help="who says so (default: the user's name)")


def run(options: argparse.Namespace) -> int:
    """Store the verdict."""
    result = None
    if options.result is not None:
        try:
            result = json.loads(options.result)
        except json.JSONDecodeError as problem:
            raise LashError("invalid_argument", f"--result is no JSON: {problem}") from problem
    return asyncio.run(_run(options, result))


async def _run(options: argparse.Namespace, result: object) -> int:
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        record = await runtime.effects.settle(
            options.key, result=result, error=options.failed, settled_by=options.by or getpass.getuser()
        )
    if options.json:
        print_json({"effect": record})
    else:
        print(f"{record.identity.replay_key} is {record.state.value}, settled by {record.settled_by}")
    return 0
