"""`lash doctor`: what is durable here and why, what nobody serves, what is unknown."""

from __future__ import annotations

import argparse
import asyncio

from lash.cli.options import add_db, add_json, existing, print_json
from lash.values import EffectState


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash doctor`."""
    add_db(parser)
    add_json(parser)
    parser.add_argument(
        "--serves", nargs="*", default=[], metavar="AGENT", help="agents that are being served"
    )


def run(options: argparse.Namespace) -> int:
    """Print the report; status 1 when something wants attention."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        report = runtime.durability
        unserved = await runtime.database.turn_ingress.list_unserved(tuple(options.serves))
        unknown, _ = await runtime.effects.list(state=EffectState.UNKNOWN)
        open_questions = [record for record in unknown if record.settled_by is None]
        interrupted, _ = await runtime.effects.list(state=EffectState.STARTED)
        approvals = await runtime.approvals.list()
    if options.json:
        print_json(
            {
                "durability": report,
                "tier": report.tier,
                "unserved": unserved,
                "unknown_effects": open_questions,
                "interrupted_effects": interrupted,
                "approvals": approvals,
            }
        )
    else:
        print(f"{options.db} is {report.tier.value}")
        for facet in report.facets:
            print(f"  {facet.name}: {facet.tier.value} ({facet.what})")
        for agent, count in sorted(unserved.items()):
            print(f"waiting: {count} accepted for agent {agent!r}; run a program that serves it")
        for record in interrupted:
            print(f"started, not ended: {record.identity.label} {record.identity.replay_key}")
        for record in open_questions:
            print(f"unknown: {record.identity.label}; `lash settle {record.identity.replay_key}`")
        for approval in approvals:
            print(f"waits for a person: {approval.question.tool}; `lash approvals approve {approval.id}`")
        if not (approvals or unserved or open_questions or interrupted):
            print("nothing waits, nothing is unknown")
    return 1 if approvals or unserved or open_questions or interrupted else 0
