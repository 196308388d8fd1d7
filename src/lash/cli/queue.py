"""`lash queue`: accepted input that is not committed yet."""

from __future__ import annotations

import argparse
import asyncio

from lash.cli.options import add_db, add_json, existing, moment, print_json, print_table
from lash.values import (
    ProcessWakePayload,
    QueuedWorkPayload,
    SessionCommandPayload,
    TextItem,
    TurnInputPayload,
)

_TEXT_CHARS = 60


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash queue`."""
    parser.add_argument("session", nargs="?", metavar="SESSION", help="only this session")
    add_db(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the queue."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        after: str | None = None
        batches = []
        while True:
            page = await runtime.sessions(after=after, limit=200)
            for info in page:
                if info.pending and options.session in (None, info.session_id):
                    persistence = runtime.database.runtime_persistence(info.session_id)
                    batches += await persistence.list_queued_work(info.session_id)
            if len(page) < 200:
                break
            after = page[-1].session_id
    if options.json:
        print_json({"batches": batches})
        return 0
    rows = [
        (
            str(batch.enqueue_seq),
            batch.session_id,
            batch.delivery_policy.value,
            moment(batch.enqueued_at_ms),
            " | ".join(_text(payload) for payload in batch.payloads),
        )
        for batch in batches
    ]
    print_table(("SEQ", "SESSION", "DELIVERY", "ACCEPTED", "INPUT"), rows)
    return 0


def _text(payload: QueuedWorkPayload) -> str:
    match payload:
        case TurnInputPayload(input=given):
            text = " ".join(
                item.text if isinstance(item, TextItem) else "[attachment]" for item in given.items
            )
        case ProcessWakePayload(wake=wake):
            text = f"wake: {wake.input}"
        case SessionCommandPayload(command=command):
            text = f"command: {type(command).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= _TEXT_CHARS else text[:_TEXT_CHARS] + "…"
