"""`lash sessions`: which sessions there are."""

from __future__ import annotations

import argparse
import asyncio

from lash.cli.options import add_db, add_json, existing, moment, print_json, print_table


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash sessions`."""
    add_db(parser)
    add_json(parser)
    parser.add_argument("--label", help="only sessions with this label")
    parser.add_argument("--search", help="only sessions whose id or title contains this text")
    parser.add_argument("--after", help="only sessions whose id comes after this one")
    parser.add_argument("--limit", type=int, default=50, help="how many at most (default: 50)")


def run(options: argparse.Namespace) -> int:
    """Print the sessions."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        found = await runtime.sessions(
            label=options.label, search=options.search, after=options.after, limit=options.limit
        )
    if options.json:
        print_json({"sessions": found})
        return 0
    rows = [
        (
            one.session_id,
            one.agent,
            str(one.head_revision),
            str(one.pending),
            "yes" if one.running else "",
            moment(one.updated_at_ms),
            " ".join(one.labels),
        )
        for one in found
    ]
    print_table(("SESSION", "AGENT", "TURNS", "QUEUED", "RUNNING", "UPDATED", "LABELS"), rows)
    return 0
