"""Writers that are killed at random lose nothing that was acknowledged and leave nothing by half.

As many kills as fit in some seconds; `make kill-storage` makes 200 on each database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from lash.backends import open_database
from lash.errors import LashError

from . import records
from .account import Account
from .campaign import check_all, run_campaign
from .crew import Moment, WriterProcess

pytestmark = [pytest.mark.kill, pytest.mark.heavy]

SQLITE_KILLS, POSTGRES_KILLS = 40, 20


def test_killed_writers_of_a_file_lose_nothing_and_leave_nothing_by_half(tmp_path: Path) -> None:
    names = iter(range(SQLITE_KILLS))
    tally = run_campaign(lambda: str(tmp_path / f"{next(names)}.db"), kills=SQLITE_KILLS, seed=11)
    assert tally.kills == SQLITE_KILLS
    assert tally.answers > tally.kills


def test_killed_writers_of_a_server_lose_nothing_and_leave_nothing_by_half(
    postgres_urls: Callable[[], str],
) -> None:
    tally = run_campaign(postgres_urls, kills=POSTGRES_KILLS, seed=12)
    assert tally.kills == POSTGRES_KILLS
    assert tally.answers > tally.kills


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """A file that one writer wrote to, and what it said."""
    path = tmp_path_factory.mktemp("written") / "written.db"

    async def prepare() -> None:
        database = open_database(path)
        await records.prepare(database)
        await database.close()

    asyncio.run(prepare())
    writer = WriterProcess(str(path), "w", 20, moment=None, operations=60)
    return path, writer.ended()


DAMAGE = {
    "a commit lost its stamp": "DELETE FROM stamp WHERE stamp_seq = (SELECT max(stamp_seq) FROM stamp)",
    "a commit lost a node": "DELETE FROM node WHERE key = (SELECT max(key) FROM node)",
    "usage was not counted": "DELETE FROM usage_counted WHERE key = (SELECT max(key) FROM usage_counted)",
    "a batch is gone": """DELETE FROM queue WHERE enqueue_seq = (SELECT max(q.enqueue_seq) FROM queue q
        JOIN session s ON s.sid = q.sid WHERE s.session_id IN ('q0', 'q1'))""",
    "a completed batch is open again": """UPDATE queue SET state = 'pending', settled_at_ms = NULL
        WHERE enqueue_seq = (SELECT min(enqueue_seq) FROM queue WHERE state = 'completed' AND turn_id IS NULL)""",
    "an event is gone": "DELETE FROM process_event WHERE key = (SELECT max(key) FROM process_event)",
    "a wake is gone": "DELETE FROM process_wake WHERE key = (SELECT max(key) FROM process_wake)",
    "a delivery is gone": "DELETE FROM trigger_delivery WHERE delivery_seq = 1",
    "a grant is gone": "DELETE FROM process_grant",
    "bytes are cut": "UPDATE attachment SET data = substr(data, 1, 10) WHERE attachment_seq = 1",
    "a manifest row is gone": "DELETE FROM attachment_manifest",
    "an outcome is gone": "DELETE FROM effect_outcome",
    "an intent is gone": "DELETE FROM effect WHERE scope_type = 'turn'",
    "a wait is gone": "DELETE FROM wait WHERE wait_seq = 1",
    "an artifact is gone": "DELETE FROM module_artifact",
    "a fence went back": "UPDATE process SET fencing_token = 0",
}
CORRUPT = ("stored_data_corrupt", "attachment_missing_meta", "attachment_not_found")


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_checks_notice_when(damage: str, written: tuple[Path, list[bytes]], tmp_path: Path) -> None:
    path, lines = written
    copy = tmp_path / "copy.db"
    with apsw.Connection(str(path)) as source, apsw.Connection(str(copy)) as target:
        with target.backup("main", source, "main") as backup:
            backup.step()
        target.execute(DAMAGE[damage])
        assert target.changes() > 0
    account = Account()
    account.hear(lines)
    with pytest.raises((AssertionError, KeyError, LashError)) as noticed:
        asyncio.run(check_all(str(copy), account))
    assert "still locked" not in str(noticed.value)
    assert not isinstance(noticed.value, LashError) or noticed.value.code in CORRUPT


def test_the_checks_pass_what_is_whole(written: tuple[Path, list[bytes]]) -> None:
    path, lines = written
    account = Account(is_whole=True)
    account.hear(lines)
    asyncio.run(check_all(str(path), account))


def test_the_checks_notice_a_store_that_answers_before_it_commits(tmp_path: Path) -> None:
    path = str(tmp_path / "hasty.db")

    async def prepare() -> None:
        database = open_database(path)
        await records.prepare(database)
        await database.close()

    asyncio.run(prepare())
    account = Account()
    for number in range(4):  # one of these kills is enough, and each is nearly sure to be
        moment = Moment(answers=20 + number, delay_ms=0)
        account.hear(WriterProcess(path, f"hasty{number}", number, moment=moment, is_hasty=True).ended())
    with pytest.raises(LashError) as noticed:
        asyncio.run(check_all(path, account))
    assert noticed.value.code == "attachment_not_found"
