"""Lash's own classes that the seed names: the same for every backend that is tested.

A mutant replaces one of them, which is how the cases about them are themselves tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


def _make(module: str, name: str) -> Any:
    return getattr(import_module(module), name)()


def _attachment_store() -> Any:
    return _make("lash.backends.memory", "InMemoryAttachmentStore")


def _artifact_store() -> Any:
    return _make("lash.backends.memory", "InMemoryLashlangArtifactStore")


def _host_event_store() -> Any:
    return _make("lash.backends.memory", "InMemoryHostEventStore")


def _inline_effect_host() -> Any:
    return _make("lash.effects", "InlineEffectHost")


def _recording_effect_host() -> Any:
    return _make("lash.effects", "RecordingEffectHost")


def _decode_artifact(data: bytes) -> Any:
    return import_module("lashlang").ModuleArtifact.from_store_bytes(data)


def _effect_envelope(invocation: Any, command: Any) -> Any:
    return import_module("lash.values").RuntimeEffectEnvelope(invocation, command)


@dataclass(frozen=True, kw_only=True)
class ReferenceClasses:
    """How each of them is made; nothing is imported before that."""

    attachment_store: Callable[[], Any] = _attachment_store
    artifact_store: Callable[[], Any] = _artifact_store
    host_event_store: Callable[[], Any] = _host_event_store
    inline_effect_host: Callable[[], Any] = _inline_effect_host
    recording_effect_host: Callable[[], Any] = _recording_effect_host
    decode_artifact: Callable[[bytes], Any] = _decode_artifact
    effect_envelope: Callable[[Any, Any], Any] = _effect_envelope
