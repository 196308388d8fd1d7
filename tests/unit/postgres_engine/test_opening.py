"""A database is made, migrated, or found as it should be; anything else is refused and left alone."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from lash.backends import open_database
from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.postgres import PostgresSchema
from lash.backends.sql.engine.postgres.settings import PostgresSettings, shown_url, split_url
from lash.errors import LashError

from .conftest import SCHEMA, Connect, Observer

NEXT = PostgresSchema(
    application_id=SCHEMA.application_id,
    migrations=(*SCHEMA.migrations, "ALTER TABLE note ADD COLUMN author text"),
    tables=SCHEMA.tables,
)


async def refusal(connect: Connect, *place: str, **options: Any) -> LashError:
    with pytest.raises(LashError) as refused:
        await connect(*place, **options)
    return refused.value


async def test_an_empty_database_gets_the_tables(connect: Connect, observer: Observer) -> None:
    await connect()
    assert observer.rows("SELECT application_id, version FROM lash_schema") == [(0x1A5B, 1)]
    assert observer.rows("SELECT * FROM note") == []


async def test_many_may_open_a_new_database_at_once(connect: Connect, observer: Observer) -> None:
    await asyncio.gather(*(connect() for _ in range(6)))
    assert observer.value("SELECT count(*) FROM lash_schema") == 1


async def test_an_older_schema_is_migrated_and_keeps_its_rows(connect: Connect, observer: Observer) -> None:
    await connect()
    observer.rows("INSERT INTO note VALUES (1, 'old')")
    await connect(schema=NEXT)
    assert observer.rows("SELECT id, text, author FROM note") == [(1, "old", None)]
    assert observer.value("SELECT version FROM lash_schema") == 2


async def test_a_newer_schema_is_refused_and_both_versions_are_named(
    connect: Connect, observer: Observer
) -> None:
    await connect(schema=NEXT)
    error = await refusal(connect)
    assert (error.code, error.facts["found_version"], error.facts["known_version"]) == ("schema_newer", 2, 1)
    assert observer.value("SELECT version FROM lash_schema") == 2


async def test_a_migration_that_fails_leaves_no_trace(connect: Connect, observer: Observer) -> None:
    broken = PostgresSchema(
        application_id=SCHEMA.application_id,
        migrations=(*SCHEMA.migrations, "ALTER TABLE note ADD COLUMN author text; SELECT no_such_thing"),
        tables=SCHEMA.tables,
    )
    assert (await refusal(connect, schema=broken)).code == "store_backend"
    assert observer.value("SELECT version FROM lash_schema") == 1
    assert observer.rows("SELECT 1 FROM pg_attribute WHERE attname = 'author'") == []
    await connect()


@pytest.mark.parametrize(
    ("change", "missing", "changed"),
    [
        ("ALTER TABLE note DROP COLUMN text", ["note.text"], []),
        ("DROP TABLE note", ["note"], []),
        ("ALTER TABLE note ALTER COLUMN text TYPE varchar(5)", [], ["note.text"]),
        ("ALTER TABLE note ALTER COLUMN text DROP NOT NULL", [], ["note.text"]),
    ],
)
async def test_tables_that_somebody_changed_are_refused_by_name(
    connect: Connect, observer: Observer, change: str, missing: list[str], changed: list[str]
) -> None:
    await (await connect()).close()
    observer.rows(change)
    error = await refusal(connect)
    assert error.code == "store_corrupt"
    assert error.facts["missing"] == missing
    assert [text.partition(":")[0] for text in error.facts["changed"]] == changed


async def test_a_column_that_somebody_added_is_no_harm(connect: Connect, observer: Observer) -> None:
    await (await connect()).close()
    observer.rows("ALTER TABLE note ADD COLUMN extra text")
    await connect()


async def test_tables_of_another_program_are_refused_and_left_alone(
    connect: Connect, observer: Observer
) -> None:
    observer.rows("CREATE TABLE note (something text)")
    error = await refusal(connect)
    assert error.code == "store_foreign"
    assert "note" in error.message
    assert observer.rows("SELECT relname FROM pg_class WHERE relname IN ('counter', 'lash_schema')") == []


async def test_another_programs_ledger_is_refused(connect: Connect, observer: Observer) -> None:
    await connect()
    observer.rows("UPDATE lash_schema SET application_id = 7")
    assert (await refusal(connect)).code == "store_foreign"


async def test_two_schemas_of_one_database_do_not_meet(
    connect: Connect, url: str, observer: Observer
) -> None:
    async def add(tx: Tx) -> None:
        await tx.write("INSERT INTO note (id, text) VALUES (?, ?)", 1, "")

    observer.rows("CREATE SCHEMA apart")
    engine, apart = await connect(), await connect(f"{url}&options=-csearch_path%3Dapart")
    await engine.run(add)
    await apart.run(add)
    assert (
        observer.rows("SELECT * FROM apart.note") == observer.rows("SELECT * FROM public.note") == [(1, "")]
    )


async def test_a_server_that_is_not_there_is_unavailable_and_may_come(
    connect: Connect, tmp_path: Path
) -> None:
    error = await refusal(connect, f"postgresql:///test?host={tmp_path}")
    assert (error.code, error.retryable) == ("store_unavailable", True)


async def test_a_database_that_is_not_there_is_no_matter_of_trying_again(connect: Connect, url: str) -> None:
    error = await refusal(connect, url.replace("/test_", "/absent_"))
    assert (error.code, error.retryable) == ("store_io", False)


async def test_a_role_that_may_not_create_tables_is_told_so(
    connect: Connect, url: str, observer: Observer
) -> None:
    observer.rows("DROP ROLE IF EXISTS reader")
    observer.rows("CREATE ROLE reader LOGIN")
    error = await refusal(connect, url.replace("lash@", "reader@"))
    assert (error.code, error.retryable) == ("store_read_only", False)


async def test_a_read_only_server_is_told_so(connect: Connect, url: str) -> None:
    error = await refusal(connect, f"{url}&options=-cdefault_transaction_read_only%3Don")
    assert error.code == "store_read_only"


@pytest.mark.parametrize("option", ["pool_size=0", "pool_size=many", "prepare_threshold=-1"])
def test_an_option_that_cannot_be_is_refused(option: str) -> None:
    with pytest.raises(LashError) as refused:
        open_database(f"postgresql://localhost/test?{option}")
    assert refused.value.code == "invalid_argument"


async def test_a_url_that_the_driver_cannot_read_is_refused(connect: Connect, url: str) -> None:
    assert (await refusal(connect, f"{url}&no_such_parameter=1")).code == "invalid_argument"


def test_our_parameters_of_a_url_are_taken_out_of_it() -> None:
    url, settings = split_url(
        "postgres://u:p%40@h:1/d?pool_size=3&sslmode=require&prepare_threshold=none&direct_url=postgresql%3A%2F%2Fx",
        PostgresSettings(),
    )
    assert url == "postgresql://u:p%40@h:1/d?sslmode=require"
    assert (settings.connections, settings.prepare_threshold) == (3, None)
    assert settings.direct_url == "postgresql://x"


def test_a_url_without_a_host_keeps_its_slashes() -> None:
    assert split_url("postgresql:///d?host=/tmp", PostgresSettings())[0] == "postgresql:///d?host=%2Ftmp"
    assert split_url("postgresql:///d", PostgresSettings())[0] == "postgresql:///d"


def test_messages_do_not_give_away_a_password() -> None:
    assert shown_url("postgresql://me:secret@h:1/d?password=secret") == "postgresql://me:***@h:1/d"
    assert shown_url("postgresql://me@h/d") == "postgresql://me@h/d"


def test_both_schemes_open_a_database_and_nothing_is_opened_before_its_use() -> None:
    for scheme in ("postgres", "postgresql"):
        assert open_database(f"{scheme}://nowhere.invalid/d").url == "postgresql://nowhere.invalid/d"


async def test_an_id_that_is_too_long_for_an_index_is_refused_and_named(
    connect: Connect, observer: Observer
) -> None:
    engine = await connect()
    name = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(2_000))  # nothing that could be compressed

    async def script(tx: Tx) -> None:
        await tx.write("INSERT INTO counter (name, value) VALUES (?, 0)", name)

    with pytest.raises(LashError) as refused:
        await engine.run(script)
    assert refused.value.code == "invalid_argument"
    assert observer.value("SELECT count(*) FROM counter") == 0


def test_a_driver_that_is_not_installed_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith("lash.backends.sql.")]:
        if "postgres" in name:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LashError) as refused:
        open_database("postgresql://localhost/d")
    assert (refused.value.code, refused.value.facts["extra"]) == ("extra_missing", "postgres")
