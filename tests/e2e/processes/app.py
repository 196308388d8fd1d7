"""What the workers of these tests run. What really happened is noted in a file, fsynced, outside of lash."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import ModelRequest, TokenUsage, ToolResultPart

FOLDER = Path(os.environ.get("LASH_TEST_FOLDER", "."))
BOOKS = FOLDER / "books.jsonl"


def note(what: str) -> None:
    with BOOKS.open("a") as out:
        out.write(json.dumps([os.getpid(), what]) + "\n")
        out.flush()
        os.fsync(out.fileno())


def noted() -> list[str]:
    lines = BOOKS.read_text().splitlines() if BOOKS.exists() else []
    return [json.loads(line)[1] for line in lines]


async def released(name: str) -> None:
    """Return once the test has made a file of that name."""
    while not (FOLDER / name).exists():
        await asyncio.sleep(0.01)


async def gather(name: str) -> str:
    note(f"gather {name}")
    return name


async def slow(name: str) -> str:
    note(f"slow {name}")
    await released("go")
    return name


async def print_out(pages: list[str]) -> str:
    note("print")
    await released("printed")
    return f"{len(pages)} pages"


@lash.process
async def report(ctx: lash.ProcessContext, names: list[str]) -> str:
    """Gather, wait, gather slowly, print at most once."""
    pages = [await ctx.step(gather, name, effect="idempotent") for name in names]
    await ctx.sleep(ms=50)
    pages.append(await ctx.step(slow, "last", effect="idempotent"))
    return await ctx.step(print_out, pages)


@lash.process(recovery="owner_bound")
async def bound(ctx: lash.ProcessContext) -> str:
    note("bound")
    await ctx.step(slow, "bound", effect="read_only")
    return "ended"


@lash.process
async def patient(ctx: lash.ProcessContext, number: int) -> int:
    """Wait to be told, and say so once."""
    await ctx.step(gather, f"patient {number}", effect="idempotent")
    return number + int(await ctx.wait("add", output=int))


async def think(request: ModelRequest) -> Any:
    note("child model")
    await released("go")
    return reply("42", usage=TokenUsage(input_tokens=100))


def conclude(request: ModelRequest) -> Any:
    told = [str(part.content) for part in request.messages[-1].parts if isinstance(part, ToolResultPart)]
    return reply(f"told {told[0]}", usage=TokenUsage(input_tokens=10))


thinker = lash.Agent("thinker", model=ScriptedModel([think], by_request=True))
chief = lash.Agent(
    "chief",
    model=ScriptedModel(
        [reply(call("thinker", input="What?"), usage=TokenUsage(input_tokens=10)), conclude], by_request=True
    ),
    tools=[thinker.as_tool()],
)
