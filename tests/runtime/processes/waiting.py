"""What tests of processes share."""

from __future__ import annotations

import asyncio

import lash


async def parked(runtime: lash.Runtime, process_id: str) -> tuple[str, ...]:
    """Return what a process waits for, once it was let go of."""
    async with asyncio.timeout(60):
        while True:
            on = await runtime.processes.parked_on([process_id])
            if on:
                return on[process_id]
            await asyncio.sleep(0.01)
