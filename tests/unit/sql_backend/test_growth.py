"""A turn's bytes do not depend on the history, and are less than twice what the turn brought."""

from __future__ import annotations

from pathlib import Path

import apsw

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import TokenUsage

INPUT, RESULT, ANSWER = "u" * 1024, "r" * 300, "a" * 2048
CONTENT_BYTES = len(INPUT) + 2 * len(RESULT) + len(ANSWER)
COST = TokenUsage(input_tokens=100, output_tokens=20)
SAMPLE_TURNS = 400


@lash.tool(effect="read_only")
async def look(number: int) -> str:
    """Look something up."""
    return RESULT


class Forgetful(list[object]):
    """Keeps no requests: each of them holds the whole history."""

    def append(self, _: object) -> None:
        pass


def agent() -> lash.Agent:
    model = ScriptedModel(
        [reply(call("look", number=1), call("look", number=2), usage=COST), reply(ANSWER, usage=COST)],
        by_request=True,
        chunk_chars=4096,
    )
    model.requests = Forgetful()  # type: ignore[assignment]  # the model only appends to it
    return lash.Agent("grower", model=model, tools=[look])


def bytes_in_use(path: Path) -> int:
    """Return the pages that hold something, without the log."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        pages = connection.pragma("page_count") - connection.pragma("freelist_count")
        return int(pages) * int(connection.pragma("page_size"))
    finally:
        connection.close()


async def test_growth_a_turn_is_flat_and_below_twice_the_content(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    growth = {}
    async with lash.open(path, agent()) as runtime:
        session = await runtime.session("s")
        done = 0
        for turns in (10, 2_000):
            for _ in range(turns - done):
                await session.turn(INPUT)
            before = bytes_in_use(path)
            for _ in range(SAMPLE_TURNS):
                await session.turn(INPUT)
            done = turns + SAMPLE_TURNS
            growth[turns] = (bytes_in_use(path) - before) / SAMPLE_TURNS
    assert growth[10] < 2 * CONTENT_BYTES
    assert growth[2_000] < 2 * CONTENT_BYTES
    assert abs(growth[2_000] - growth[10]) < 0.1 * CONTENT_BYTES
