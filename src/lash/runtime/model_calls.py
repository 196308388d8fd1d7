"""The model calls of one turn: the envelope that names a call, the call itself, what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lash.contracts import EffectBody, ModelCallError
from lash.runtime.activity_bus import TurnActivities
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.history import seen_attachments
from lash.runtime.model_hooks import ModelHooks
from lash.runtime.prose_mask import ProseMask, Show
from lash.runtime.resident import ResidentSession
from lash.runtime.services import RuntimeServices
from lash.turn import AskModel, TurnConfig
from lash.values import (
    AssistantReasoningDelta,
    AssistantTextDelta,
    AttachmentRef,
    AttemptReset,
    LlmCall,
    LlmCallOutcome,
    LlmRequestSpec,
    Message,
    ModelAttemptReset,
    ModelFailure,
    ModelRequest,
    ModelRequestCompleted,
    ModelRequestStarted,
    ModelResponse,
    ModelRetry,
    ModelStreamEvent,
    ReasoningDelta,
    ReasoningPart,
    RetryStatus,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    TextDelta,
    TextPart,
    TokenUsage,
    TurnActivity,
)

Masking = Callable[[Show, str], ProseMask]
"""Makes the mask of one answer, given how to show things and the row of its prose."""


class ModelCalls:
    """Asks the model, or finds that it was asked."""

    def __init__(
        self,
        services: RuntimeServices,
        agent: BoundAgent,
        resident: ResidentSession,
        activities: TurnActivities,
        config: TurnConfig,
        hooks: ModelHooks,
    ) -> None:
        self._hooks = hooks
        self._turn_id = config.turn_id
        self._services = services
        self._agent = agent
        self._resident = resident
        self._session_id = resident.session_id
        self._activities = activities
        self._output = config.output
        self.usage = TokenUsage()
        self._durations_ms: dict[int, int] = {}
        self.keys: dict[int, str] = {}  # effect id -> replay key, under which the ledger counts the call

    def look_at(self, resident: ResidentSession) -> None:
        """From now on, show the model this session's history."""
        self._resident = resident

    def envelope(self, effect: AskModel, scope: RuntimeScope, replay_key: str) -> RuntimeEffectEnvelope:
        """Return the effect: the history by reference, the turn's own messages whole (ruling 6)."""
        prompt = effect.prompt
        history = self._resident.history.ref()
        if self._hooks.view_name:
            history = history.replace(view=f"{history.view}{self._hooks.view_name}")
        return RuntimeEffectEnvelope(
            RuntimeInvocation.effect(scope, str(effect.effect_id), RuntimeEffectKind.LLM_CALL, replay_key),
            LlmCall(
                request=LlmRequestSpec(
                    model=self._agent.model.spec,
                    provider_id=self._agent.model.provider_id,
                    history=history,
                    messages=prompt,
                    attachments=tuple(_attachments(prompt)),
                    instructions=effect.instructions,
                    tools=effect.tools,
                    tool_choice=effect.tool_choice,
                    generation=self._agent.agent.generation,
                    session_id=self._session_id,
                    output_spec=effect.output,
                )
            ),
        )

    def executor(self, effect: AskModel, replay_key: str) -> EffectBody:
        """Return what makes the call when it is not recorded."""

        async def ask(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
            self._activities.emit(ModelRequestStarted(iteration=effect.iteration))
            streamed = _Streamed(self._activities, f"model:{effect.effect_id}", self._masking(effect))

            def hear(event: ModelStreamEvent) -> None:
                if self._hooks.holds_back:
                    return  # a plugin may change the answer: it is shown when it has
                seen = self._hooks.filtered(event)
                if seen is not None:
                    streamed.receive(seen)

            began_at_ms = self._services.clock.now_ms()
            try:
                response = await self._agent.model.complete(await self._request(effect, replay_key), hear)
                streamed.finish()
            except ModelCallError as error:
                return LlmCallOutcome(result=error.failure, text_streamed=streamed.any_text)
            finally:
                self._durations_ms[effect.effect_id] = self._services.clock.now_ms() - began_at_ms
            return LlmCallOutcome(result=response, text_streamed=streamed.any_text)

        return ask

    def settle(
        self, effect: AskModel, replay_key: str, outcome: RuntimeEffectOutcome, *, replayed: bool
    ) -> ModelResponse | ModelFailure:
        """Count an outcome and show what has not been shown; return the answer."""
        assert isinstance(outcome, LlmCallOutcome), "a model call answers with its outcome"
        self.keys[effect.effect_id] = replay_key
        result = outcome.result
        usage, error = TokenUsage(), None
        if isinstance(result, ModelFailure):
            error = result.code
        else:
            usage = result.usage
            if (replayed or not outcome.text_streamed) and not self._hooks.holds_back:
                self._show(effect, result, f"model:{effect.effect_id}", replayed=replayed)
        self._activities.emit(
            ModelRequestCompleted(
                iteration=effect.iteration,
                model=self._agent.model.spec.id,
                provider=self._agent.model.provider_id,
                call_key=replay_key,
                usage=usage,
                duration_ms=self._durations_ms.get(effect.effect_id, 0),
                replayed=replayed,
                error=error,
            ),
            f"model:{effect.effect_id}",
        )
        self.usage += usage
        return result

    def show_held_back(self, effect: AskModel, response: ModelResponse, *, replayed: bool) -> None:
        """Show an answer that was held back until the plugins had seen it."""
        if self._hooks.holds_back:
            self._show(effect, response, f"model:{effect.effect_id}", replayed=replayed)

    async def _request(self, effect: AskModel, replay_key: str) -> ModelRequest:
        history = self._resident.history
        messages: Sequence[Message] = history.followed_by(effect.prompt)
        seen = [*history.attachments, *_attachments(effect.prompt)]
        if self._hooks.view_name:
            spec = self._agent.model.spec
            view = await self._hooks.view(self._resident, self._turn_id, effect.prompt, spec)
            messages = (*view, *effect.prompt)
            seen = _attachments(messages)
        wanted = self._agent.model.capabilities.attachments
        return ModelRequest(
            model=self._agent.model.spec,
            messages=messages,
            instructions=effect.instructions,
            tools=self._agent.tool_specs(effect.tools, self._output),
            tool_choice=effect.tool_choice,
            generation=self._agent.agent.generation,
            output=effect.output,
            session_id=self._session_id,
            call_key=replay_key,
            attachments=await self._bytes_of(seen) if wanted else {},
            passing=_passing(effect),
        )

    async def _bytes_of(self, refs: Iterable[AttachmentRef]) -> dict[str, bytes]:
        store = self._services.database.attachment_store
        ids = {ref.id for ref in refs}
        return {attachment_id: (await store.get(attachment_id)).data for attachment_id in sorted(ids)}

    def _masking(self, effect: AskModel) -> Masking | None:
        """Return what keeps programs out of the prose that is shown; None where answers hold none."""
        code = self._agent.code
        if code is None:
            return None
        row = f"code:{effect.iteration}"
        return lambda show, prose_row: ProseMask(show, prose_row, row, prose_may_answer=code.prose_may_answer)

    def _show(
        self, effect: AskModel, response: ModelResponse, correlation_id: str, *, replayed: bool
    ) -> None:
        masking = self._masking(effect)
        mask = None if masking is None else masking(self._activities.emit, correlation_id)
        for part in response.parts:
            match part:
                case TextPart(text=text) if text and mask is not None:
                    mask.feed(text, replayed=replayed)
                case TextPart(text=text) if text:
                    self._activities.emit(AssistantTextDelta(text, replayed=replayed), correlation_id)
                case ReasoningPart(text=text) if text:
                    self._activities.emit(
                        AssistantReasoningDelta(text, replayed=replayed), f"{correlation_id}:reasoning"
                    )
                case _:
                    pass
        if mask is not None:
            mask.finish(replayed=replayed)


class _Streamed:
    """Passes the stream of one call on, and knows what to take back when an attempt starts over."""

    def __init__(
        self, activities: TurnActivities, correlation_id: str, masking: Masking | None = None
    ) -> None:
        self._masking = masking
        self._mask: ProseMask | None = None
        self._activities = activities
        self._correlation_id = correlation_id
        self._attempt = 1
        self._shown: list[str] = []
        self.any_text = False

    def receive(self, event: ModelStreamEvent) -> None:
        match event:
            case TextDelta(text=text, block=block):
                self.any_text = True
                if self._masking is None:
                    self._activities.emit(AssistantTextDelta(text), self._row(block))
                else:
                    self._masked(text, block)
            case ReasoningDelta(text=text, block=block):
                self._activities.emit(AssistantReasoningDelta(text), self._row(f"{block}:reasoning"))
            case AttemptReset(attempt=attempt):
                self._activities.emit(ModelAttemptReset(correlation_ids=tuple(self._shown)))
                self._shown.clear()
                self._mask = None
                self.any_text = False
                self._attempt = attempt
            case RetryStatus(wait_ms=wait_ms, attempt=attempt, max_attempts=most, reason=reason):
                self._activities.emit(ModelRetry(wait_ms, attempt, most, reason))

    def finish(self) -> None:
        """The answer is over: show what was held back of it."""
        if self._mask is not None:
            self._mask.finish()

    def _masked(self, text: str, block: str) -> None:
        """Show more of an answer that may hold a program; its text parts are one text."""
        if self._mask is None:
            assert self._masking is not None, "asked only where there is one"
            self._mask = self._masking(self._note_and_show, f"{self._correlation_id}:{self._attempt}:{block}")
        self._mask.feed(text)

    def _note_and_show(self, activity: TurnActivity, row: str) -> None:
        if row not in self._shown:
            self._shown.append(row)
        self._activities.emit(activity, row)

    def _row(self, block: str) -> str:
        row = f"{self._correlation_id}:{self._attempt}:{block}"
        if row not in self._shown:
            self._shown.append(row)
        return row


def _attachments(messages: Iterable[Message]) -> list[AttachmentRef]:
    return [ref for message in messages for ref in seen_attachments(message)]


def _passing(effect: AskModel) -> int:
    """Return how many of the last messages are notes of this call alone: they stand behind all that is kept."""
    last = len(effect.messages)
    return sum(placed.after == last and _is_note(placed.message) for placed in effect.transient)


def _is_note(message: Message) -> bool:
    return message.origin is not None and message.origin.kind == "code_status"
