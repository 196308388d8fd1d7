"""One attempt of one call: run the function until it ends, its time is up, or the turn is cancelled.

What ends it is decided here; whether another attempt follows is not. Three things must stay true:
cancelling the caller cancels the tool and is passed on; `KeyboardInterrupt` and `SystemExit` are the
process's own and are passed on from both lanes, event loop and thread, because a tool that exits asks for
what it would get anywhere else; any other exception, whatever its base class, stays inside the attempt.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lash.contracts import EffectParked
from lash.errors import LashError
from lash.tools.cancellation import Cancellation
from lash.tools.context import ToolContext, ToolInvocation
from lash.tools.definition import Tool
from lash.tools.lanes import SerialHold, SerialLanes
from lash.tools.resources import Resources
from lash.tools.threads import ToolThreads
from lash.values import AttachmentRef

# What a cancelled turn waits for a tool that looks at `ctx.cancelled` (runtime 1.12), and how long a
# cancelled coroutine may clean up before it is left to itself.
_GRACE_S = 0.05
_CLEANUP_S = 5.0


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned."""

    value: object


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised, or lash ended it. `started` is False when it never ran."""

    error: BaseException
    timed_out: bool = False
    cancelled: bool = False
    started: bool = True


AttemptEnd: TypeAlias = Returned | Raised

_Why = Literal["done", "timeout", "cancelled"]


class Attempt:
    """One run of a tool's function. Use it once."""

    def __init__(
        self,
        tool: Tool[..., object],
        invocation: ToolInvocation,
        resources: Resources,
        threads: ToolThreads,
        lanes: SerialLanes,
        *,
        call_id: str,
        number: int,
    ) -> None:
        self._tool = tool
        self._invocation = invocation
        self._threads = threads
        self._lanes = lanes
        self._resources = resources
        self._cancellation = Cancellation()  # also raised when this attempt's time is up
        self._context = ToolContext(
            invocation,
            call_id=call_id,
            tool_name=tool.name,
            attempt=number,
            resources=resources,
            cancellation=self._cancellation,
        )
        self._loop = asyncio.get_running_loop()
        self._woken: asyncio.Future[_Why] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._started = False
        self._hold: SerialHold | None = None

    @property
    def stored(self) -> list[AttachmentRef]:
        """What the tool has stored itself."""
        return self._context.stored

    async def run(self, arguments: dict[str, Any]) -> AttemptEnd:  # Python values of any type
        """Run the function with these arguments.

        Raises:
            asyncio.CancelledError: when the caller is cancelled.
            EffectParked: when the tool waits for something durable.
            KeyboardInterrupt, SystemExit: when the tool raises one.
        """
        body = self._loop.create_task(self._body(arguments))
        body.add_done_callback(self._ended)
        unsubscribe = self._invocation.cancellation.subscribe(lambda: self._wake("cancelled"))
        try:
            why = await self._woken
            if why == "cancelled":
                self._cancellation.cancel()
                await asyncio.wait({body}, timeout=_GRACE_S)
            if not body.done():
                await self._stop(body)
                return self._given_up(why)
            return self._end_of(body, why)
        finally:
            unsubscribe()
            if self._timer is not None:
                self._timer.cancel()
            if not body.done():  # the caller was cancelled
                await self._stop(body)
            self._context.close()

    async def _body(self, arguments: dict[str, Any]) -> object:
        call = functools.partial(self._tool.function, **arguments, **self._injected())
        async with self._lanes.entered(self._tool.serial_key) as self._hold:
            if self._tool.is_async:
                self._start()
                value: object = call()
            else:
                value = await self._threads.run(call, on_start=self._start, on_abandon=self._give_up)
            # A plain function may hand back a coroutine: partials and wrappers do.
            return await value if inspect.isawaitable(value) else value

    def _injected(self) -> dict[str, object]:
        """Return the parameters that the model does not fill."""
        signature = self._tool.signature
        given: dict[str, object] = dict.fromkeys(signature.contexts, self._context)
        for parameter in signature.resources:
            try:
                given[parameter.name] = self._resources.get(parameter.kind)
            except LashError as problem:
                if parameter.required or problem.code != "resource_missing":
                    raise
        return given

    def _start(self) -> None:
        """The function starts now: its time begins, after any wait for a serial key or a free thread."""
        self._started = True
        if self._tool.timeout_s is not None:
            self._timer = self._loop.call_later(self._tool.timeout_s, self._wake, "timeout")

    def _ended(self, body: asyncio.Task[object]) -> None:
        if not body.cancelled():
            body.exception()  # or asyncio would complain, where nobody asks any more, that nobody did
        self._wake("done")

    def _wake(self, why: _Why) -> None:
        if not self._woken.done():
            self._woken.set_result(why)

    def _give_up(self, job: asyncio.Future[Any]) -> None:  # a job may return anything
        """The function cannot be stopped: refuse its serial key to others until it ends by itself."""
        if self._hold is not None:
            self._hold.give_up(job)

    async def _stop(self, body: asyncio.Task[object]) -> None:
        """Cancel the function, and let it clean up for a while. What it reports from now on is too late."""
        self._context.close()
        self._cancellation.cancel()
        body.cancel()
        await asyncio.wait({body}, timeout=_CLEANUP_S)
        if not body.done():
            self._give_up(body)

    def _given_up(self, why: _Why) -> Raised:
        name, timeout_s = self._tool.name, self._tool.timeout_s
        if why == "timeout":
            text = f"{name} did not finish within {timeout_s:g} s and was given up{self._doubt()}"
            return Raised(LashError("tool_timeout", text, timeout_s=timeout_s), timed_out=True)
        return self._cancelled()

    def _cancelled(self) -> Raised:
        error = LashError("tool_cancelled", f"{self._tool.name} was cancelled with the turn{self._doubt()}")
        return Raised(error, cancelled=True, started=self._started)

    def _doubt(self) -> str:
        if not self._started:
            return "; it had not started"
        return "" if self._tool.effect == "read_only" else "; what it had begun may have taken effect"

    def _end_of(self, body: asyncio.Task[object], why: _Why) -> AttemptEnd:
        if body.cancelled():
            if why == "cancelled":
                return self._cancelled()
            # Nobody here cancelled it: something inside the tool did.
            return Raised(
                RuntimeError("the tool's own work was cancelled from inside"), started=self._started
            )
        error = body.exception()
        if error is None:
            return Returned(body.result())
        if isinstance(error, EffectParked):
            raise error  # the tool waits for something durable: not an end
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error  # it has stopped the loop already; this is for a loop that was started again
        return Raised(error, cancelled=why == "cancelled", started=self._started)
