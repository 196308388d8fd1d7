"""One call through a tool set, as the runtime makes it."""

from __future__ import annotations

from typing import Any

import pytest

from lash.backends.memory import InMemoryAttachmentStore
from lash.tools import OutputBudget, Resources, ToolCrash, ToolInvocation, ToolSet
from lash.values import CompletedToolCall, PreparedToolCall, ToolCallPart


class Caller:
    """Makes calls and remembers what they left behind."""

    def __init__(self) -> None:
        self.crashes: list[ToolCrash] = []
        self.progress: list[Any] = []
        self.slept_ms: list[int] = []
        self.store = InMemoryAttachmentStore()

    def invocation(self, **changes: Any) -> ToolInvocation:
        async def sleep(duration_ms: int) -> None:
            self.slept_ms.append(duration_ms)

        settings: dict[str, Any] = {
            "session_id": "s1",
            "turn_id": "t1",
            "agent": "reader",
            "attachments": self.store,
            "progress": self.progress.append,
            "sleep": sleep,
            "on_crash": self.crashes.append,
        }
        return ToolInvocation(**{**settings, **changes})

    async def __call__(
        self,
        tool: Any,
        args: dict[str, Any] | None = None,
        *,
        resources: Any = (),
        budget: OutputBudget | None = None,
        **changes: Any,
    ) -> CompletedToolCall:
        tools = tool if isinstance(tool, ToolSet) else ToolSet([tool], budget=budget)
        tools = tools.bind(Resources(resources))
        name = next(iter(tools)).name
        prepared = tools.prepare(ToolCallPart(call_id="c1", name=name, args=args or {}))
        if isinstance(prepared, CompletedToolCall):
            return prepared
        assert isinstance(prepared, PreparedToolCall)
        return await tools.execute(prepared, self.invocation(**changes))


@pytest.fixture
def call() -> Caller:
    return Caller()
