"""`McpServers`: the tools of MCP servers among an agent's own.

Connections belong to the template and are shared by all sessions of a runtime. Tools are looked at when a turn
begins, so what is attached or detached while one runs is seen by the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lash.errors import LashError
from lash.plugins.contexts import TurnContext
from lash.plugins.mcp.connection import McpConnection, State
from lash.plugins.mcp.server import McpServer, checked_names, sdk
from lash.plugins.plugin import Plugin
from lash.tools import SchemaFunction, Tool, ToolContext, tool_of_schema
from lash.values import Json, Record, stable_hash

_NAME_MAX = 64


class McpStatus(Record, frozen=True, kw_only=True):
    """How a server is. `refused` names tools that cannot be offered, with the reason."""

    name: str
    state: State
    problem: str = ""
    tools: tuple[str, ...] = ()
    refused: dict[str, str] = {}


class McpServers(Plugin):
    """Brings the tools of MCP servers, as `mcp__{server}__{tool}`.

    A server that cannot be reached, or breaks, has no tools until it is back; the others are not harmed, and who
    watches a turn is told (`PluginNotice`).

    Args:
        servers: By name: letters, digits, `-` and single `_`.
        patience_s: How long opening a runtime, or `attach`, waits for a server to answer.

    Raises:
        LashError: `mcp_server_invalid` for a name that would not do.
    """

    id = "mcp"

    def __init__(self, servers: Mapping[str, McpServer] | None = None, *, patience_s: float = 10.0) -> None:
        checked_names(tuple(servers or {}))
        self._patience_s = patience_s
        self._connections = {name: McpConnection(name, server) for name, server in (servers or {}).items()}
        self._is_open = False

    async def start(self) -> None:
        """Connect to all servers, side by side; none of them keeps the runtime from opening.

        Raises:
            LashError: `extra_missing`.
        """
        sdk("mcp")
        self._is_open = True
        for connection in self._connections.values():
            connection.open()
        for connection in self._connections.values():
            await connection.settled(self._patience_s)

    async def close(self) -> None:
        """Disconnect from all servers."""
        self._is_open = False
        for name, connection in list(self._connections.items()):
            await connection.close()
            self._connections[name] = McpConnection(name, connection.server)

    async def attach(self, name: str, server: McpServer) -> McpStatus:
        """Add a server. Turns that begin from now on have its tools.

        Raises:
            LashError: `mcp_server_invalid` for a name that would not do, or is taken.
        """
        checked_names((name,))
        if name in self._connections:
            raise LashError("mcp_server_invalid", f"there is an MCP server {name!r} already", server=name)
        connection = self._connections[name] = McpConnection(name, server)
        if self._is_open:
            connection.open()
            await connection.settled(self._patience_s)
        return self._status(connection)

    async def detach(self, name: str) -> None:
        """Remove a server. Turns that begin from now on do without its tools.

        Raises:
            LashError: `mcp_server_unknown`.
        """
        connection = self._connections.pop(name, None)
        if connection is None:
            raise LashError("mcp_server_unknown", f"there is no MCP server {name!r}", server=name)
        await connection.close()

    def status(self) -> list[McpStatus]:
        """Return how all servers are."""
        return [self._status(connection) for connection in self._connections.values()]

    def tools(self) -> Sequence[Any]:
        """Return the tools of the servers that are there."""
        return [
            tool
            for connection in self._connections.values()
            for tool in _tools_of(connection).values()
            if isinstance(tool, Tool)
        ]

    async def before_turn(self, turn: TurnContext) -> None:
        """Tell who watches which servers a turn has to do without."""
        for status in self.status():
            if status.state != "connected" or status.refused:
                turn.notice(
                    {
                        "warning": "mcp_server_unavailable"
                        if status.state != "connected"
                        else "mcp_tools_refused",
                        "server": status.name,
                        "state": status.state,
                        "problem": status.problem,
                        "refused": status.refused,
                    }
                )

    def _status(self, connection: McpConnection) -> McpStatus:
        tools = _tools_of(connection)
        return McpStatus(
            name=connection.name,
            state=connection.state,
            problem=connection.problem,
            tools=tuple(name for name, tool in tools.items() if isinstance(tool, Tool)),
            refused={name: tool for name, tool in tools.items() if isinstance(tool, str)},
        )


def _tools_of(connection: McpConnection) -> dict[str, Tool[..., Any] | str]:
    """Return a server's tools by name; for one that cannot be offered, the reason."""
    found: dict[str, Tool[..., Any] | str] = {}
    for described in connection.tools:
        name = tool_name(connection.name, described.name)
        if name in found:
            found[name] = "two tools of the server would have this name"
            continue
        try:
            found[name] = tool_of_schema(
                name,
                described.description or described.title or "",
                described.input_schema,
                _calling(connection, described.name),
                effect=_effect(connection.server, described.annotations),
                approval=connection.server.approval,
                timeout=connection.server.timeout_s + 5,
            )
        except LashError as problem:
            found[name] = problem.message
    return found


def tool_name(server: str, tool: str) -> str:
    """Return what the model calls a tool: `mcp__{server}__{tool}`, in the characters that vendors accept.

    A name that is too long is cut, and told from others by a hash of the whole.
    """
    name = f"mcp__{server}__{re.sub(r'[^a-zA-Z0-9_-]', '_', tool)}"
    if len(name) <= _NAME_MAX:
        return name
    return f"{name[: _NAME_MAX - 9]}_{stable_hash((server, tool))[:8]}"


def _calling(connection: McpConnection, tool: str) -> SchemaFunction:
    async def run(_: ToolContext, arguments: dict[str, Json]) -> object:
        return await connection.call(tool, arguments)

    return run


def _effect(server: McpServer, hints: Any) -> Literal["read_only", "idempotent", "at_most_once"]:
    if server.trust_hints and hints is not None:
        if hints.read_only_hint:
            return "read_only"
        if hints.idempotent_hint:
            return "idempotent"
    return "at_most_once"
