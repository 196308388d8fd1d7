"""Wrong classes of lash's own."""

from __future__ import annotations

from typing import Any

from lash.contracts import ScopedEffectController
from lash.effects import InlineEffectHost, RecordingEffectHost
from lash.errors import LashError
from lash.testing.conformance import ReferenceClasses
from lash.values import AttachmentStorePersistence, DurabilityTier, EffectScope

from .mutant import gives, mutant

HOST = "lash.effects.journaled"
INLINE = "lash.effects.inline"
JOURNAL = "lash.backends.memory.journal"


class _DurableSayer:
    """Says that it is durable, whatever it wraps."""

    durability_tier = DurabilityTier.DURABLE
    persistence = AttachmentStorePersistence.DURABLE

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


_REFERENCE = ReferenceClasses()
mutant(
    "the in-memory attachment store says durable",
    "in_memory_attachment_store_satisfies_conformance",
    reference=ReferenceClasses(attachment_store=lambda: _DurableSayer(_REFERENCE.attachment_store())),
)
mutant(
    "the in-memory artifact store says durable",
    "in_memory_lashlang_artifact_store_satisfies_conformance",
    reference=ReferenceClasses(artifact_store=lambda: _DurableSayer(_REFERENCE.artifact_store())),
)
mutant(
    "the in-memory host event store says durable",
    "in_memory_host_event_store_satisfies_conformance",
    reference=ReferenceClasses(host_event_store=lambda: _DurableSayer(_REFERENCE.host_event_store())),
)


class _ForgetfulInlineHost(InlineEffectHost):
    def scoped_static(self, scope: EffectScope) -> ScopedEffectController | None:
        return self.scoped(EffectScope.process("another"))


mutant(
    "the inline host hands out another scope",
    "inline_effect_host_satisfies_conformance",
    reference=ReferenceClasses(inline_effect_host=_ForgetfulInlineHost),
)


class _ScopelessRecorder(RecordingEffectHost):
    def selected_scopes(self) -> list[EffectScope]:
        return []


mutant(
    "the recording host forgets the scopes",
    "recording_effect_host_records_selected_scope_and_envelope",
    reference=ReferenceClasses(recording_effect_host=_ScopelessRecorder),
)


def _hash_mismatch(data: bytes) -> Any:
    raise LashError("artifact_hash_mismatch", "the bytes are not what they claim to be")


mutant(
    "garbage bytes are a hash mismatch",
    "module_artifact_rejects_corrupted_store_bytes",
    reference=ReferenceClasses(decode_artifact=_hash_mismatch),
)
mutant(
    "errors lose their facts when they are stored",
    "errors_keep_code_and_facts_as_data",
    ("lash.errors:LashError.record", gives(lambda record, *_: _without_facts(record))),
)


def _without_facts(record: Any) -> Any:
    facts = dict.fromkeys(record.facts, 0)
    return type(record)(code=record.code, message=record.message, retryable=record.retryable, facts=facts)
