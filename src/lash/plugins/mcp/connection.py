"""One connection to one MCP server: kept by a task of its own, made again when it breaks.

The SDK ties a client to the task that opened it, so one task opens it, lists its tools, looks after it and closes
it. Calls come from anywhere. Whatever goes wrong stays here: a broken server has no tools and a reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Literal

from lash.errors import LashError
from lash.plugins.mcp.results import tool_result
from lash.plugins.mcp.server import McpServer, sdk
from lash.values import Json

_log = logging.getLogger("lash.plugins.mcp")

State = Literal["connecting", "connected", "broken", "closed"]

_LOOK_AFTER_S = 30.0
_BACKOFF_FIRST_S = 0.5
_BACKOFF_CAP_S = 30.0
_PAGES_MAX = 100


class McpConnection:
    """Keeps a server connected.

    Args:
        name: What the server is called here.
        server: Which one.
    """

    def __init__(self, name: str, server: McpServer) -> None:
        self.name = name
        self.server = server
        self.state: State = "connecting"
        self.problem = ""
        self.tools: tuple[Any, ...] = ()  # the SDK's descriptions
        self._client: Any = None
        self._task: asyncio.Task[None] | None = None
        self._disturbed = asyncio.Event()
        self._tried = asyncio.Event()

    def open(self) -> None:
        """Begin to connect."""
        self._task = asyncio.create_task(self._keep(), name=f"lash-mcp-{self.name}")

    async def settled(self, timeout_s: float) -> None:
        """Return when the first attempt to connect has ended, or the time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._tried.wait()
        except TimeoutError:
            self.problem = self.problem or f"it did not answer within {timeout_s:g} s"

    async def close(self) -> None:
        """Disconnect."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.state, self.tools = "closed", ()

    async def call(self, tool: str, arguments: dict[str, Json]) -> object:
        """Call a tool of the server.

        Raises:
            LashError: `mcp_server_unavailable` when there is no connection, or it breaks during the call;
                `mcp_call_failed` when the server refuses the call; `ToolError("mcp_tool_failed")` when the tool
                says that it failed.
        """
        client = self._client
        if client is None:
            raise LashError(
                "mcp_server_unavailable",
                f"MCP server {self.name!r} is {self.state}: {self.problem or 'try again later'}",
                server=self.name,
            )
        try:
            result = await client.call_tool(tool, arguments, read_timeout_seconds=self.server.timeout_s)
        except Exception as problem:
            if isinstance(problem, sdk("mcp").MCPError) and not _is_gone(problem):
                raise LashError(
                    "mcp_call_failed", f"MCP server {self.name!r} refused {tool}: {problem}", server=self.name
                ) from problem
            self._disturbed.set()
            raise LashError(
                "mcp_server_unavailable",
                f"MCP server {self.name!r} was lost during {tool}: {_text(problem)}; the call may have taken effect",
                server=self.name,
            ) from problem
        return tool_result(result, server=self.name, tool=tool)

    async def _keep(self) -> None:
        failures = 0
        while True:
            self._disturbed.clear()
            try:
                await self._connected()
                failures = 0
            except asyncio.CancelledError:
                raise
            except BaseException as problem:
                if not isinstance(problem, Exception | BaseExceptionGroup):
                    raise
                failures += 1
                self._broke(problem)
            await asyncio.sleep(
                min(_BACKOFF_FIRST_S * 2 ** (failures - 1), _BACKOFF_CAP_S) if failures else 0
            )

    async def _connected(self) -> None:
        """Connect, and return (or raise) when the connection is no good any more."""
        async with sdk("mcp").Client(self.server.transport(), message_handler=self._heard) as client:
            try:
                self.tools = await _listed(client)
                self._client = client
                self.state, self.problem = "connected", ""
                self._tried.set()
                while True:
                    try:
                        async with asyncio.timeout(_LOOK_AFTER_S):
                            await self._disturbed.wait()
                    except TimeoutError:
                        pass
                    self._disturbed.clear()
                    self.tools = await _listed(client)  # raises when nobody is there
            finally:
                self._client = None

    async def _heard(self, message: Any) -> None:
        if isinstance(message, sdk("mcp_types").ToolListChangedNotification):
            self._disturbed.set()

    def _broke(self, problem: BaseException) -> None:
        self.state, self.tools = "broken", ()
        self.problem = _text(problem)
        self._tried.set()
        _log.warning("MCP server %r is broken: %s", self.name, self.problem)


async def _listed(client: Any) -> tuple[Any, ...]:
    tools: list[Any] = []
    cursor: str | None = None
    for _ in range(_PAGES_MAX):
        page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return tuple(tools)


def _is_gone(problem: Any) -> bool:
    """Whether an error of the protocol says that nobody is at the other end."""
    return "closed" in str(problem).lower() or getattr(problem.error, "code", 0) == -32000


def _text(problem: BaseException) -> str:
    """Return what a problem says; of a group, what its first member says."""
    seen: Sequence[BaseException] = getattr(problem, "exceptions", ())
    if seen:
        return _text(seen[0])
    return str(problem) or type(problem).__name__
