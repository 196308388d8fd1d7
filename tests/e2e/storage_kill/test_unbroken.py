"""A server that crashes, and wires that are cut, in the middle of everything: every outcome is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from .cutting import CuttingWire
from .unbroken import run_through_cuts, run_through_restarts

pytestmark = [pytest.mark.kill, pytest.mark.heavy]


def test_a_server_that_crashes_under_its_writers_costs_them_nothing(
    postgres_urls: Callable[[], str], postgres_server: Any
) -> None:
    told = run_through_restarts(
        postgres_urls(), postgres_server.crash_and_restart, restarts=3, operations=40, seed=5
    )
    assert told.answers > 0


def test_commits_whose_connection_is_cut_happen_once_and_are_answered(
    postgres_urls: Callable[[], str],
) -> None:
    url = postgres_urls()
    with (
        TemporaryDirectory(prefix="lash-wire-") as folder,  # the path of a socket must be short
        CuttingWire(url, Path(folder), seed=6, share=0.05) as wire,
    ):
        told = run_through_cuts(url, wire.url, operations=40, seed=6)
        assert told.answers > 0
        assert wire.cut_before > 0
        assert wire.cut_after > 0
