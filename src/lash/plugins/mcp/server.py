"""Which MCP server is meant, and how far it is trusted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from lash.errors import LashError
from lash.tools import Approval


@dataclass(frozen=True, kw_only=True)
class McpServer:
    """An MCP server. Make one with `stdio` or `http`.

    Attributes:
        command: The program that is started, for stdio.
        arguments, env, cwd: How it is started. Of this process's environment it gets a few harmless variables,
            and these.
        url: The endpoint, for streamable HTTP.
        headers: Sent with every request.
        approval: Whether a person must agree to calls of its tools; see `lash.tool`.
        trust_hints: Whether its own word is taken for which tools only read and which may be repeated. Without it
            every call is `at_most_once`.
        timeout_s: Seconds that a call may take.
    """

    command: str | None = None
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    approval: Approval = False
    trust_hints: bool = False
    timeout_s: float = 60.0

    @classmethod
    def stdio(
        cls,
        command: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        approval: Approval = False,
        trust_hints: bool = False,
        timeout_s: float = 60.0,
    ) -> McpServer:
        """Return a server that is a program of its own, spoken to over its standard input and output."""
        return cls(
            command=command,
            arguments=arguments,
            env=dict(env or {}),
            cwd=None if cwd is None else os.fspath(cwd),
            approval=approval,
            trust_hints=trust_hints,
            timeout_s=timeout_s,
        )

    @classmethod
    def http(
        cls,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        approval: Approval = False,
        trust_hints: bool = False,
        timeout_s: float = 60.0,
    ) -> McpServer:
        """Return a server at a URL, spoken to over streamable HTTP."""
        return cls(
            url=url,
            headers=dict(headers or {}),
            approval=approval,
            trust_hints=trust_hints,
            timeout_s=timeout_s,
        )

    def transport(self) -> Any:  # the SDK's, which is an optional extra
        """Return what the SDK's client connects through.

        Raises:
            LashError: `extra_missing`.
        """
        if self.command is not None:
            stdio = sdk("mcp.client.stdio")
            given = stdio.StdioServerParameters(
                command=self.command, args=list(self.arguments), env=dict(self.env), cwd=self.cwd
            )
            return stdio.stdio_client(given)
        return _HttpTransport(self.url or "", dict(self.headers))


class _HttpTransport(AbstractAsyncContextManager[Any]):
    """Streamable HTTP with headers: the client that carries them lives as long as the connection."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._http: Any = None
        self._inner: Any = None

    async def __aenter__(self) -> Any:
        http = sdk("mcp.client.streamable_http")
        self._http = sdk("httpx2").AsyncClient(headers=dict(self._headers))
        await self._http.__aenter__()
        self._inner = http.streamable_http_client(self._url, http_client=self._http)
        return await self._inner.__aenter__()

    async def __aexit__(self, *error: Any) -> bool | None:
        try:
            swallowed: bool | None = await self._inner.__aexit__(*error)
        finally:
            await self._http.__aexit__(*error)
        return swallowed


def sdk(module: str) -> Any:  # a module of the optional extra
    """Import a module of the SDK.

    Raises:
        LashError: `extra_missing`, naming what to install.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as problem:
        raise LashError(
            "extra_missing",
            "the MCP SDK is not installed; run: pip install lash-runtime[mcp]",
            extra="mcp",
        ) from problem


def checked_names(names: Sequence[str]) -> None:
    """Refuse names that would not do as a part of a tool's name.

    Raises:
        LashError: `mcp_server_invalid`.
    """
    for name in names:
        if not name or "__" in name or not all(char.isalnum() or char in "-_" for char in name):
            raise LashError(
                "mcp_server_invalid",
                f"an MCP server cannot be called {name!r}: use letters, digits, `-` and single `_`",
                server=name,
            )
