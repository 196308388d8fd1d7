"""`lash events PROCESS`: what a process has reported, and what it reports from now on."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

import msgspec

from lash.cli.options import add_db, add_json, existing, moment, print_json
from lash.values import ProcessEvent


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash events`."""
    parser.add_argument("process", metavar="PROCESS", help="the id of the process")
    add_db(parser)
    add_json(parser)
    parser.add_argument("--after", type=int, default=0, metavar="N", help="only events after this number")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on as they come, until the process is over; with --json one object a line",
    )


def run(options: argparse.Namespace) -> int:
    """Print the events of a process."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        if options.follow:
            async for event in runtime.processes.watch(options.process, after=options.after):
                if options.json:
                    print_json(event)
                else:
                    print(_line(event))
                sys.stdout.flush()
            return 0
        events = await runtime.processes.events(options.process, after=options.after)
    if options.json:
        print_json({"events": events})
        return 0
    for event in events:
        print(_line(event))
    return 0


def _line(event: ProcessEvent) -> str:
    payload = json.dumps(msgspec.to_builtins(event.payload), ensure_ascii=False)
    return f"{event.sequence:>5}  {moment(event.occurred_at_ms)}  {event.event_type}  {payload}"
