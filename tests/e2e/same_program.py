"""A program that does a little of everything, whatever the database: it prints what it saw as JSON.

It is started twice on one database. The second start finds what the first one left, and asks for the same turns.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import lash
from lash.errors import LashError
from lash.testing import ScriptedModel, call
from lash.values import EffectFilter, ModelRequest, ToolResultPart


@lash.tool(effect="read_only")
def measure(name: str) -> str:
    """Measure something."""
    return f"{name} is {len(name)} long"


@lash.tool(effect="idempotent")
def fail(name: str) -> str:
    """Fail."""
    raise ValueError(f"{name} cannot be done")


def answer(request: ModelRequest) -> Any:
    """Call what the user names, then say what came back."""
    last = request.messages[-1]
    if last.role != "user":
        (part,) = last.parts
        assert isinstance(part, ToolResultPart)
        return f"It says: {part.content}"
    word, _, rest = last.text.partition(" ")
    return call(word, name=rest) if word in ("measure", "fail") else f"You said {last.text!r}"


def make_agent() -> lash.Agent:
    return lash.Agent("helper", model=ScriptedModel(answer), tools=[measure, fail])


async def program(url: str) -> dict[str, Any]:
    """Take turns in two sessions, some at once, one twice, and return all that can be seen of it."""
    async with lash.open(url, make_agent()) as runtime:
        first = await runtime.session("first", labels=["kept"])
        other = await runtime.session("other", labels=["many", "at once"])
        results = [
            await first.turn("measure Trento", turn_id="one"),
            await first.turn("fail utterly", turn_id="two"),
            await first.turn("measure Trento", turn_id="one"),
        ]
        at_once = await asyncio.gather(*(other.turn(f"number {n}", turn_id=f"n{n}") for n in range(4)))
        return {
            "results": [(one.turn_id, one.text, one.stop, one.head_revision) for one in results],
            "at once": [(one.turn_id, one.text, one.stop) for one in at_once],
            "revisions": sorted(one.head_revision for one in at_once),
            "refused": await refusal(first),
            "history": [(message.role, message.text) for message in await first.history()],
            "other history": sorted(message.text for message in await other.history()),
            "usage": [
                (entry.source, entry.model, entry.usage.input_tokens, entry.usage.output_tokens)
                for entry in await first.usage()
            ],
            "sessions": [
                (info.session_id, info.head_revision, info.labels, info.pending, info.running)
                for info in await runtime.sessions()
            ],
            "effects": await effects(runtime),
        }


async def refusal(session: lash.Session) -> str:
    """Return the code of the error for a turn id that was used for something else."""
    try:
        await session.turn("something else", turn_id="one")
    except LashError as problem:
        return problem.code
    return "none"


async def effects(runtime: lash.Runtime) -> list[tuple[str, str, int]]:
    """Return every line of the ledger, but for its times."""
    records, more = await runtime.database.effect_journal.list_effects(EffectFilter(), limit=1000)
    assert more is None
    return sorted((record.identity.label, record.state.value, record.runs) for record in records)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(program(sys.argv[1])), sort_keys=True))
