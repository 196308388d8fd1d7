"""What an MCP server gives back, as what a tool returns."""

from __future__ import annotations

import base64
from typing import Any

from lash.errors import ToolError
from lash.tools import Attachment


def tool_result(result: Any, *, server: str, tool: str) -> object:
    """Return a result as text, JSON, attachments, or a list of these.

    Args:
        result: The SDK's `CallToolResult`.
        server, tool: For messages.

    Raises:
        ToolError: `mcp_tool_failed` when the tool says that it failed.
    """
    parts = [_part(block) for block in result.content]
    if result.is_error:
        told = "\n".join(part for part in parts if isinstance(part, str))
        raise ToolError("mcp_tool_failed", told or f"{tool} of MCP server {server!r} failed")
    files = [part for part in parts if isinstance(part, Attachment)]
    if result.structured_content is not None:
        return [result.structured_content, *files] if files else result.structured_content
    if not files:
        return "\n".join(str(part) for part in parts)
    return parts if len(parts) > 1 else parts[0]


def _part(block: Any) -> str | Attachment:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return Attachment(base64.b64decode(block.data), block.mime_type)
        case "resource":
            resource = block.resource
            if getattr(resource, "text", None) is not None:
                return str(resource.text)
            media_type = resource.mime_type or "application/octet-stream"
            return Attachment(base64.b64decode(resource.blob), media_type, str(resource.uri))
        case "resource_link":
            return f"{block.name}: {block.uri}"
        case _:
            return f"[{block.type}]"
