"""Writers that are not killed while the server, or the wire to it, is: every call of theirs has to come to an end.

That is what "the outcome is known or safely retried" means: no call fails, none is applied twice, and what is
handed out once was handed to exactly one caller, though its answer was lost on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from lash.backends import open_database

from . import records
from .account import Account
from .campaign import CREW, check_all
from .crew import WriterProcess
from .survivor import finish_everything


def run_through_restarts(
    url: str, crash_and_restart: Callable[[], None], *, restarts: int, operations: int, seed: int
) -> Account:
    """Kill the server so often while writers run, check what they were told, and return it."""
    random = Random(seed)
    asyncio.run(_prepare(url))
    crew = _crew(url, operations, random)
    for number in range(1, restarts + 1):
        for writer in crew:
            writer.wait_for(number * operations * 3 // (restarts + 1) + random.randrange(20))
        crash_and_restart()
    return _checked(url, crew, keeps_claims=False)


def run_through_cuts(url: str, wire_url: str, *, operations: int, seed: int) -> Account:
    """Write over a wire that is cut by whoever laid it, check what the writers were told, and return it."""
    asyncio.run(_prepare(url))
    return _checked(url, _crew(wire_url, operations, Random(seed)), keeps_claims=True)


def _crew(url: str, operations: int, random: Random) -> list[WriterProcess]:
    return [
        WriterProcess(url, f"w{number}", random.randrange(2**31), moment=None, operations=operations)
        for number in range(CREW)
    ]


def _checked(url: str, crew: list[WriterProcess], *, keeps_claims: bool) -> Account:
    account = Account(is_whole=True, keeps_claims=keeps_claims)
    for said in [writer.ended() for writer in crew]:  # all of them, before one is found to have failed
        account.hear(said)
    assert all(writer.ended_well for writer in crew)
    asyncio.run(check_all(url, account))
    asyncio.run(_finish(url, account))
    asyncio.run(check_all(url, account))
    return account


async def _prepare(url: str) -> None:
    database = open_database(url)
    await records.prepare(database)
    await database.close()


async def _finish(url: str, account: Account) -> None:
    database = open_database(url)
    await finish_everything(database, account)
    await database.close()
