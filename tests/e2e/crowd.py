"""One operating-system process of the crowd: takes turns in its own sessions and in the shared ones."""

from __future__ import annotations

import asyncio
import json
import sys

import lash
from lash.testing import ScriptedModel
from lash.values import ModelRequest


def echo(request: ModelRequest) -> str:
    return f"heard {request.messages[-1].text}"


def make_agent() -> lash.Agent:
    return lash.Agent("crowd", model=ScriptedModel(echo))


async def take_turns(runtime: lash.Runtime, session_id: str, texts: list[str]) -> list[dict[str, object]]:
    """Take turns one after the other; return each one's text and revision."""
    session = await runtime.session(session_id)
    answers = []
    for text in texts:
        result = await session.turn(text)
        answers.append({"text": result.text, "revision": result.head_revision, "stop": result.stop})
    return answers


async def crowd(url: str, name: str, own: int, shared: int, turns: int) -> dict[str, object]:
    """Run all sessions of one process at the same time."""
    plans = {f"{name}-{n}": [f"{name} {n} {turn}" for turn in range(turns)] for n in range(own)}
    plans |= {f"shared-{n}": [f"{name} shared {n} {turn}" for turn in range(turns)] for n in range(shared)}
    async with lash.open(url, make_agent()) as runtime:
        answers = await asyncio.gather(
            *(take_turns(runtime, session_id, texts) for session_id, texts in plans.items())
        )
    return dict(zip(plans, answers, strict=True))


if __name__ == "__main__":
    _, url_, name_, own_, shared_, turns_ = sys.argv
    print(json.dumps(asyncio.run(crowd(url_, name_, int(own_), int(shared_), int(turns_)))))
