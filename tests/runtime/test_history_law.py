"""Laws of histories: what is shown may shrink, what was committed never changes, and a fork shares a prefix."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lash
from lash.plugins import TurnContext
from lash.testing import ScriptedModel
from lash.turn import MessageDraft
from lash.values import ModelRequest


class Notes(lash.Plugin):
    async def compact(self, turn: TurnContext, focus: str | None) -> Sequence[MessageDraft]:
        return (MessageDraft.text("event", f"notes of {len(turn.history)}"),)


def shown(request: ModelRequest) -> str:
    return " ".join(message.text for message in request.messages)


@dataclass
class Told:
    """What a session should hold: all of it, where messages begin to be shown, and where turns end."""

    texts: list[str] = field(default_factory=list)
    boundary: int = 0
    boundaries: list[int] = field(default_factory=list)  # of each message: where its frame begins

    def say(self, text: str) -> str:
        answer = " ".join([*self.texts[self.boundary :], text])
        self.add(text)
        self.add(answer)
        return answer

    def add(self, text: str) -> None:
        self.texts.append(text)
        self.boundaries.append(self.boundary)

    def compact(self) -> bool:
        visible = len(self.texts) - self.boundary
        if not visible:
            return False
        self.boundary = len(self.texts)
        self.add(f"notes of {visible}")
        return True

    def fork(self, at: int) -> Told:
        boundary = self.boundaries[at] if self.texts else 0
        return Told(self.texts[: at + 1], boundary, self.boundaries[: at + 1])


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["say", "compact", "fork", "reopen"]), st.integers(0, 10**6)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(operations=OPERATIONS)
def test_sessions_hold_what_was_said_to_them_and_show_what_is_in_their_frame(
    operations: list[tuple[str, int]],
) -> None:
    asyncio.run(held(operations))


async def held(operations: list[tuple[str, int]]) -> None:
    agent = lash.Agent("a", model=ScriptedModel([shown], by_request=True), plugins=[Notes()])
    async with lash.open("memory:", agent) as runtime:
        sessions = [await runtime.session("s0")]
        models = [Told()]
        for number, (operation, choice) in enumerate(operations):
            at = choice % len(sessions)
            session, model = sessions[at], models[at]
            match operation:
                case "say":
                    assert (await session.turn(f"t{number}")).text == model.say(f"t{number}")
                case "compact":
                    assert await session.compact() == model.compact()
                case "fork" if model.texts:
                    point = choice % len(model.texts)
                    history = await session.history()
                    sessions.append(await session.fork(history[point].id, id=f"s{number + 1}"))
                    models.append(model.fork(point))
                case _:
                    sessions[at] = await runtime.session(session.id)
            for one, told in zip(sessions, models, strict=True):
                assert [message.text for message in await one.history()] == told.texts
                if told.texts:
                    visible = [message.text for message in await one.history(all=False)]
                    assert visible == told.texts[told.boundary :]
