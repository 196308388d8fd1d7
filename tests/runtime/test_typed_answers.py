"""Answers of a type: on models that can be held to a schema, and on those that cannot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

import lash
from lash.contracts import ModelCapabilities
from lash.testing import ScriptedModel, call


class Verdict(msgspec.Struct):
    spam: bool
    score: int


@dataclass
class Point:
    x: int
    y: int


NATIVE = ModelCapabilities(tools=True, output_schema=True)
TOOLS_ONLY = ModelCapabilities(tools=True, output_schema=False)


async def test_model_with_schemas_answers_in_json(url: str) -> None:
    model = ScriptedModel(['{"spam": true, "score": 9}'], capabilities=NATIVE)
    async with lash.open(url, lash.Agent("a", model=model)) as runtime:
        session = await runtime.session("s")
        result = await session.turn("spam?", output=Verdict, turn_id="t")
        assert result.output == Verdict(spam=True, score=9)
        assert model.requests[0].output is not None
        again = await session.turn("spam?", output=Verdict, turn_id="t")
        assert again.output == Verdict(spam=True, score=9)
        assert again.replayed


async def test_model_without_schemas_submits_with_a_tool(url: str) -> None:
    model = ScriptedModel([call("submit", x=1, y=2)], capabilities=TOOLS_ONLY)
    async with lash.open(url, lash.Agent("a", model=model, output=Point)) as runtime:
        result = await (await runtime.session("s")).turn("where?")
        assert result.output == Point(1, 2)
        assert [tool.name for tool in model.requests[0].tools] == ["submit"]


async def test_wrong_answer_goes_back_and_is_repaired(url: str) -> None:
    model = ScriptedModel(['{"spam": "yes"}', '{"spam": false, "score": 1}'], capabilities=NATIVE)
    async with lash.open(url, lash.Agent("a", model=model, output=Verdict)) as runtime:
        result = await (await runtime.session("s")).turn("spam?")
        assert result.output == Verdict(spam=False, score=1)
        assert "score" in model.requests[1].messages[-1].text


async def test_answer_that_never_fits_stops_the_turn(url: str) -> None:
    model = ScriptedModel(["no", "no", "no"], capabilities=NATIVE)
    async with lash.open(url, lash.Agent("a", model=model, output=Verdict)) as runtime:
        result = await (await runtime.session("s")).turn("spam?")
        assert (result.stop, result.output) == ("invalid_output", None)


def test_type_that_has_no_schema_is_refused() -> None:
    class Opaque:
        pass

    with pytest.raises(lash.LashError) as caught:
        lash.Session(None, None).turn("x", output=Opaque)  # type: ignore[arg-type]
    assert caught.value.code == "output_type_invalid"


async def test_schema_does_not_fetch_what_it_refers_to(url: str, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    schema = {"$ref": other.as_uri()}
    async with lash.open(url, lash.Agent("a", model=ScriptedModel(["{}"], capabilities=NATIVE))) as runtime:
        session = await runtime.session("s")
        with pytest.raises(lash.LashError) as caught:
            session.turn("x", output=schema)
        assert caught.value.code == "output_type_invalid"
