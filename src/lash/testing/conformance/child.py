"""The program of a child process: `python -m lash.testing.conformance.child`; see `children` for what it says."""

from __future__ import annotations

import asyncio
import sys
import traceback

import msgspec

from lash.testing.conformance.children import Order
from lash.testing.conformance.clock import KitClock
from lash.testing.conformance.jobs import JOBS
from lash.testing.conformance.opening import Address
from lash.values import Json


def say(word: Json) -> None:
    """Say one thing, at once: whoever listens may kill this process right after it."""
    sys.stdout.buffer.write(msgspec.json.encode(word) + b"\n")
    sys.stdout.buffer.flush()


async def main() -> None:
    """Open the database, wait for the word, and do the job."""
    order = msgspec.json.decode(await asyncio.to_thread(sys.stdin.buffer.readline), type=Order)
    database = Address(order.url, order.opener).open(KitClock(order.now_ms))
    await database.connect()
    try:
        say("ready")
        if await asyncio.to_thread(sys.stdin.buffer.readline):  # the end of input: the kit is gone
            await JOBS[order.job](database, order.arguments, say)
    finally:
        await database.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except Exception:  # noqa: BLE001  # whatever it is, the kit reports it
        say({"failed": traceback.format_exc()[-2_000:]})
