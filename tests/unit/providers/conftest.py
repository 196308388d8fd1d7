"""A vendor's server that says what a test tells it to, byte by byte, and a clock that jumps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from lash.providers import AnthropicMessages, OpenAIChat, OpenAIResponses, Timeouts
from lash.values import Message, ModelRequest, ModelSpec, ModelStreamEvent, TextPart

Kind = Literal["responses", "chat", "anthropic"]
KINDS: tuple[Kind, ...] = ("responses", "chat", "anthropic")


@dataclass
class Scene:
    """One response of the server. `end` says how it stops: properly, torn off, or never."""

    body: Sequence[bytes] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    end: Literal["whole", "cut", "stall"] = "whole"


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class FakeVendor:
    """Plays one scene for each request, in order, and keeps what it was asked."""

    def __init__(self) -> None:
        self.scenes: list[Scene] = []
        self.asked: list[Asked] = []
        self.url = ""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    def events(self, kind: Kind, events: Sequence[dict[str, Any]], **scene: Any) -> None:
        """Add a stream of server-sent events in a vendor's style."""
        self.scenes.append(Scene(body=[sse(kind, event) for event in events] + closing(kind), **scene))

    def error(self, status: int, body: object, **headers: str) -> None:
        """Add an error response."""
        self.scenes.append(
            Scene(
                body=[json.dumps(body).encode()],
                status=status,
                content_type="application/json",
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            )
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = {
                k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append(Asked(lines[0].split()[1], headers, json.loads(body)))
            await self._play(self.scenes.pop(0), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            self._open.discard(writer)
            writer.close()

    async def _play(self, scene: Scene, writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {scene.status} X", f"Content-Type: {scene.content_type}", "Connection: close"]
        head += [f"{name}: {value}" for name, value in scene.headers.items()]
        writer.write("\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode())
        for piece in scene.body:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        if scene.end == "stall":
            await asyncio.Event().wait()
        if scene.end == "whole":
            writer.write(b"0\r\n\r\n")
        await writer.drain()


def sse(kind: Kind, event: dict[str, Any]) -> bytes:
    """Return one event in the style of a vendor."""
    name = b"" if kind == "chat" else f"event: {event['type']}\n".encode()
    return name + b"data: " + json.dumps(event).encode() + b"\n\n"


def closing(kind: Kind) -> list[bytes]:
    return [b"data: [DONE]\n\n"] if kind == "chat" else []


class JumpingClock:
    """A clock that is wherever someone sleeps until."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self.now = now_ms
        self.sleeps: list[int] = []

    def now_ms(self) -> int:
        return self.now

    async def sleep_until(self, at_ms: int) -> None:
        self.sleeps.append(at_ms - self.now)
        self.now = max(self.now, at_ms)
        await asyncio.sleep(0)


class CountingIds:
    def __init__(self) -> None:
        self._count = 0

    def new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    server = FakeVendor()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def ids() -> CountingIds:
    return CountingIds()


Opener = Callable[..., Any]

MODELS: dict[Kind, str] = {
    "responses": "gpt-5.4-mini",
    "chat": "gpt-4.1",
    "anthropic": "claude-haiku-4-5",
}


@pytest.fixture
async def open_model(vendor: FakeVendor) -> AsyncIterator[Opener]:
    """Return a function that opens an adapter, without retries, on the fake vendor."""
    opened = []

    def opener(kind: Kind, **options: Any) -> Any:
        options.setdefault("timeouts", Timeouts())
        model = options.pop("model", MODELS[kind])
        adapter: Any
        match kind:
            case "responses":
                adapter = OpenAIResponses(model, base_url=f"{vendor.url}/v1", api_key="k", **options)
            case "chat":
                adapter = OpenAIChat(
                    model, base_url=f"{vendor.url}/v1", api_key="k", context_window_tokens=9_000, **options
                )
            case "anthropic":
                adapter = AnthropicMessages(model, base_url=vendor.url, api_key="k", **options)
        ready = adapter.prepared({})
        opened.append(ready)
        return ready

    yield opener
    for model in opened:
        await model.close()


@pytest.fixture
def heard() -> list[ModelStreamEvent]:
    return []


@pytest.fixture
def ask() -> Callable[..., ModelRequest]:
    """Return a function that makes a request."""

    def make(model: Any = None, text: str = "hello", **fields: Any) -> ModelRequest:
        spec = model.spec if model is not None else ModelSpec(id="m", context_window_tokens=9_000)
        fields.setdefault("messages", (Message(id="t:m0", role="user", parts=(TextPart(text=text),)),))
        fields.setdefault("call_key", "s:t:0:llm")
        return ModelRequest(model=spec, **fields)

    return make
