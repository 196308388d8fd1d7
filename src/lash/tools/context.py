"""What a tool may ask lash for while it runs, and what the runtime hands in for one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from lash.contracts import AttachmentStore
from lash.errors import LashError
from lash.tools.cancellation import Cancellation
from lash.tools.crash import ToolCrash, log_crash
from lash.tools.processes import ToolProcesses
from lash.tools.resources import Resources
from lash.values import (
    AttachmentCreateMeta,
    AttachmentRef,
    Clock,
    Json,
    StoredAttachment,
    canonical_json,
    plain,
    stable_hash,
)

T = TypeVar("T")

_KEY_MAX = 255  # what payment and queue services commonly accept as an idempotency key


def tool_idempotency_key(session_id: str, turn_id: str, call_id: str, tool_name: str) -> str:
    """Return the key under which a call may be repeated at an upstream service.

    It is the same for every attempt, every restart and every process. Colons inside an id are escaped, so
    that two different calls never share a key. A key that would not do as an HTTP header (over 255
    characters, or beyond printable ASCII) is replaced by a hash of the same parts.
    """
    parts = (session_id, turn_id, call_id, tool_name)
    key = "lash-tool:" + ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)
    if len(key) <= _KEY_MAX and all("!" <= char <= "~" for char in key):
        return key
    return f"lash-tool:sha256:{stable_hash(parts)}"


async def _sleep(duration_ms: int) -> None:
    await asyncio.sleep(duration_ms / 1000)


def _ignore(payload: Json) -> None:
    """Drop a progress report that nobody listens to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInvocation:
    """One call, as the runtime hands it to `ToolSet.execute`: live things beside the prepared data.

    Attributes:
        session_id: The session of the turn.
        turn_id: The turn of the call.
        agent: The name of the agent whose tool it is.
        idempotency_key: See `tool_idempotency_key`; empty means: derive it from the ids.
        context: The JSON that the caller gave the turn for its tools.
        attachments: Where bytes go; None when there is no store.
        progress: Receives what tools report; called on the event loop.
        cancellation: Raised when the turn is to stop.
        sleep: Waits between attempts; a durable host makes an effect of it.
        on_crash: Receives the exception of a tool that broke; the model gets only its type and text.
        clock: Measures `duration_ms`; without one it stays 0.
        approved: Whether a person has approved this call, for tools with `approval`.
        processes: Makes what starts and steers processes, afresh for each attempt: a second one then finds what
            the first one has started. None where there are no processes.
        process_id: The process that the call is, when it runs in the background.
        emit_event: Appends an event to that process.
        emit: Records an event that triggers may wait for, under a key or one that follows from the call; returns
            its id.
    """

    session_id: str
    turn_id: str
    agent: str = ""
    idempotency_key: str = ""
    context: Json = None
    attachments: AttachmentStore | None = None
    progress: Callable[[Json], None] = _ignore
    cancellation: Cancellation = field(default_factory=Cancellation)
    sleep: Callable[[int], Awaitable[None]] = _sleep
    on_crash: Callable[[ToolCrash], None] = log_crash
    clock: Clock | None = None
    approved: bool = False
    processes: Callable[[], ToolProcesses] | None = None
    process_id: str | None = None
    emit_event: Callable[[str, Json], Awaitable[None]] | None = None
    emit: Callable[[Any, Any, str | None], Awaitable[str]] | None = None


class ToolContext:
    """Handed to a tool that has a parameter annotated `ToolContext`. One is made for each attempt.

    Synchronous tools run in a thread: the properties, `progress` and the `_sync` methods are made for that.
    """

    __slots__ = (
        "_cancellation",
        "_closed",
        "_invocation",
        "_loop",
        "_processes",
        "_resources",
        "attempt",
        "call_id",
        "idempotency_key",
        "stored",
        "tool_name",
    )

    def __init__(
        self,
        invocation: ToolInvocation,
        *,
        call_id: str = "call",
        tool_name: str = "tool",
        attempt: int = 1,
        resources: Resources | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.call_id = call_id
        self.tool_name = tool_name
        self.attempt = attempt
        self.idempotency_key = invocation.idempotency_key or tool_idempotency_key(
            invocation.session_id, invocation.turn_id, call_id, tool_name
        )
        self._invocation = invocation
        self._resources = resources if resources is not None else Resources()
        self._cancellation = cancellation or invocation.cancellation
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._processes: ToolProcesses | None = None
        self.stored: list[AttachmentRef] = []  # by put_attachment; the call's result owns them

    @property
    def session_id(self) -> str:
        return self._invocation.session_id

    @property
    def turn_id(self) -> str:
        return self._invocation.turn_id

    @property
    def agent(self) -> str:
        """The name of the agent whose tool this is."""
        return self._invocation.agent

    @property
    def context(self) -> Json:
        """The JSON that the caller gave with the turn; the model does not see it."""
        return self._invocation.context

    @property
    def cancelled(self) -> bool:
        """Whether to stop: the turn was cancelled, or this attempt's time is up. May be read in a thread."""
        return self._cancellation.cancelled

    async def wait_cancelled(self) -> None:
        """Return when `cancelled` becomes true."""
        await self._cancellation.wait()

    def progress(self, payload: Json) -> None:
        """Report how far the work is. Reports of an attempt that is over are dropped.

        Args:
            payload: Any JSON value.

        Raises:
            LashError: `json_not_representable` when `payload` is no JSON.
        """
        try:
            value = plain(payload)
        except (TypeError, msgspec.MsgspecError) as problem:
            raise LashError(
                "json_not_representable",
                f"tool {self.tool_name} reported progress that is no JSON: {problem}",
            ) from problem
        canonical_json(value)  # refuses what the report could not be stored as
        if self._on_loop():
            self._deliver(value)
        else:
            self._loop.call_soon_threadsafe(self._deliver, value)

    def resource(self, kind: type[T]) -> T:
        """Return the live object given to `lash.open` for a type.

        Raises:
            LashError: `resource_missing`, `resource_ambiguous`.
        """
        return self._resources.get(kind)

    @property
    def processes(self) -> ToolProcesses:
        """Background work: start it, wait for it, steer it; see `ToolProcesses`.

        Raises:
            LashError: `processes_unavailable` where the runtime runs none.
        """
        if self._processes is None:
            if self._invocation.processes is None:
                raise LashError(
                    "processes_unavailable",
                    f"tool {self.tool_name} was called where no processes can be started",
                )
            self._processes = self._invocation.processes()
        return self._processes

    @property
    def process_id(self) -> str | None:
        """The process that this call is, when it was started in the background; None inside a turn."""
        return self._invocation.process_id

    async def emit_event(self, event_type: str, payload: Json = None) -> None:
        """Append an event to the process that this call is; `process.wake` with a `text` wakes its session.

        Raises:
            LashError: `processes_unavailable` inside a turn; `process_event_undeclared`, and what else
                `ProcessRegistry.append_event` refuses.
        """
        if self._invocation.emit_event is None:
            raise LashError(
                "processes_unavailable",
                f"tool {self.tool_name} runs in a turn, which has no events of its own",
            )
        await self._invocation.emit_event(event_type, payload)

    async def emit(self, source: Any, payload: Any = None, *, idempotency_key: str | None = None) -> str:
        """Record an event that triggers may wait for, and return its id; see `Runtime.emit`.

        Args:
            source: The type of the event, or its `lash.EventSource`.
            payload: What happened, as JSON.
            idempotency_key: The same event again has the same key. By default it follows from the call and the
                type: a call that is run again emits the same event, and one of a type.

        Raises:
            LashError: `triggers_unavailable` outside of a runtime; see `Runtime.emit`.
        """
        if self._invocation.emit is None:
            raise LashError(
                "triggers_unavailable", f"tool {self.tool_name} was called where no events are recorded"
            )
        return await self._invocation.emit(source, payload, idempotency_key)

    async def put_attachment(
        self, data: bytes, media_type: str = "application/octet-stream", label: str | None = None
    ) -> AttachmentRef:
        """Store bytes and return their reference. The result of the call carries it, so that it is kept.

        Raises:
            LashError: `attachments_unavailable` without a store, and what the store raises.
        """
        ref = await self._store().put(data, AttachmentCreateMeta(media_type=media_type, label=label))
        self.stored.append(ref)
        return ref

    async def get_attachment(self, attachment_id: str) -> StoredAttachment:
        """Return a stored attachment.

        Raises:
            LashError: `attachments_unavailable` without a store, and what the store raises
                (`attachment_not_found`).
        """
        return await self._store().get(attachment_id)

    def emit_sync(self, source: Any, payload: Any = None, *, idempotency_key: str | None = None) -> str:
        """`emit` for tools that run in a thread."""
        return self._from_thread(lambda: self.emit(source, payload, idempotency_key=idempotency_key))

    def put_attachment_sync(
        self, data: bytes, media_type: str = "application/octet-stream", label: str | None = None
    ) -> AttachmentRef:
        """`put_attachment` for tools that run in a thread."""
        return self._from_thread(lambda: self.put_attachment(data, media_type, label))

    def get_attachment_sync(self, attachment_id: str) -> StoredAttachment:
        """`get_attachment` for tools that run in a thread."""
        return self._from_thread(lambda: self.get_attachment(attachment_id))

    def close(self) -> None:
        """End the attempt: later progress reports are dropped. Called by the runner."""
        self._closed = True

    def _deliver(self, value: Json) -> None:
        if not self._closed:
            self._invocation.progress(value)

    def _store(self) -> AttachmentStore:
        if self._invocation.attachments is None:
            raise LashError(
                "attachments_unavailable", f"tool {self.tool_name} was called without an attachment store"
            )
        return self._invocation.attachments

    def _on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:  # no loop runs in this thread
            return False

    def _from_thread(self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:  # a coroutine's other two types
        if self._on_loop():
            raise LashError(
                "sync_call_on_running_loop",
                "the _sync methods of a ToolContext are for tools without async: await the other form here",
            )
        return asyncio.run_coroutine_threadsafe(start(), self._loop).result()
