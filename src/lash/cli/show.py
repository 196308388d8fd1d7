"""`lash show`: the history of a session."""

from __future__ import annotations

import argparse
import asyncio
import json

from lash.cli.options import add_db, add_json, existing, print_json
from lash.errors import LashError
from lash.values import AttachmentPart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash show`."""
    parser.add_argument("session", metavar="SESSION", help="the session's id")
    add_db(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the conversation."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import Session
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        info = await runtime.database.session_catalog.find_session(options.session)
        if info is None:
            raise LashError(
                "session_unknown", f"there is no session {options.session!r}; `lash sessions` lists them"
            )
        session = Session(runtime, info)
        messages = await session.history()
        usage = await session.usage()
    if options.json:
        print_json({"session": info, "messages": messages, "usage": usage})
        return 0
    for message in messages:
        print(f"{message.role}:")
        for line in _lines(message):
            print(f"  {line}")
    for entry in usage:
        print(f"{entry.model} ({entry.source}): {entry.usage.total} tokens")
    return 0


def _lines(message: Message) -> list[str]:
    lines: list[str] = []
    for part in message.parts:
        match part:
            case TextPart(text=text):
                lines += text.splitlines() or [""]
            case ReasoningPart(text=text):
                lines += [f"(thinks) {line}" for line in text.splitlines()]
            case ToolCallPart(name=name, args=args):
                lines.append(f"-> {name} {json.dumps(args, ensure_ascii=False)}")
            case ToolResultPart(name=name, content=content, is_error=is_error):
                text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
                first, *rest = text.splitlines() or [""]
                lines.append(f"<- {name}{' failed' if is_error else ''}: {first}")
                lines += [f"   {line}" for line in rest]
            case AttachmentPart(ref=ref):
                lines.append(f"[{ref.media_type}, {ref.byte_len} bytes, {ref.id[:12]}…]")
    return lines
