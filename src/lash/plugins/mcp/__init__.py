"""Tools of MCP servers, as a plugin (extra `mcp`)."""

from lash.plugins.mcp.plugin import McpServers, McpStatus
from lash.plugins.mcp.server import McpServer

__all__ = ["McpServer", "McpServers", "McpStatus"]
