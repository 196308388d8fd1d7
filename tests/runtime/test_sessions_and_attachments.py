"""Finding sessions again, and files in conversations."""

from __future__ import annotations

import pytest

import lash
from lash.testing import ScriptedModel, call, reply
from lash.values import AttachmentPart, GenerationOptions, ToolResultPart

from .conftest import scripted_agent


async def test_sessions_are_found_by_label_text_and_page(url: str) -> None:
    async with lash.open(url, scripted_agent(["hi"])) as runtime:
        await runtime.session("invoice-1", labels=["billing", "urgent"])
        await runtime.session("invoice-2", labels=["billing"])
        await runtime.session("chat")
        assert [s.session_id for s in await runtime.sessions()] == ["chat", "invoice-1", "invoice-2"]
        assert [s.session_id for s in await runtime.sessions(label="urgent")] == ["invoice-1"]
        assert [s.session_id for s in await runtime.sessions(search="INVOICE")] == ["invoice-1", "invoice-2"]
        assert [s.session_id for s in await runtime.sessions(after="chat", limit=1)] == ["invoice-1"]
        await runtime.session("invoice-1", labels=[])
        assert await runtime.sessions(label="urgent") == []


async def test_session_info_counts_turns_and_what_waits(url: str) -> None:
    async with lash.open(url, scripted_agent(["hi"])) as runtime:
        session = await runtime.session("s")
        await session.turn("one")
        (info,) = await runtime.sessions()
        assert (info.head_revision, info.pending, info.running, info.agent) == (1, 0, False, "agent")


async def test_two_agents_keep_their_sessions_apart(url: str) -> None:
    one, two = scripted_agent(["one"], name="one"), scripted_agent(["two"], name="two")
    async with lash.open(url, one, two) as runtime:
        assert (await (await runtime.session("a", one)).turn("hi")).text == "one"
        assert (await (await runtime.session("b", "two")).turn("hi")).text == "two"
        assert (await (await runtime.session("a")).turn("hi again")).text == "one"
        with pytest.raises(lash.LashError) as caught:
            await runtime.session("c")
        assert caught.value.code == "agent_ambiguous"
        with pytest.raises(lash.LashError) as caught:
            await runtime.session("a", two)
        assert caught.value.code == "agent_mismatch"


async def test_attachment_reaches_the_model_by_reference_and_is_committed(url: str) -> None:
    model = ScriptedModel(["a picture"])
    async with lash.open(url, lash.Agent("a", model=model)) as runtime:
        session = await runtime.session("s")
        ref = await session.attach(b"\x89PNG...", "image/png", label="logo")
        persistence = runtime.database.runtime_persistence("s")
        later_ms = runtime.clock.now_ms() + 60_000
        assert [entry.attachment_id for entry in await persistence.list_uncommitted(later_ms)] == [ref.id]
        await session.turn(["What is this?", ref])
        (message,) = model.requests[0].messages
        assert message.parts[1] == AttachmentPart(ref=ref)
        assert model.requests[0].attachments == {ref.id: b"\x89PNG..."}
        assert await persistence.list_uncommitted(later_ms) == []
        stored = await session.attachment(ref.id)
        assert (stored.data, stored.meta.label) == (b"\x89PNG...", "logo")


async def test_attachment_of_an_earlier_turn_is_still_shown(url: str) -> None:
    model = ScriptedModel(["one", "two"])
    async with lash.open(url, lash.Agent("a", model=model)) as runtime:
        session = await runtime.session("s")
        ref = await session.attach(b"data", "image/png")
        await session.turn(["look", ref])
        await session.turn("and again")
        assert model.requests[1].attachments == {ref.id: b"data"}


async def test_tool_can_give_back_a_file(url: str) -> None:
    @lash.tool(effect="read_only")
    def chart() -> lash.Attachment:
        """Draw a chart."""
        return lash.Attachment(b"pixels", "image/png", label="chart")

    model = ScriptedModel([call("chart"), "drawn"])
    async with lash.open(url, lash.Agent("a", model=model, tools=[chart])) as runtime:
        session = await runtime.session("s")
        await session.turn("draw")
        (result,) = [
            part
            for message in model.requests[1].messages
            for part in message.parts
            if isinstance(part, ToolResultPart)
        ]
        (ref,) = result.attachments
        assert model.requests[1].attachments == {ref.id: b"pixels"}
        assert await runtime.database.runtime_persistence("s").list_uncommitted(2**60) == []


async def test_generation_options_reach_the_model(url: str) -> None:
    model = ScriptedModel(["hi"])
    options = GenerationOptions(temperature=0.5, max_output_tokens=99, seed=7)
    async with lash.open(url, lash.Agent("a", model=model, generation=options)) as runtime:
        await (await runtime.session("s")).turn("hi")
        assert model.requests[0].generation == options


async def test_session_tokens_stop_later_turns(url: str) -> None:
    agent = lash.Agent(
        "a",
        model=ScriptedModel([reply("x" * 400), "never"]),
        limits=lash.Limits(session_tokens=50),
    )
    async with lash.open(url, agent) as runtime:
        session = await runtime.session("s")
        assert (await session.turn("one")).stop is None
        assert (await session.turn("two")).stop == "budget_exhausted"


@pytest.mark.parametrize("value", [b"bytes", 7, [], [7], None])
async def test_input_that_is_none_is_refused_at_once(url: str, value: object) -> None:
    async with lash.open(url, scripted_agent(["hi"])) as runtime:
        session = await runtime.session("s")
        with pytest.raises(lash.LashError) as caught:
            session.turn(value)  # type: ignore[arg-type]
        assert caught.value.code == "invalid_argument"


def test_agent_lists_everything_that_is_wrong_with_it() -> None:
    with pytest.raises(lash.LashError) as caught:
        lash.Agent(" ", model="gpt", protocol="prose", plugins=[object()])  # type: ignore[arg-type]
    assert caught.value.code == "agent_invalid"
    assert len(caught.value.problems) == 4


def test_two_agents_of_one_name_are_refused() -> None:
    with pytest.raises(lash.LashError) as caught:
        lash.open("memory:", scripted_agent(["a"]), scripted_agent(["b"]))
    assert caught.value.code == "agent_duplicate"


def test_durable_and_forgetful_parts_are_not_mixed(tmp_path: object) -> None:
    from lash.backends import open_database
    from lash.effects import InlineEffectHost

    with pytest.raises(lash.LashError) as caught:
        lash.Runtime(database=open_database(f"{tmp_path}/a.db"), effect_host=InlineEffectHost())
    assert caught.value.code == "durable_store_required:effect_host"
    assert caught.value.facets == ["effect_host"]
