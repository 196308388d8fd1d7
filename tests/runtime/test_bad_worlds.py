"""A world that does not play along: full disks, broken files, newer schemas, models that misbehave."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

import lash
from lash.testing import ScriptedModel, call, garbled_call, reply
from lash.values import ModelFailure, TokenUsage

from .conftest import scripted_agent


async def refused(url: str) -> lash.LashError:
    with pytest.raises(lash.LashError) as caught:
        async with lash.open(url, scripted_agent(["hi"])) as runtime:
            session = await runtime.session("s")
            await session.turn("hello")
    return caught.value


async def test_file_that_is_no_database_is_refused_and_left_alone(sqlite_url: str) -> None:
    Path(sqlite_url).write_bytes(b"this is a shopping list, not a database" * 100)
    before = Path(sqlite_url).read_bytes()
    assert (await refused(sqlite_url)).code == "store_corrupt"
    assert Path(sqlite_url).read_bytes() == before


async def test_torn_database_is_refused_loudly(sqlite_url: str) -> None:
    async with lash.open(sqlite_url, scripted_agent(["hi"])) as runtime:
        session = await runtime.session("s")
        await session.turn("hello")
    body = bytearray(Path(sqlite_url).read_bytes())
    body[8192:] = os.urandom(len(body) - 8192)
    Path(sqlite_url).write_bytes(body)
    error = await refused(sqlite_url)
    assert error.code in {"store_corrupt", "stored_data_corrupt"}


async def test_newer_schema_is_refused_with_both_versions(sqlite_url: str) -> None:
    async with lash.open(sqlite_url, scripted_agent(["hi"])):
        pass
    connection = apsw.Connection(sqlite_url)
    connection.pragma("user_version", 4711)
    connection.close()
    error = await refused(sqlite_url)
    assert error.code == "schema_newer"
    assert "4711" in str(error)


async def test_other_programs_database_is_refused(sqlite_url: str) -> None:
    connection = apsw.Connection(sqlite_url)
    connection.execute("create table recipes(name)")
    connection.pragma("application_id", 1234)
    connection.close()
    assert (await refused(sqlite_url)).code == "store_foreign"


async def test_missing_folder_is_named(tmp_path: Path) -> None:
    error = await refused(str(tmp_path / "no" / "such" / "agent.db"))
    assert error.code.startswith("store_")
    assert "no/such" in str(error)


async def test_disk_that_fills_up_loses_nothing(sqlite_url: str) -> None:
    big = "x" * 400_000

    async def say(_: object) -> str:
        return big

    agent = lash.Agent("a", model=ScriptedModel(say))
    async with lash.open(sqlite_url, agent) as runtime:
        session = await runtime.session("s")
        await session.turn("fits", turn_id="t0")
    script = """
import asyncio, resource, signal, sys, lash
from lash.testing import ScriptedModel
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
async def main():
    async with lash.open(sys.argv[1], lash.Agent("a", model=ScriptedModel(lambda r: "x" * 400_000))) as runtime:
        session = await runtime.session("s")
        for n in range(1, 10):
            try:
                await session.turn(f"turn {n}", turn_id=f"t{n}")
            except lash.LashError as error:
                print(n, error.code)
                return
asyncio.run(main())
"""
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script, sqlite_url], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    number, code = run.stdout.split()
    assert code == "store_full"
    async with lash.open(sqlite_url, agent) as runtime:
        session = await runtime.session("s")
        while await session.queue():
            await asyncio.sleep(0.01)
        history = [m.text for m in await session.history() if m.role == "user"]
        assert history[: int(number)] == ["fits", *(f"turn {n}" for n in range(1, int(number)))]
        assert len(history) == len(set(history))
        assert (await session.turn("after", turn_id="after")).text == big


@pytest.fixture
def as_nobody() -> None:
    if os.geteuid() == 0:
        pytest.skip("NOT RUN: root may write to a read-only file; the engine's own tests cover it by a URI")


def test_limits_of_this_process_are_unchanged() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] in {resource.RLIM_INFINITY, -1}


async def test_read_only_file_is_named(sqlite_url: str, as_nobody: None) -> None:
    async with lash.open(sqlite_url, scripted_agent(["hi"])):
        pass
    os.chmod(sqlite_url, 0o444)
    assert (await refused(sqlite_url)).code == "store_read_only"


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("openai:gpt-5.4-mini", "model_key_missing"),
        ("anthropic:claude-sonnet-5", "model_key_missing"),
        ("nobody:model", "model_unknown_provider"),
    ],
)
async def test_model_that_cannot_be_had_stops_the_opening(
    url: str, model: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(lash.LashError) as caught:
        async with lash.open(url, lash.Agent("a", model=model)):
            pass
    assert caught.value.code == code


async def test_garbled_arguments_are_repaired_by_the_model(url: str) -> None:
    runs: list[str] = []

    @lash.tool
    def remove(path: str) -> str:
        """Remove a file."""
        runs.append(path)
        return "removed"

    agent = scripted_agent([garbled_call("remove"), call("remove", path="a"), "done"], tools=[remove])
    async with lash.open(url, agent) as runtime:
        result = await (await runtime.session("s")).turn("go")
        assert [one.is_error for one in result.tool_calls] == [True, False]
        assert runs == ["a"]


async def test_cut_stream_is_a_failure_and_its_text_is_not_kept(url: str) -> None:
    agent = scripted_agent([reply("half an ans", fail_after_chars=5)])
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        result = await session.turn("go")
        assert result.stop == "provider_error"
        assert [issue.code for issue in result.issues] == ["model_stream_cut"]
        assert [message.role for message in await session.history()] == ["user"]


async def test_context_overflow_and_filter_are_told_apart(url: str) -> None:
    for reason in ("context_overflow", "content_filter"):
        failure = ModelFailure(kind="http", code=f"model_{reason}", message="no", terminal_reason=reason)  # type: ignore[arg-type]
        async with lash.open(url, scripted_agent([failure])) as runtime:
            session = await runtime.session(reason)
            assert (await session.turn("go")).stop == reason


async def test_empty_answer_is_a_stop(url: str) -> None:
    async with lash.open(url, scripted_agent([reply("", usage=TokenUsage())])) as runtime:
        result = await (await runtime.session("s")).turn("go")
        assert result.stop == "empty_response"


async def test_tool_that_breaks_harms_only_its_call(url: str) -> None:
    @lash.tool(effect="read_only")
    def broken() -> str:
        """Break."""
        raise ZeroDivisionError("oh no")

    @lash.tool(effect="read_only")
    def fine() -> str:
        """Work."""
        return "fine"

    agent = scripted_agent([[call("broken"), call("fine")], "done"], tools=[broken, fine])
    async with lash.open(url, agent) as runtime:
        result = await (await runtime.session("s")).turn("go")
        assert [one.is_error for one in result.tool_calls] == [True, False]
        assert "ZeroDivisionError" in str(result.tool_calls[0].result)
        assert result.text == "done"


async def test_closed_runtime_says_so(url: str) -> None:
    async with lash.open(url, scripted_agent(["hi"])) as runtime:
        session = await runtime.session("s")
    with pytest.raises(lash.LashError) as caught:
        await session.turn("hello")
    assert caught.value.code == "runtime_closed"


async def test_sync_call_on_a_running_loop_is_refused(url: str) -> None:
    async with lash.open(url, scripted_agent(["hi"])) as runtime:
        session = await runtime.session("s")
        with pytest.raises(lash.LashError) as caught:
            session.turn_sync("hello")
        assert caught.value.code == "sync_call_on_event_loop"


def test_script_without_a_loop(url: str) -> None:
    with lash.open(url, scripted_agent(["hi"])) as runtime:
        session = runtime.session_sync("s")
        assert session.turn_sync("hello").text == "hi"
        assert [message.text for message in session.history_sync()] == ["hello", "hi"]
        assert [info.session_id for info in runtime.sessions_sync()] == ["s"]
