"""MCP servers as a plugin, against real server processes made with the same SDK."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.conftest import scripted_agent

import lash
from lash.plugins.mcp import McpServer, McpServers
from lash.testing import call, reply
from lash.values import EffectState, ModelRequest, PluginNotice

pytest.importorskip("mcp", reason="NOT RUN, no MCP SDK: pip install 'lash-runtime[mcp]'")

# The SDK lets go of a server's process without waiting for it when its connection is cancelled while it starts. The
# transport is collected here, under these filters, and not in the middle of somebody else's test.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


WITHIN_S = 90
SCRIPT = str(Path(__file__).parent / "server.py")


def stdio(**options: Any) -> McpServer:
    return McpServer.stdio(sys.executable, SCRIPT, "stdio", **options)


@pytest.fixture
def http_url() -> Iterator[str]:
    with subprocess.Popen([sys.executable, SCRIPT, "http"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        yield f"http://127.0.0.1:{port}/mcp"
        process.kill()


def told(request: ModelRequest) -> str:
    parts = [part for message in request.messages for part in message.parts]
    return " | ".join(str(part.content) for part in parts if hasattr(part, "content"))


def agent_of(servers: McpServers, *steps: Any, **options: Any) -> lash.Agent:
    return scripted_agent([*steps, told], plugins=[servers], **options)


async def turn(session: lash.Session, **options: Any) -> lash.TurnResult:
    async with asyncio.timeout(WITHIN_S):
        return await session.turn("go", **options)


async def test_tools_of_a_program_are_called_and_named_after_their_server() -> None:
    seen: list[list[str]] = []

    def asks(request: ModelRequest) -> Any:
        seen.append([tool.name for tool in request.tools])
        return reply(call("mcp__calc__add", a=2, b=3), call("mcp__calc__fail", why="no luck"))

    servers = McpServers({"calc": stdio(trust_hints=True)}, patience_s=WITHIN_S)
    async with lash.open("memory:", agent_of(servers, asks)) as runtime:
        result = await turn(await runtime.session("s"))
        effects, _ = await runtime.effects.list(session_id="s")
    assert seen[0] == ["mcp__calc__add", "mcp__calc__fail", "mcp__calc__die", "mcp__calc__environment"]
    added, failed = result.tool_calls
    assert added.result == {"result": 5}
    assert failed.is_error
    assert "no luck" in str(failed.result)
    by_label = {line.identity.label: line.identity.at_most_once for line in effects}
    assert by_label["mcp__calc__add"] is False
    assert by_label["mcp__calc__fail"] is True


async def test_tools_of_a_url_are_called(http_url: str) -> None:
    servers = McpServers({"web": McpServer.http(http_url, headers={"x-test": "1"})}, patience_s=WITHIN_S)
    agent = agent_of(servers, reply(call("mcp__web__add", a=20, b=3)))
    async with lash.open("memory:", agent) as runtime:
        result = await turn(await runtime.session("s"))
    assert result.text == "{'result': 23}"


async def test_arguments_are_checked_before_anything_is_sent() -> None:
    servers = McpServers({"calc": stdio()}, patience_s=WITHIN_S)
    agent = agent_of(servers, reply(call("mcp__calc__add", a="two", b=3)))
    async with lash.open("memory:", agent) as runtime:
        result = await turn(await runtime.session("s"))
    assert "invalid_tool_args" in result.text


async def test_environment_is_what_it_was_given_and_not_this_process_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_SECRET", "hidden")
    servers = McpServers({"calc": stdio(env={"GIVEN": "yes"})}, patience_s=WITHIN_S)
    asks = reply(
        call("mcp__calc__environment", name="A_SECRET"), call("mcp__calc__environment", name="GIVEN")
    )
    async with lash.open("memory:", agent_of(servers, asks)) as runtime:
        result = await turn(await runtime.session("s"))
    assert [one.result for one in result.tool_calls] == [{"result": "not set"}, {"result": "yes"}]


async def test_broken_server_harms_nobody_and_watchers_are_told() -> None:
    servers = McpServers({"gone": McpServer.stdio("/no/such/program"), "calc": stdio()}, patience_s=WITHIN_S)
    agent = agent_of(servers, reply(call("mcp__calc__add", a=1, b=1)))
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        running = session.turn("go")
        async with asyncio.timeout(WITHIN_S):
            notices = [
                event.activity async for event in running.events() if isinstance(event.activity, PluginNotice)
            ]
            result = await running
        states = {status.name: status.state for status in servers.status()}
    assert result.text == "{'result': 2}"
    assert [(one.payload["server"], one.payload["state"]) for one in notices] == [("gone", "broken")]
    assert states == {"gone": "broken", "calc": "connected"}


async def test_server_that_dies_in_a_call_fails_the_call_and_comes_back() -> None:
    servers = McpServers({"calc": stdio()}, patience_s=WITHIN_S)
    agent = agent_of(servers, reply(call("mcp__calc__die")))
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        result = await turn(session)
        assert result.tool_calls[0].is_error
        assert "mcp_server_unavailable" in result.text
        async with asyncio.timeout(WITHIN_S):
            while servers.status()[0].state != "broken" and not servers.status()[0].tools:
                await asyncio.sleep(0.05)
            while servers.status()[0].state != "connected":
                await asyncio.sleep(0.05)


async def test_attached_and_detached_servers_are_seen_by_the_next_turn() -> None:
    offered: list[list[str]] = []

    def looks(request: ModelRequest) -> Any:
        offered.append([tool.name for tool in request.tools])
        return "done"

    servers = McpServers(patience_s=WITHIN_S)
    async with lash.open("memory:", agent_of(servers, looks)) as runtime:
        session = await runtime.session("s")
        await turn(session)
        status = await servers.attach("calc", stdio())
        assert (status.state, len(status.tools)) == ("connected", 4)
        await turn(session)
        await servers.detach("calc")
        await turn(session)
        with pytest.raises(lash.LashError) as caught:
            await servers.detach("calc")
    assert caught.value.code == "mcp_server_unknown"
    assert [len(names) for names in offered] == [0, 4, 0]


async def test_calls_may_wait_for_a_person() -> None:
    servers = McpServers({"calc": stdio(approval=True)}, patience_s=WITHIN_S)
    agent = agent_of(servers, reply(call("mcp__calc__add", a=1, b=1)))
    async with lash.open("memory:", agent) as runtime:
        session = await runtime.session("s")
        running = asyncio.ensure_future(session.turn("go", turn_id="t1"))
        changed = runtime.database.subscribe(["session:s"])
        async with asyncio.timeout(WITHIN_S):
            while not (waiting := await runtime.approvals.list()):
                await changed.wait(timeout_ms=50)
            await runtime.approvals.deny(waiting[0].id, "no sums today")
            result = await running
        changed.close()
        assert "no sums today" in result.text
        unknown, _ = await runtime.effects.list(state=EffectState.UNKNOWN)
        assert unknown == []


@pytest.mark.parametrize("name", ["", "a__b", "a b"])
def test_names_that_would_not_do_are_refused(name: str) -> None:
    with pytest.raises(lash.LashError) as caught:
        McpServers({name: stdio()})
    assert caught.value.code == "mcp_server_invalid"


def test_long_names_are_cut_and_told_apart() -> None:
    from lash.plugins.mcp.plugin import tool_name

    one, two = tool_name("server", "x" * 80), tool_name("server", "x" * 81)
    assert len(one) == len(two) == 64
    assert one != two
    assert tool_name("a", "b.c/d") == "mcp__a__b_c_d"
