"""A real model, really run: SmolLM2 in a child process. Structure only: what it says is its own affair."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lash.contracts import ModelCallError
from lash.providers import (
    AnthropicMessages,
    LocalModel,
    ModelTraits,
    OpenAIResponses,
    RetryingModel,
    resolve_model,
)
from lash.providers.local.files import model_file
from lash.providers.local.server import LocalServer, ServerSettings
from lash.system import RandomIds, SystemClock
from lash.values import (
    GenerationOptions,
    Message,
    ModelRequest,
    ModelStreamEvent,
    OutputSpec,
    TextDelta,
    TextPart,
    ToolCallPart,
    ToolSpec,
)

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("local-model")]

ADD = ToolSpec(
    name="add",
    description="Add two numbers.",
    input_schema={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)


@pytest.fixture
async def model(model_environ: dict[str, str]) -> AsyncIterator[RetryingModel]:
    opened = resolve_model("local:smollm2", clock=SystemClock(), ids=RandomIds(), environ=model_environ)
    assert isinstance(opened, RetryingModel)
    yield opened
    await opened.close()


def asked(model: Any, text: str, **fields: Any) -> ModelRequest:
    fields.setdefault("generation", GenerationOptions(max_output_tokens=24))
    message = Message(id="t:m0", role="user", parts=(TextPart(text=text),))
    return ModelRequest(model=model.spec, messages=(message,), call_key="k", **fields)


async def test_it_streams_calls_tools_and_fits_schemas(model: RetryingModel) -> None:
    heard: list[ModelStreamEvent] = []

    prose = await model.complete(asked(model, "Say hello."), heard.append)
    again = await model.complete(asked(model, "Say hello."), lambda _: None)
    call = await model.complete(
        asked(
            model, "What is 2 plus 3?", tools=(ADD,), tool_choice="required", generation=GenerationOptions()
        ),
        lambda _: None,
    )
    shape = OutputSpec(
        name="mood",
        schema={
            "type": "object",
            "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}},
            "required": ["mood"],
        },
    )
    shaped = await model.complete(asked(model, "How are you?", output=shape), lambda _: None)

    text = "".join(part.text for part in prose.parts if isinstance(part, TextPart))
    assert text
    assert "".join(event.text for event in heard if isinstance(event, TextDelta)) == text
    assert 0 < prose.usage.output_tokens <= 24
    assert prose.usage.input_tokens > 0
    assert again.parts == prose.parts, "temperature 0 and one seed"
    (made,) = call.parts
    assert isinstance(made, ToolCallPart)
    assert made.name == "add"
    assert set(made.args) == {"a", "b"}
    assert all(isinstance(value, int) for value in made.args.values())
    (said,) = shaped.parts
    assert isinstance(said, TextPart)
    assert json.loads(said.text)["mood"] in ("good", "bad")


async def test_it_dies_with_close_and_comes_back_after_a_kill(model_environ: dict[str, str]) -> None:
    model = LocalModel("smollm2", environ=model_environ).prepared(model_environ)
    assert model.server_pid is None, "nothing runs before the first call"
    await model.complete(asked(model, "Hi."), lambda _: None)
    first = model.server_pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(90):
        while model.server_pid == first:  # its threads may outlive its first one by a moment, and answer
            await asyncio.sleep(0.02)
    await model.complete(asked(model, "Hi."), lambda _: None)
    second = model.server_pid

    assert second not in (None, first)
    await model.close()
    assert model.server_pid is None
    await gone(second)


@pytest.mark.parametrize("wire", ["responses", "anthropic"])
async def test_its_server_speaks_the_other_wires_too(wire: str, model_environ: dict[str, str]) -> None:
    """A second independent implementation of both formats, with a real model behind it."""
    file = model_file("smollm2", model_environ)
    server = LocalServer(
        ServerSettings(path=file, alias="smollm2", key="sesame", context_window_tokens=2_048)
    )
    address = await server.address()
    traits = ModelTraits(context_window_tokens=2_048, output_token_capacity=24)

    def opened_with(key: str) -> Any:
        if wire == "responses":
            return OpenAIResponses("m", base_url=f"{address}/v1", api_key=key, traits=traits).prepared({})
        return AnthropicMessages("m", base_url=address, api_key=key, traits=traits).prepared({})

    model, stranger = opened_with("sesame"), opened_with("guess")
    heard: list[ModelStreamEvent] = []

    answer = await model.complete(asked(model, "Say hello."), heard.append)

    text = "".join(part.text for part in answer.parts if isinstance(part, TextPart))
    assert text
    assert "".join(event.text for event in heard if isinstance(event, TextDelta)) == text
    assert 0 < answer.usage.output_tokens <= 24
    assert answer.usage.input_tokens > 0
    with pytest.raises(ModelCallError) as caught:
        await stranger.complete(asked(stranger, "Hi."), lambda _: None)
    assert caught.value.code == "model_auth"
    await model.close()
    await stranger.close()
    await server.stop()


async def test_it_dies_with_a_parent_that_is_killed(model_environ: dict[str, str]) -> None:
    program = (
        "import asyncio, sys, os\n"
        "from lash.providers import LocalModel\n"
        "from lash.values import *\n"
        "async def main():\n"
        "    model = LocalModel('smollm2').prepared(os.environ)\n"
        "    message = Message(id='t:m0', role='user', parts=(TextPart(text='Hi.'),))\n"
        "    options = GenerationOptions(max_output_tokens=2)\n"
        "    request = ModelRequest(model=model.spec, messages=(message,), generation=options)\n"
        "    await model.complete(request, lambda _: None)\n"
        "    print(model.server_pid, flush=True)\n"
        "    sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **model_environ},
    )
    assert parent.stdout is not None
    server = int(await parent.stdout.readline())

    parent.kill()
    await parent.wait()

    await gone(server)


async def gone(pid: int | None) -> None:
    """Wait until no process `pid` runs; a zombie that nobody has waited for does not run."""
    assert pid is not None
    async with asyncio.timeout(90):
        while runs(pid):  # another process cannot set an event
            await asyncio.sleep(0.02)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")
