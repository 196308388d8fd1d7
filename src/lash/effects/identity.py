"""What an effect is recognised by: its key, its hash, and a short digest for each of its fields.

The digests are kept in place of the envelope. They are enough to say which field of a repeated effect
differs from what was recorded (ruling 6).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from lash.errors import LashError
from lash.values import (
    Direct,
    EffectIdentity,
    EffectRecord,
    EffectScope,
    Json,
    LlmCall,
    RuntimeEffectEnvelope,
    ToolCall,
    canonical_json,
    plain,
)

_DEPTH = 4  # command.request.messages[2] is told apart; what is inside one message is not
_DIGEST_CHARS = 12


def effect_identity(scope: EffectScope, envelope: RuntimeEffectEnvelope) -> EffectIdentity:
    """Return what an envelope is recognised by, without the digests of its fields.

    Raises:
        LashError: `runtime_effect_envelope_hash` when the envelope is no exact JSON.
    """
    canonical = envelope.canonical()
    return EffectIdentity(
        scope=scope,
        replay_key=envelope.replay_key,
        envelope_hash=hashlib.sha256(canonical).hexdigest(),
        kind=envelope.kind,
        effect_id=envelope.effect_id,
        label=_label(envelope),
        at_most_once=isinstance(envelope.command, ToolCall)
        and envelope.command.call.effect == "at_most_once",
    )


def with_field_digests(identity: EffectIdentity, envelope: RuntimeEffectEnvelope) -> EffectIdentity:
    """Return an identity with the digests of the envelope's fields: what is stored, or told apart."""
    return identity.replace(field_digests=dict(_digests(plain(envelope), "", 0)))


def check_same_envelope(
    identity: EffectIdentity, record: EffectRecord, envelope: RuntimeEffectEnvelope
) -> None:
    """Raise unless `record` was made for the same envelope.

    Raises:
        LashError: `effect_replay_hash_conflict`, naming the fields that differ.
    """
    if record.identity.envelope_hash == identity.envelope_hash:
        return
    asked = with_field_digests(identity, envelope).field_digests
    differences = field_differences(record.identity.field_digests, asked)
    named = ", ".join(differences) or "fields whose digests are no longer kept"
    raise LashError(
        "effect_replay_hash_conflict",
        f"effect {identity.replay_key!r} was recorded for another request; different: {named}. "
        "The work that leads to this effect must give the same request when it is driven again",
        replay_key=identity.replay_key,
        fields=list(differences),
    )


def field_differences(recorded: dict[str, str], asked: dict[str, str]) -> tuple[str, ...]:
    """Return the paths at which two envelopes differ, the deepest that are known."""
    paths = {path for path in recorded.keys() | asked.keys() if recorded.get(path) != asked.get(path)}
    return tuple(sorted(paths))


def _label(envelope: RuntimeEffectEnvelope) -> str:
    match envelope.command:
        case ToolCall(call=call):
            return call.tool_name
        case LlmCall(request=request) | Direct(request=request):
            return request.model.id
        case _:
            return ""


def _digests(value: Json, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth < _DEPTH and isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _digests(item, f"{path}.{key}" if path else key, depth + 1)
    elif depth < _DEPTH and isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _digests(item, f"{path}[{index}]", depth + 1)
    else:
        yield path, hashlib.sha256(canonical_json(value)).hexdigest()[:_DIGEST_CHARS]
