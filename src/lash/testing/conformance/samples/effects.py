"""Effects: envelopes, and executors that note what they were asked."""

from __future__ import annotations

from lash.contracts import RuntimeEffectLocalExecutor
from lash.errors import LashError
from lash.testing.conformance.expectations import expect_json, expect_kind
from lash.values import (
    EffectIdentity,
    EffectResult,
    EffectScope,
    EffectState,
    ExecCode,
    ExecCodeOutcome,
    ExecResponse,
    Json,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeEffectOutcome,
    RuntimeInvocation,
    RuntimeScope,
    Sleep,
)

SCOPE = EffectScope.turn("session-1", "turn-1")
CLAIM_MS = 30_000


def code_envelope(effect_id: str, code: str = "", *, key: str = "") -> RuntimeEffectEnvelope:
    """Return an envelope that runs code; the seed's share everything but id and key."""
    scope = RuntimeScope(
        session_id="effect-conformance-session",
        turn_id="effect-conformance-turn",
        turn_index=7,
        protocol_iteration=0,
    )
    return RuntimeEffectEnvelope(
        RuntimeInvocation.effect(
            scope,
            effect_id,
            RuntimeEffectKind.EXEC_CODE,
            key or f"effect-conformance:effect-conformance-turn:{effect_id}",
        ),
        ExecCode(code=code or f"emit {effect_id}"),
    )


def sleep_envelope(duration_ms: int, effect_id: str = "sleep-effect") -> RuntimeEffectEnvelope:
    """Return an envelope that sleeps."""
    return RuntimeEffectEnvelope(
        RuntimeInvocation.effect(
            RuntimeScope(session_id="session-1"),
            effect_id,
            RuntimeEffectKind.SLEEP,
            f"host-event:button-1:{effect_id}",
        ),
        Sleep(duration_ms=duration_ms),
    )


def outcome_of(marker: Json) -> ExecCodeOutcome:
    """Return an outcome that carries a marker."""
    return ExecCodeOutcome(result=ExecResponse(terminal_finish=marker))


def expect_marker(outcome: RuntimeEffectOutcome, marker: Json, claim: str) -> None:
    """Fail unless the outcome carries the marker."""
    response = expect_kind(expect_kind(outcome, ExecCodeOutcome, claim).result, ExecResponse, claim)
    expect_json(response.terminal_finish, marker, claim)


class NotingExecutor:
    """Answers each effect with a marker, or with an error, and notes which it ran."""

    def __init__(self, marker: Json = None, *, fails_with: BaseException | None = None) -> None:
        self.ran: list[str] = []
        self._marker = marker
        self._fails_with = fails_with

    @property
    def executor(self) -> RuntimeEffectLocalExecutor:
        """What a controller takes."""
        return RuntimeEffectLocalExecutor.of(self._run)

    async def _run(self, envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        self.ran.append(envelope.effect_id)
        if self._fails_with is not None:
            raise self._fails_with
        return outcome_of(self._marker)


def final_failure(code: str = "work_failed") -> LashError:
    """Return a failure of the work itself."""
    return LashError(code, "the work failed for good", reason="sample")


def identity(
    key: str = "k1",
    scope: EffectScope = SCOPE,
    *,
    envelope_hash: str = "h1",
    at_most_once: bool = False,
) -> EffectIdentity:
    """Return what a journal keeps of an effect."""
    return EffectIdentity(
        scope=scope,
        replay_key=key,
        envelope_hash=envelope_hash,
        kind=RuntimeEffectKind.TOOL_CALL,
        effect_id=key,
        label="tool",
        at_most_once=at_most_once,
    )


def done(outcome: bytes = b"yes") -> EffectResult:
    """Return a result that has an outcome."""
    return EffectResult(state=EffectState.DONE, outcome=outcome)
