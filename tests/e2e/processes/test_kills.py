"""Workers that are killed with SIGKILL, or told to drain, in the middle of processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import lash

from . import app
from .workers import worker

pytestmark = [pytest.mark.kill]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        made: str = request.getfixturevalue("postgres_urls")()
        return made
    return str(tmp_path / "agent.db")


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(app, "BOOKS", tmp_path / "books.jsonl")
    return tmp_path


async def happened(what: str, times: int = 1) -> None:
    async with asyncio.timeout(60):
        while app.noted().count(what) < times:
            await asyncio.sleep(0.01)


async def test_a_report_survives_the_kill_of_its_workers(url: str, books: Path) -> None:
    async with lash.open(url, app.report, work=False) as runtime:
        handle = await runtime.processes.start(app.report, ["a", "b"])
        async with worker(books, url) as first:
            await happened("slow last")
            await first.kill()
        async with worker(books, url) as second:
            await happened("slow last", 2)  # an idempotent step that was cut runs again
            (books / "go").touch()
            (books / "printed").touch()
            assert await handle.result(timeout=60) == "3 pages"
            await second.kill()
        assert Counter(app.noted()) == {"gather a": 1, "gather b": 1, "slow last": 2, "print": 1}


async def test_an_at_most_once_step_that_was_killed_is_unknown(url: str, books: Path) -> None:
    (books / "go").touch()
    async with lash.open(url, app.report, work=False) as runtime:
        handle = await runtime.processes.start(app.report, [])
        async with worker(books, url) as first:
            await happened("print")
            await first.kill()
        async with worker(books, url):
            with pytest.raises(lash.LashError) as caught:
                await handle.result(timeout=60)
        assert caught.value.code == "outcome_unknown"
        assert app.noted().count("print") == 1


async def test_owner_bound_work_is_abandoned_and_external_work_untouched(url: str, books: Path) -> None:
    async with lash.open(url, app.bound, work=False) as runtime:
        external = await runtime.processes.start_external({"job": 1})
        handle = await runtime.processes.start(app.bound)
        async with worker(books, url) as first:
            await happened("slow bound")
            await first.kill()
        async with worker(books, url):
            with pytest.raises(lash.LashError) as caught:
                await handle.result(timeout=60)
            assert caught.value.code == "process_abandoned"
        assert app.noted().count("bound") == 1
        untouched = await external.status()
        assert (untouched.is_terminal, untouched.attempts) == (False, 0)


async def test_draining_gives_work_back_without_a_retry(url: str, books: Path) -> None:
    async with lash.open(url, app.report, work=False) as runtime:
        handle = await runtime.processes.start(app.report, ["a"])
        async with worker(books, url, "--drain", "0.2") as first:
            await happened("slow last")
            status, said = await first.terminate()
            assert status == 0
            assert "1 pieces of work were given back" in said
        (books / "go").touch()
        (books / "printed").touch()
        async with worker(books, url) as second:
            assert await handle.result(timeout=60) == "2 pages"
            status, said = await second.terminate()
            assert (status, "0 pieces" in said) == (0, True)
        assert (await handle.status()).attempts == 1
        assert Counter(app.noted()) == {"gather a": 1, "slow last": 2, "print": 1}


async def test_a_subagent_and_the_turn_that_waits_for_it_survive_kills(url: str, books: Path) -> None:
    async with lash.open(url, app.chief, work=False) as runtime:
        session = await runtime.session("s", app.chief)
        await session.send("ask", idempotency_key="t")
        async with worker(books, url) as first:
            await happened("child model")
            await first.kill()
        async with worker(books, url):
            await happened("child model", 2)
            (books / "go").touch()
            result: Any = None
            async with asyncio.timeout(60):
                while result is None:
                    result = await session.result("t")
                    await asyncio.sleep(0.02)
            assert result.text == "told 42"
            usage = {entry.source: entry.usage.input_tokens for entry in await session.usage()}
            assert usage == {"turn": 20, "subagent": 100}
        (child,) = await runtime.processes.list(session="s", include_finished=True)
        assert child.terminal_state == "completed"


async def test_two_workers_share_what_waits_and_one_may_die(url: str, books: Path) -> None:
    async with lash.open(url, app.patient, work=False) as runtime:
        handles = [await runtime.processes.start(app.patient, number) for number in range(30)]
        async with worker(books, url) as first, worker(books, url):
            await happened("gather patient 10")
            await first.kill()
            for number in range(30):
                await happened(f"gather patient {number}")
            for handle in handles:
                await handle.resolve("add", 100)
            results = [await handle.result(timeout=60) for handle in handles]
        assert results == [100 + number for number in range(30)]
