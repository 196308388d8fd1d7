"""One call from its first attempt to its recorded result: attempts, waits between them, encoding, budget."""

from __future__ import annotations

import asyncio
from typing import Any

from lash.errors import LashError
from lash.tools.attempt import Attempt, Raised, Returned
from lash.tools.budget import OutputBudget
from lash.tools.context import ToolInvocation
from lash.tools.control import WithControl
from lash.tools.crash import ToolCrash
from lash.tools.definition import Tool
from lash.tools.encoding import EncodedResult
from lash.tools.failures import failed_call, short_text
from lash.tools.lanes import SerialLanes
from lash.tools.resources import Resources
from lash.tools.retry import may_retry
from lash.tools.threads import ToolThreads
from lash.values import (
    WHOLE_RESULT_LABEL,
    AttachmentCreateMeta,
    AttachmentRef,
    CompletedToolCall,
    Json,
    PreparedToolCall,
    plain,
)

# The attachment with this label is the whole of a result that was cut for the model. It belongs to the
# session like any other, but is not to be shown to the model: that would undo the cut.


class Call:
    """One prepared call being run. Use it once."""

    def __init__(
        self,
        tool: Tool[..., Any],  # a set holds tools of every signature
        prepared: PreparedToolCall,
        invocation: ToolInvocation,
        resources: Resources,
        budget: OutputBudget,
        threads: ToolThreads,
        lanes: SerialLanes,
    ) -> None:
        self._tool = tool
        self._prepared = prepared
        self._invocation = invocation
        self._resources = resources
        self._budget = budget
        self._threads = threads
        self._lanes = lanes
        self._started_at_ms = self._now_ms()
        self._attempts = 0
        self._refs: dict[str, AttachmentRef] = {}  # everything stored on behalf of this call, by id

    def refused(self) -> CompletedToolCall | None:
        """Return the failure of a call that a person must approve and has not; None when it may run."""
        try:
            if self._invocation.approved or not self._tool.needs_approval(self._prepared.args):
                return None
        except Exception as problem:  # noqa: BLE001  # the tool's own function: contained like the tool
            return self._failed(self._told(Raised(problem)))
        text = f"{self._tool.name} was not run: nobody has approved the call"
        return self._failed(LashError("tool_approval_required", text))

    async def run(self, arguments: dict[str, Any]) -> CompletedToolCall:  # Python values of any type
        """Return the result of the call, after as many attempts as it takes and may have."""
        while True:
            self._attempts += 1
            attempt = self._attempt()
            end = await attempt.run(arguments)
            self._refs.update((ref.id, ref) for ref in attempt.stored)
            match end:
                case Returned(value=value):
                    return await self._completed(value)
                case Raised():
                    delay_ms = self._retry_delay_ms(end)
                    if delay_ms is None or not await self._pause(delay_ms):
                        return self._failed(self._told(end))

    def _attempt(self) -> Attempt:
        return Attempt(
            self._tool,
            self._invocation,
            self._resources,
            self._threads,
            self._lanes,
            call_id=self._prepared.call_id,
            number=self._attempts,
        )

    def _retry_delay_ms(self, end: Raised) -> int | None:
        """Return how long to wait before the next attempt; None when there is none.

        What counts is the effect class that the call was prepared with: it is the one that is recorded.
        """
        policy = self._tool.retry
        if end.cancelled or self._attempts >= policy.attempts:
            return None
        if end.started and not may_retry(end.error, self._prepared.effect, policy, timed_out=end.timed_out):
            return None
        if not end.started and not getattr(end.error, "retryable", False):
            return None
        facts = end.error.facts if isinstance(end.error, LashError) else {}
        return policy.delay_ms(self._attempts, retry_after_ms=facts.get("retry_after_ms"))

    async def _pause(self, delay_ms: int) -> bool:
        """Wait before the next attempt; return False when the turn is cancelled meanwhile."""
        pause = asyncio.ensure_future(self._invocation.sleep(delay_ms))
        cancelled = asyncio.ensure_future(self._invocation.cancellation.wait())
        try:
            await asyncio.wait({pause, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if pause.done():
                pause.result()  # raises what the sleep raised
            return not self._invocation.cancellation.cancelled
        finally:
            pause.cancel()
            cancelled.cancel()
            await asyncio.wait({pause, cancelled})

    def _told(self, end: Raised) -> LashError:
        """Return what the model is told; a crash goes to the operator with its traceback first."""
        if isinstance(end.error, LashError):
            return end.error
        self._invocation.on_crash(
            ToolCrash(
                tool_name=self._tool.name,
                call_id=self._prepared.call_id,
                attempt=self._attempts,
                error=end.error,
            )
        )
        kind, text = type(end.error).__name__, short_text(_text_of(end.error))
        return LashError("tool_failed", f"{kind}: {text}" if text else kind, exception=kind)

    def _failed(self, error: LashError) -> CompletedToolCall:
        return failed_call(
            self._prepared.call_id,
            self._tool.name,
            error,
            attempts=self._attempts,
            duration_ms=self._now_ms() - self._started_at_ms,
            attachments=tuple(self._refs.values()),
        )

    async def _completed(self, returned: object) -> CompletedToolCall:
        if isinstance(returned, WithControl):
            completed = await self._completed(returned.value)
            return completed if completed.is_error else completed.replace(control=plain(returned.control))
        try:
            encoded = EncodedResult(returned)
            for attachment in encoded.attachments:
                self._budget.check_size(len(attachment.data))
            whole = self._budget.rendered(encoded.content([]))
        except LashError as problem:
            return self._failed(problem)
        if encoded.attachments and self._invocation.attachments is None:
            text = "the tool ran, but there is no attachment store to keep the bytes that it returned"
            return self._failed(LashError("tool_result_invalid", text))
        refs = [await self._stored(one.data, one.media_type, one.label) for one in encoded.attachments]
        content = encoded.content(refs)
        if refs:  # the references take more room than the marks that stood for them
            whole = self._budget.rendered(content)
        if whole is not None:
            content = await self._cut(whole, content)
        return CompletedToolCall(
            call_id=self._prepared.call_id,
            tool_name=self._tool.name,
            content=content,
            attachments=tuple(self._refs.values()),
            attempts=self._attempts,
            duration_ms=self._now_ms() - self._started_at_ms,
        )

    async def _cut(self, whole: bytes, content: Json) -> str:
        """Return head and tail of a result that is too long, and keep the whole of it if there is a store."""
        if self._invocation.attachments is None:
            return self._budget.cut(whole, kept_as=None)
        media_type = "text/plain; charset=utf-8" if isinstance(content, str) else "application/json"
        ref = await self._stored(whole, media_type, WHOLE_RESULT_LABEL)
        return self._budget.cut(whole, kept_as=ref.id)

    async def _stored(self, data: bytes, media_type: str, label: str | None) -> AttachmentRef:
        store = self._invocation.attachments
        assert store is not None, "checked before anything is stored"
        ref = await store.put(data, AttachmentCreateMeta(media_type=media_type, label=label))
        self._refs[ref.id] = ref
        return ref

    def _now_ms(self) -> int:
        return self._invocation.clock.now_ms() if self._invocation.clock is not None else 0


def _text_of(error: BaseException) -> str:
    """Return the text of an exception; an exception whose `__str__` raises has none."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a broken __str__ must not hide the failure that it belongs to
        return ""
