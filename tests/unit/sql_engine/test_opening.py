"""What is refused is refused with a code, and left as it was found; what is older is brought up to date."""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

import apsw
import pytest

from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.sqlite import Schema, SqliteEngine
from lash.errors import LashBug, LashError

OLD = Schema(application_id=7, migrations=("CREATE TABLE t(a)",))
NEW = Schema(
    application_id=7,
    migrations=(
        *OLD.migrations,
        "ALTER TABLE t ADD COLUMN b; UPDATE t SET b = a * 2",
        "CREATE INDEX t_b ON t(b)",
    ),
)


@pytest.fixture
def open_with(path, clock, ids):
    async def open_with(schema: Schema) -> SqliteEngine:
        engine = SqliteEngine(path, clock=clock, ids=ids)
        await engine.connect(schema)
        return engine

    return open_with


async def refusal(open_with, schema: Schema) -> LashError:
    with pytest.raises(LashError) as refused:
        await open_with(schema)
    return refused.value


def pragma(path: Path, name: str) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    value = connection.pragma(name)
    connection.close()
    return value


async def write_old_rows(open_with) -> None:
    engine = await open_with(OLD)

    async def script(tx: Tx) -> None:
        await tx.write_many("INSERT INTO t(a) VALUES(?)", [(1,), (2,)])

    await engine.run(script)
    await engine.close()


async def test_new_file_gets_the_schema_and_its_marks(open_with, path):
    engine = await open_with(NEW)
    await engine.close()

    assert (pragma(path, "application_id"), pragma(path, "user_version")) == (7, 3)
    assert not list(path.parent.glob("*.bak")), "there was nothing to keep"


async def test_connection_has_the_settings_that_durability_needs(engine):
    async def settings(tx: Tx) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "temp_store", "page_size")
        return [await tx.fetch_one(lambda value: value, f"PRAGMA {name}") for name in names]

    assert await engine.run(settings) == ["wal", 2, 1, 2, 8192]


async def test_older_file_is_copied_aside_and_migrated(open_with, path):
    await write_old_rows(open_with)
    engine = await open_with(NEW)

    async def rows(tx: Tx) -> list[tuple[int, int]]:
        return await tx.fetch_all(lambda a, b: (a, b), "SELECT a, b FROM t ORDER BY a")

    assert await engine.read(rows) == [(1, 2), (2, 4)]
    await engine.close()
    assert pragma(path, "user_version") == 3
    copy = Path(f"{path}.v1.bak")
    assert pragma(copy, "user_version") == 1
    connection = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("SELECT * FROM t ORDER BY a").fetchall() == [(1,), (2,)]
    connection.close()


async def test_copy_is_a_way_back_to_the_older_program(open_with, path):
    await write_old_rows(open_with)
    await (await open_with(NEW)).close()
    shutil.copyfile(f"{path}.v1.bak", path)

    await (await open_with(OLD)).close()
    assert pragma(path, "user_version") == 1


async def test_failed_migration_leaves_the_last_whole_step(open_with, path):
    await write_old_rows(open_with)
    broken = Schema(
        application_id=7,
        migrations=(*NEW.migrations[:2], "CREATE TABLE half(x); INSERT INTO nowhere VALUES(1)"),
    )
    assert (await refusal(open_with, broken)).code == "store_backend"
    assert pragma(path, "user_version") == 2

    await (await open_with(NEW)).close()
    assert pragma(path, "user_version") == 3


async def test_migration_that_breaks_foreign_keys_is_a_bug(open_with, path):
    schema = Schema(
        application_id=7,
        foreign_keys=True,
        migrations=(
            "CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(a REFERENCES a); INSERT INTO b VALUES(9)",
        ),
    )
    with pytest.raises(LashBug, match="foreign keys"):
        await open_with(schema)
    assert pragma(path, "user_version") == 0


async def test_newer_file_is_refused_with_both_versions(open_with, path):
    await (await open_with(NEW)).close()
    before = path.read_bytes()

    newer = await refusal(open_with, OLD)
    assert (newer.code, newer.found_version, newer.known_version) == ("schema_newer", 3, 1)
    assert "3" in newer.message
    assert "1" in newer.message
    assert before == path.read_bytes()


async def test_database_of_another_program_is_refused_and_left_alone(open_with, path):
    foreign = apsw.Connection(str(path))
    foreign.execute("CREATE TABLE theirs(x)")
    foreign.close()
    before = path.read_bytes()

    refused = await refusal(open_with, NEW)
    assert refused.code == "store_foreign"
    assert str(path) in refused.message
    assert before == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


async def test_file_that_is_no_database_is_refused_and_left_alone(open_with, path):
    path.write_bytes(b"Dear diary, " * 1_000)

    assert (await refusal(open_with, NEW)).code == "store_corrupt"
    assert path.read_bytes().startswith(b"Dear diary")
    assert [path] == list(path.parent.iterdir())


async def test_damaged_page_is_reported_when_it_is_met(open_with, path):
    engine = await open_with(OLD)

    async def fill(tx: Tx) -> None:
        await tx.write_many("INSERT INTO t(a) VALUES(?)", [("x" * 1_000,) for _ in range(100)])

    await engine.run(fill)
    await engine.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)

    engine = await open_with(OLD)

    async def look(tx: Tx) -> int:
        return len(await tx.fetch_all(str, "SELECT a FROM t"))

    for run in (engine.read, engine.run):
        with pytest.raises(LashError) as damaged:
            await run(look)
        assert damaged.value.code == "store_corrupt"
    await engine.close()


async def test_missing_directory_is_named(tmp_path, clock, ids):
    engine = SqliteEngine(tmp_path / "missing" / "notes.db", clock=clock, ids=ids)
    with pytest.raises(LashError, match=r"missing/notes\.db") as refused:
        await engine.connect(NEW)
    assert refused.value.code == "store_io"


async def test_directory_instead_of_a_file_is_refused(tmp_path, clock, ids):
    with pytest.raises(LashError) as refused:
        await SqliteEngine(tmp_path, clock=clock, ids=ids).connect(NEW)
    assert refused.value.code == "store_io"


async def test_full_disk_while_opening_is_store_full(disk, open_with):
    disk.sync_failure = apsw.FullError("no space")
    assert (await refusal(open_with, NEW)).code == "store_full"
    disk.sync_failure = None
    await (await open_with(NEW)).close()


async def test_locked_database_is_reported_busy_after_the_time_out(connect, path):
    await (await connect()).close()
    tool = apsw.Connection(str(path))
    tool.execute("BEGIN IMMEDIATE")
    engine = await connect(busy_timeout_ms=20)

    async def write(tx: Tx) -> None:
        await tx.write("INSERT INTO note(text) VALUES('x')")

    with pytest.raises(LashError) as busy:
        await engine.run(write)
    assert (busy.value.code, busy.value.retryable) == ("store_busy", True)
    tool.execute("ROLLBACK")
    tool.close()
    await engine.run(write)


async def test_two_names_of_one_file_share_its_lock_and_bells(path, clock, ids):
    link = path.with_name("link.db")
    link.symlink_to(path)
    one, other = (SqliteEngine(name, clock=clock, ids=ids) for name in (path, link))
    await one.connect(OLD)
    await other.connect(OLD)

    assert set() == one.dead_owners([other.owner_id])
    await one.close()
    await other.close()


READ_ONLY_PROGRAM = """
import asyncio, concurrent.futures.thread, os, sys
from lash.backends.sql.engine.sqlite import Schema, SqliteEngine
from lash.errors import LashError
from lash.system import RandomIds, SystemClock

async def main():
    engine = SqliteEngine(sys.argv[1], clock=SystemClock(), ids=RandomIds())
    try:
        await engine.connect(Schema(application_id=7, migrations=("CREATE TABLE t(a)",)))
    except LashError as error:
        print(error.code)
    else:
        await engine.close()
        print("opened")

if os.getuid() == 0:  # permissions do not bind root
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main())
"""


@pytest.mark.parametrize("what", ["nothing", "the file", "the directory", "both"])
async def test_file_that_may_not_be_written_is_refused(clock, ids, what):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "notes.db")
        engine = SqliteEngine(path, clock=clock, ids=ids)
        await engine.connect(OLD)
        await engine.close()
        shutil.rmtree(f"{path}-lash")
        if os.getuid() == 0:
            os.chown(path, 65_534, 65_534)
            os.chown(directory, 65_534, 65_534)
        path.chmod(0o444 if what in ("the file", "both") else 0o644)
        os.chmod(directory, 0o555 if what in ("the directory", "both") else 0o755)
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", READ_ONLY_PROGRAM, str(path), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await program.communicate()
        os.chmod(directory, 0o755)

    assert said.decode().strip() == ("opened" if what == "nothing" else "store_read_only")
