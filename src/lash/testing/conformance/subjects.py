"""Subjects that are not contracts themselves: a controller that is about to replay, a store without manifest."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from lash.contracts import (
    EffectHost,
    RuntimeEffectController,
    RuntimeEffectLocalExecutor,
    RuntimePersistence,
    ScopedEffectController,
)
from lash.values import (
    AttachmentIntent,
    AttachmentManifestEntry,
    DurabilityTier,
    EffectScope,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcome,
)

REPLAY_SCOPE = EffectScope.turn("effect-conformance-session", "effect-conformance-turn")


class ReplayingController:
    """A controller, and what must be called between the first pass and the replay.

    Quacks like a host as well, so that the replay case runs on either.
    """

    durability_tier = DurabilityTier.DURABLE

    def __init__(self, controller: RuntimeEffectController, start_replay: Callable[[], Any]) -> None:
        self._controller = controller
        self._start_replay = start_replay

    def scoped(self, scope: EffectScope) -> ScopedEffectController:
        """Return the one controller, whatever the scope."""
        return ScopedEffectController(self, scope)

    def scoped_static(self, scope: EffectScope) -> ScopedEffectController | None:
        """Return the one controller, whatever the scope."""
        return self.scoped(scope)

    async def execute_effect(
        self, envelope: RuntimeEffectEnvelope, local_executor: RuntimeEffectLocalExecutor
    ) -> RuntimeEffectOutcome:
        """Hand the effect on."""
        return await self._controller.execute_effect(envelope, local_executor)

    async def start_replay(self) -> None:
        """Tell whoever handed the controller in that the replay begins."""
        answer = self._start_replay()
        if inspect.isawaitable(answer):
            await answer


async def start_replay(host: EffectHost) -> None:
    """Switch a host to replay only, if it makes that difference."""
    start = getattr(host, "start_replay", None)
    if start is not None:
        answer = start()
        if inspect.isawaitable(answer):
            await answer


class WithoutManifest:
    """A persistence of the `noop` flavour: everything is the backend's, but no manifest is kept.

    The flavour is a legal declaration of any backend (contract 2.E); commits that name attachments must
    work in it all the same.
    """

    attachment_manifest = "noop"

    def __init__(self, store: RuntimePersistence) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:  # whatever the backend's own attribute is
        return getattr(self._store, name)

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Keep nothing."""

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Keep nothing."""

    async def list_uncommitted(self, older_than_ms: int) -> list[AttachmentManifestEntry]:
        """Return nothing: nothing is kept."""
        return []

    async def find_named(self, attachment_ids: Sequence[str]) -> list[str]:
        """Return nothing: nothing is kept."""
        return []

    async def forget(self, attachment_id: str) -> None:
        """Do nothing: there is nothing."""
