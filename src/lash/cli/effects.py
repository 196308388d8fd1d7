"""`lash effects`: what ran, what did not, and what nobody knows."""

from __future__ import annotations

import argparse
import asyncio

from lash.cli.options import add_db, add_json, existing, moment, print_json, print_table
from lash.values import EffectRecord, EffectState


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash effects`."""
    add_db(parser)
    add_json(parser)
    parser.add_argument("--session", help="only effects of this session")
    parser.add_argument("--turn", help="only effects of this turn")
    parser.add_argument(
        "--state", choices=[state.value for state in EffectState], help="only effects in this state"
    )
    parser.add_argument("--limit", type=int, default=200, help="how many at most (default: 200)")


def run(options: argparse.Namespace) -> int:
    """Print the ledger."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        records, _ = await runtime.effects.list(
            session_id=options.session,
            turn_id=options.turn,
            state=EffectState(options.state) if options.state else None,
            limit=options.limit,
        )
    if options.json:
        print_json({"effects": records})
        return 0
    print_table(("STATE", "KIND", "WHAT", "RUNS", "STARTED", "KEY"), [_row(record) for record in records])
    unknown = [record for record in records if record.state is EffectState.UNKNOWN]
    if unknown:
        print(f"\n{len(unknown)} unknown: settle one with `lash settle KEY --result JSON` or `--failed TEXT`")
    return 0


def _row(record: EffectRecord) -> tuple[str, ...]:
    state = record.state.value + (" (settled)" if record.settled_by else "")
    identity = record.identity
    return (
        state,
        identity.kind.value,
        identity.label,
        str(record.runs),
        moment(record.started_at_ms),
        identity.replay_key,
    )
