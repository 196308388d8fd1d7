"""Outcomes as bytes, and the outcome that stands for "nobody knows"."""

from __future__ import annotations

import msgspec

from lash.errors import ErrorRecord, LashError
from lash.values import (
    CompletedToolCall,
    EffectRecord,
    EffectState,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
    ToolCall,
    ToolCallOutcome,
    encode_record,
)

_decoder: msgspec.json.Decoder[RuntimeEffectOutcome] = msgspec.json.Decoder(RuntimeEffectOutcome)


def encode_outcome(outcome: RuntimeEffectOutcome) -> bytes:
    """Return the recorded form of an outcome.

    Raises:
        LashError: `effect_replay_encode` when it holds something that is no JSON.
    """
    try:
        return encode_record(outcome)
    except (TypeError, ValueError, msgspec.EncodeError) as problem:
        raise LashError("effect_replay_encode", f"an outcome cannot be recorded: {problem}") from problem


def decode_outcome(data: bytes, replay_key: str) -> RuntimeEffectOutcome:
    """Return a recorded outcome.

    Raises:
        LashError: `effect_replay_decode` when the bytes are no outcome.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise LashError(
            "effect_replay_decode",
            f"the outcome recorded under {replay_key!r} does not decode: {problem}",
            replay_key=replay_key,
        ) from problem


def replay(record: EffectRecord, envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
    """Return what a line of the journal answers a repeated effect with.

    Raises:
        LashError: the error that was recorded; `effect_replay_corrupt_row` when the line has neither an
            outcome nor an error.
    """
    if record.state is EffectState.UNKNOWN:
        return unknown_outcome(envelope)
    result = record.result
    if result is not None and result.error is not None:
        raise LashError.from_record(result.error)
    if result is None or result.outcome is None:
        raise LashError(
            "effect_replay_corrupt_row",
            f"the journal says that effect {envelope.replay_key!r} is {record.state.value}, "
            "but holds no outcome of it",
            replay_key=envelope.replay_key,
        )
    return decode_outcome(result.outcome, envelope.replay_key)


def unknown_outcome(envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
    """Return the outcome of an at-most-once call that was cut: the model is told that nobody knows.

    Raises:
        LashError: `effect_outcome_unknown` for an effect that is no tool call.
    """
    if not isinstance(envelope.command, ToolCall):
        raise LashError(
            "effect_outcome_unknown",
            f"effect {envelope.replay_key!r} was started and may or may not have happened; settle it with "
            f"`lash settle {envelope.replay_key}`",
            replay_key=envelope.replay_key,
        )
    call = envelope.command.call
    error = ErrorRecord(
        code="outcome_unknown",
        message=(
            f"The call of {call.tool_name} was started, and then the program stopped. Nobody knows whether it "
            "took effect. It was not repeated. Check before you call it again."
        ),
        facts={"replay_key": envelope.replay_key},
    )
    return ToolCallOutcome(
        result=CompletedToolCall(
            call_id=call.call_id, tool_name=call.tool_name, content=error.message, error=error
        )
    )
