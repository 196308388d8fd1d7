"""What a watcher sees: retracted text, gaps, progress, the end."""

from __future__ import annotations

import lash
from lash.contracts import ModelCapabilities, StreamSink
from lash.testing import ScriptedModel, call
from lash.values import (
    AssistantTextDelta,
    AttemptReset,
    EventGap,
    ModelAttemptReset,
    ModelRequest,
    ModelResponse,
    ModelRetry,
    ModelSpec,
    RetryStatus,
    TextDelta,
    TextPart,
    ToolProgress,
    TurnFinished,
)

from .conftest import scripted_agent


class FailsOnce:
    """A model whose first attempt breaks off in the middle of its text."""

    provider_id = "flaky"
    spec = ModelSpec(id="flaky", context_window_tokens=1000)
    capabilities = ModelCapabilities()

    async def complete(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        sink(TextDelta("The ans"))
        sink(RetryStatus(wait_ms=5, attempt=2, max_attempts=4, reason="the stream was cut"))
        sink(AttemptReset(attempt=2))
        sink(TextDelta("The answer "))
        sink(TextDelta("is 42."))
        return ModelResponse(parts=(TextPart(text="The answer is 42."),))

    async def close(self) -> None:
        """Nothing to give back."""


async def test_text_of_a_failed_attempt_is_retracted(url: str) -> None:
    async with lash.open(url, lash.Agent("a", model=FailsOnce())) as runtime:
        session = await runtime.session("s")
        turn = session.turn("go")
        rows: dict[str, str] = {}
        retries = []
        async for event in turn.events():
            match event.activity:
                case AssistantTextDelta(text=text):
                    rows[event.correlation_id] = rows.get(event.correlation_id, "") + text
                case ModelAttemptReset(correlation_ids=ids):
                    for row in ids:
                        del rows[row]
                case ModelRetry():
                    retries.append(event.activity)
                case _:
                    pass
        assert list(rows.values()) == ["The answer is 42."]
        assert [(retry.attempt, retry.reason) for retry in retries] == [(2, "the stream was cut")]
        assert (await turn).text == "The answer is 42."


async def test_slow_watcher_is_told_what_it_missed(url: str) -> None:
    agent = lash.Agent("a", model=ScriptedModel(["x" * 9000], chunk_chars=1))
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        watcher = runtime.watch_session("s")
        await session.turn("go")
        watcher.close()
        events = [event async for event in watcher]
        gap = events[0].activity
        assert isinstance(gap, EventGap)
        assert gap.dropped > 4000


async def test_tool_progress_is_shown_under_its_call(url: str) -> None:
    @lash.tool(effect="read_only")
    async def work(ctx: lash.ToolContext) -> str:
        """Work."""
        ctx.progress({"done": 1})
        return "done"

    async with lash.open(url, scripted_agent([call("work"), "ok"], tools=[work])) as runtime:
        session = await runtime.session("s")
        events = [event async for event in session.turn("go").events()]
        (progress,) = [event for event in events if isinstance(event.activity, ToolProgress)]
        assert progress.activity.payload == {"done": 1}  # type: ignore[union-attr]
        assert progress.correlation_id == f"tool:{progress.activity.call_id}"  # type: ignore[union-attr]


async def test_event_ids_are_unique_and_the_stream_ends_once(url: str) -> None:
    async with lash.open(url, scripted_agent(["hello there, all of you"])) as runtime:
        session = await runtime.session("s")
        events = [event async for event in session.turn("go").events()]
        assert len({event.id for event in events}) == len(events)
        assert [isinstance(event.activity, TurnFinished) for event in events].count(True) == 1


async def test_watching_a_session_shows_all_its_turns(url: str) -> None:
    async with lash.open(url, scripted_agent(["hi"])) as runtime:
        session = await runtime.session("s")
        stream = session.watch()
        results = [await session.turn("one"), await session.turn("two")]
        stream.close()
        assert {event.turn_id async for event in stream} == {result.turn_id for result in results}
