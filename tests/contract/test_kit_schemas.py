"""The kit's throw-away schemas on PostgreSQL, and its command there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lash.cli.main import main
from lash.testing.conformance.throwaway_schemas import driver_url, within_schema

CASES = ["--case", "attachment_put_get_round_trips_bytes_and_meta", "--case", "deleted_ids_stay_taken"]


@pytest.fixture
def url(postgres_server: Any) -> Iterator[str]:
    url = postgres_server.new_database()
    yield url
    postgres_server.drop_database(url)


def name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def test_the_command_makes_schemas_and_drops_them(
    url: str, postgres_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conformance", "--backend", url, *CASES]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "conformance: ok: 2 passed, 0 failed, 0 not offered"
    left = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'"
    assert postgres_server.execute(left, name_of(url)) == []


@pytest.mark.parametrize(
    "holds",
    ["CREATE TABLE precious (id int)", "CREATE SCHEMA mine CREATE VIEW seen AS SELECT 1 AS one"],
)
def test_a_database_that_holds_anything_is_refused(
    url: str, holds: str, postgres_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres_server.execute(holds, name_of(url))
    assert main(["conformance", "--backend", url]) == 1
    error = capsys.readouterr().err
    assert "conformance_database_not_empty" in error
    assert "public.precious" in error or "mine.seen" in error


def test_a_server_that_cannot_be_reached_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--backend", "postgresql://lash:secret@127.0.0.1:1/x?connect_timeout=5"]) == 1
    error = capsys.readouterr().err
    assert "store_unavailable" in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("url", "within", "driver"),
    [
        (
            "postgres://u@h/db",
            "postgresql://u@h/db?options=-csearch_path%3Ds",
            "postgresql://u@h/db",
        ),
        (
            "postgresql:///db?host=/run/pg&pool_size=3&options=-cjit%3Doff",
            "postgresql:///db?host=%2Frun%2Fpg&pool_size=3&options=-cjit%3Doff%20-csearch_path%3Ds",
            "postgresql:///db?host=%2Frun%2Fpg&options=-cjit%3Doff",
        ),
        (
            "postgresql://pooler/db?direct_url=postgresql%3A//server/db",
            "postgresql://pooler/db?direct_url=postgresql%3A%2F%2Fserver%2Fdb%3Foptions%3D-csearch_path%253Ds"
            "&options=-csearch_path%3Ds",
            "postgresql://server/db",
        ),
    ],
)
def test_urls_of_schemas_keep_what_they_had(url: str, within: str, driver: str) -> None:
    assert within_schema(url, "s") == within
    assert driver_url(url) == driver
