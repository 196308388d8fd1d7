"""Kill after kill on the same database, and everything checked after each round of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lash.backends import open_database

from . import records
from .account import Account
from .crew import Moment, WriterProcess
from .evidence_checks import check_evidence
from .history_checks import check_fences, check_history
from .process_checks import check_processes
from .rows import Rows
from .survivor import check_nothing_stays_locked, finish_everything

CREW = 4  # writers that share the database, each killed at a moment of its own
ROUNDS_A_DATABASE = 6


@dataclass
class Tally:
    """What a campaign came to."""

    kills: int = 0
    in_opening: int = 0
    answers: int = 0
    unanswered: int = 0
    databases: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills ({self.in_opening} before the first answer) on {self.databases} databases: "
            f"{self.answers} answers, each of them kept; {self.unanswered} calls cut short or refused, none half done"
        )


def run_campaign(
    new_url: Callable[[], str], *, kills: int, seed: int, tell: Callable[[str], None] = lambda _: None
) -> Tally:
    """Kill so many writers and check after each round; the seed draws what they do and when they die.

    Raises:
        AssertionError: When something acknowledged is missing or anything is there by half.
    """
    random, tally = Random(seed), Tally()
    while tally.kills < kills:
        url, account = new_url(), Account()
        tally.databases += 1
        asyncio.run(_prepare(url))
        for round_number in range(ROUNDS_A_DATABASE):
            count = min(CREW, kills - tally.kills)
            if count == 0:
                break
            _run_round(url, account, f"k{round_number}", random, tally, count)
            asyncio.run(check_all(url, account))
            tell(f"{tally.kills} of {kills} kills, {account.answers} answers on this database")
        asyncio.run(_finish(url, account))
        tally.answers += account.answers
        tally.unanswered += unanswered(account)
    return tally


async def check_all(url: str, account: Account) -> None:
    """Open the database anew and compare it with what was told."""
    rows = Rows(url)
    rows.wait_until_alone()
    rows.check_integrity()
    database = open_database(url)
    try:
        await check_nothing_stays_locked(database, account)
        check_fences(account)
        await check_history(database, rows, account)
        await check_processes(database, rows, account)
        await check_evidence(database, rows, account)
        account.mark()
    finally:
        await database.close()
        rows.close()


def unanswered(account: Account) -> int:
    """Return how many announced calls were never answered, refusals among them."""
    kinds = ("enqueue", "commit", "accept", "append", "reserve", "wait", "put", "artifact")
    return sum(len(account.tried(kind)) - len(account.told(kind)) for kind in kinds)


def _run_round(url: str, account: Account, name: str, random: Random, tally: Tally, count: int) -> None:
    moments = [Moment.draw(random) for _ in range(count)]
    crew = [
        WriterProcess(url, f"{name}w{number}", random.randrange(2**31), moment=moment)
        for number, moment in enumerate(moments)
    ]
    opened = account.opened
    for said in [writer.ended() for writer in crew]:  # all of them, before one is found to have failed
        account.hear(said)
    assert all(writer.was_killed for writer in crew), "a writer ended by itself"
    tally.kills += count
    tally.in_opening += count - (account.opened - opened)


async def _prepare(url: str) -> None:
    database = open_database(url)
    await records.prepare(database)
    await database.close()


async def _finish(url: str, account: Account) -> None:
    database = open_database(url)
    await finish_everything(database, account)
    await database.close()
    await check_all(url, account)
