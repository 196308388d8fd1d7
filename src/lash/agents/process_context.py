"""What a durable function may ask for: `ProcessContext`, the first parameter of a `@lash.process`.

The function is run again from its start whenever its process is taken up, and every operation here that had
ended before answers with what it answered then. Two laws follow for the function:

- It decides only by its arguments and by what these operations return. Time, chance and the world come in
  through them.
- Operations are told apart by where they are asked: by their place in the task that asks, and by name and
  ordinal. Concurrent tasks (`asyncio.gather`, `asyncio.create_task`) are numbered in the order in which they
  first ask. Code that asks for something else at a recorded place is found there, as `process_replay_mismatch`.

A function that waits for longer than a moment is dropped from memory until it may go on: `finally` blocks run
then, but operations of the context do nothing in them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, Protocol, TypeVar, overload

from lash.agents.agent import Agent
from lash.agents.process import ProcessDefinition
from lash.tools import Effect, Retry, Tool
from lash.values import Json

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class ChildProcess(Protocol, Generic[R_co]):
    """A process that a durable function has started. `await` it for its result."""

    @property
    def id(self) -> str:
        """The id of the process, known before it is started."""
        ...

    def __await__(self) -> Generator[Any, None, R_co]:
        """Wait for the end of the process; parks the waiting one.

        Raises:
            LashError: the code that it failed with; `process_cancelled`.
        """
        ...

    async def cancel(self, reason: str | None = None) -> None:
        """Ask it to stop."""
        ...

    async def signal(self, name: str, payload: Json = None) -> None:
        """Send it a signal, for its `ctx.signal(name)`."""
        ...

    async def send(self, text: str) -> None:
        """Say something to it, when it is an agent: it enters its running turn, or begins another one."""
        ...


class ProcessContext(Protocol):
    """Everything durable that a function does. See the module for what it must keep to."""

    @property
    def process_id(self) -> str:
        """The id of this process: stable, and unique in its database."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked this process to stop."""
        ...

    @overload
    def step(
        self,
        fn: Callable[..., Awaitable[R]],
        *args: Any,
        name: str | None = None,
        effect: Effect | None = None,
        retry: Retry | int | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Awaitable[R]: ...
    @overload
    def step(
        self,
        fn: Callable[..., R],
        *args: Any,
        name: str | None = None,
        effect: Effect | None = None,
        retry: Retry | int | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Awaitable[R]: ...
    def step(
        self,
        fn: Callable[..., Any] | Tool[..., Any],
        *args: Any,
        name: str | None = None,
        effect: Effect | None = None,
        retry: Retry | int | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Awaitable[Any]:
        """Call a function once and remember what it returned.

        Args:
            fn: Async, or sync (it runs in a thread), or a `@lash.tool`.
            args: What it is called with. What JSON can carry of it is part of the step: other arguments under
                the same step are a mismatch. An argument that is called like an option here is given by position.
            name: What the ledger calls it; the function's name by default.
            effect: What a repetition may do, as for tools; `at_most_once` by default. A step that was cut off
                runs again when it is `read_only` or `idempotent`; an at-most-once one never does.
            retry: Attempts in all, or a `Retry`; see there what is tried again.
            timeout: Seconds that one attempt may take.
            kwargs: More of what it is called with.

        Returns:
            What the function returned, as its annotation says; without one, as JSON.

        Raises:
            LashError: the code of a `LashError` that the function raised; `step_failed` for any other
                exception; `step_timeout`; `step_result_invalid`; `outcome_unknown` for an at-most-once step
                that was started and cut off: catch it to find out what happened, or to undo it. The same is
                raised again when the function is run again.
        """
        ...

    def sleep(self, seconds: float = 0, *, ms: int | None = None) -> Awaitable[None]:
        """Return when that much time has passed since the first time this was asked."""
        ...

    def sleep_until(self, at_ms: int) -> Awaitable[None]:
        """Return when the clock has reached a time, in milliseconds since the epoch."""
        ...

    def wait(self, key: str, *, timeout: float | None = None, output: Any = None) -> Awaitable[Any]:
        """Return the value that somebody resolves this key of the process with; once, for all time.

        Args:
            key: Any text. Outside it is resolved by `runtime.processes.resolve(id, key, value)`, before or
                after it is waited for.
            timeout: Seconds after which to give up.
            output: The type of the value; None for JSON.

        Raises:
            LashError: `process_wait_timeout`; `process_wait_value_invalid` for a value of another type.
        """
        ...

    def token(self, key: str) -> Awaitable[str]:
        """Return a secret with which somebody outside may resolve `wait(key)`, and nothing else.

        It cannot be guessed, is the same whenever the function is run again, and ends with the process. Give
        it to `runtime.processes.resolve_token(token, value)`.
        """
        ...

    def signal(self, name: str, *, timeout: float | None = None) -> Awaitable[Json]:
        """Return the payload of the next signal of that name that this process has not taken yet, in order.

        Raises:
            LashError: `process_wait_timeout`.
        """
        ...

    def run(
        self, agent: Agent | str, input: str, *, output: Any = None, name: str | None = None
    ) -> Awaitable[Any]:
        """Ask an agent, in a session of its own, and return its answer: typed if it has a type, else its text.

        Args:
            agent: Who is asked.
            input: What.
            output: The type of the answer; None for the agent's own.
            name: What lists call it; the agent's name by default.

        Raises:
            LashError: `subagent_stopped` when its turn ended before its natural end; `process_cancelled`.
        """
        ...

    def spawn(
        self, agent: Agent | str, input: str, *, output: Any = None, name: str | None = None
    ) -> ChildProcess[Any]:
        """Begin to ask an agent, and return at once. As `run`; await the result for the answer."""
        ...

    def start(
        self, process: ProcessDefinition[R] | Tool[..., Any], *args: Any, **kwargs: Any
    ) -> ChildProcess[R]:
        """Start another process and return at once. It outlives this one; await it for its result.

        Raises:
            LashError: `invalid_process_args` at once.
        """
        ...

    def emit_event(self, event_type: str, payload: Json = None) -> Awaitable[None]:
        """Append an event of a type that the process declares (`@lash.process(events=…)`) to its log, once."""
        ...

    def progress(self, payload: Json) -> Awaitable[None]:
        """Append a `process.progress` event."""
        ...

    def wake(self, text: str) -> Awaitable[None]:
        """Tell the session that started this process something: its agent gets a turn, or hears it in its own.

        Raises:
            LashError: `process_wake_target_missing` for a process that no session has started.
        """
        ...

    def now_ms(self) -> Awaitable[int]:
        """Return the time, in milliseconds since the epoch; the same when the function is run again."""
        ...

    def random(self) -> Awaitable[float]:
        """Return a number from [0, 1); the same when the function is run again."""
        ...

    def uuid(self) -> Awaitable[str]:
        """Return a random UUID; the same when the function is run again."""
        ...
