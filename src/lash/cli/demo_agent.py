"""The agent of `lash demo`: real tools over real files, and the script of its stand-in model.

Each tool notes every execution in a log of its own, fsynced, outside lash: what the demo claims is counted
there, not in lash's own books.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from lash.agents import Agent
from lash.contracts import Model
from lash.tools import ToolContext, file_tools, tool
from lash.values import ModelRequest, ToolResultPart

if TYPE_CHECKING:
    from lash.testing.script_steps import Step

PROMPT = (
    "Read README.md, file a ticket about what it promises, announce the release, and tell me what you did."
)
INSTRUCTIONS = (
    "You are a release assistant. First read README.md with read_file and file a ticket with file_ticket. "
    "Then call announce_release once. If its outcome is unknown, look at the outbox with read_outbox before "
    "you decide whether to announce again."
)
ANNOUNCEMENT = "lash is out: turns that survive kill -9"


class DemoFolder:
    """Where the demo keeps its database, its side effects and its own books."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "agent.db"
        self.outbox = path / "outbox.txt"
        self.tickets = path / "tickets.jsonl"
        self.executions = path / "executions.jsonl"
        self._trap = path / "kill-after"

    def append(self, file: Path, line: str) -> None:
        """Append a line, and return once it is on the disk."""
        with file.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
            out.flush()
            os.fsync(out.fileno())

    def note(self, what: str, key: str) -> None:
        """Note that something ran."""
        self.append(self.executions, json.dumps({"what": what, "key": key, "pid": os.getpid()}))

    def set_trap(self, tool: str) -> None:
        """Kill the process at the end of the next call of a tool; `any` is whichever comes first."""
        self._trap.write_text(tool)

    def spring(self, tool: str) -> None:
        """Kill this process with SIGKILL if the trap is set for this tool.

        The moment that no program can prepare for: the call has happened, and nobody has been told.
        """
        if self._trap.exists() and self._trap.read_text() in (tool, "any"):
            self._trap.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def lines(self, file: Path) -> list[str]:
        """Return the lines of a file; none when there is no such file."""
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def demo_agent(folder: DemoFolder, root: Path, model: str | Model) -> Agent:
    """Return the agent."""

    @tool(effect="idempotent")
    def file_ticket(title: str, body: str, ctx: ToolContext) -> str:
        """File a ticket with the ticket service.

        Args:
            title: One line.
            body: What it is about.
        """
        folder.note("file_ticket", ctx.idempotency_key)
        tickets = [json.loads(line) for line in folder.lines(folder.tickets)]
        if not any(ticket["key"] == ctx.idempotency_key for ticket in tickets):
            ticket = {"key": ctx.idempotency_key, "title": title, "body": body}
            folder.append(folder.tickets, json.dumps(ticket))
        folder.spring("file_ticket")
        return "filed"

    @tool(effect="at_most_once")
    def announce_release(text: str, ctx: ToolContext) -> str:
        """Send an announcement to everybody. It cannot be taken back.

        Args:
            text: The announcement.
        """
        folder.note("announce_release", ctx.call_id)
        folder.append(folder.outbox, text)
        folder.spring("announce_release")
        return "sent"

    @tool(effect="read_only")
    def read_outbox(ctx: ToolContext) -> list[str]:
        """Return every announcement that was sent."""
        folder.note("read_outbox", ctx.call_id)
        folder.spring("read_outbox")
        return folder.lines(folder.outbox)

    tools = (*file_tools(root), file_ticket, announce_release, read_outbox)
    return Agent("release-assistant", model=model, tools=tools, instructions=INSTRUCTIONS)


def demo_script(folder: DemoFolder) -> Model:
    """Return a model that follows a script: a function of the conversation, as a real one is."""
    from lash.testing import ScriptedModel, call, reply

    def read_and_file(_: ModelRequest) -> Step:
        folder.note("model", "answer 1")
        return reply(
            "I read the promise and file it.",
            call("read_file", path="README.md"),
            call("file_ticket", title="Check the README", body="Every promise of README.md has a test."),
        )

    def announce(_: ModelRequest) -> Step:
        folder.note("model", "answer 2")
        return reply("Now the announcement.", call("announce_release", text=ANNOUNCEMENT))

    def check(request: ModelRequest) -> Step:
        folder.note("model", "answer 3")
        if "Nobody knows" in _last_result(request):
            return reply("Nobody knows whether it went out. I look before I act.", call("read_outbox"))
        return "The ticket is filed and the announcement is sent."

    def conclude(request: ModelRequest) -> Step:
        folder.note("model", "answer 4")
        if ANNOUNCEMENT in _last_result(request):
            return "The ticket is filed. The announcement had gone out before the crash; I did not repeat it."
        return reply("It had not gone out.", call("announce_release", text=ANNOUNCEMENT))

    return ScriptedModel([read_and_file, announce, check, conclude], by_request=True)


def _last_result(request: ModelRequest) -> str:
    results = [part for part in request.messages[-1].parts if isinstance(part, ToolResultPart)]
    return str(results[-1].content) if results else ""
