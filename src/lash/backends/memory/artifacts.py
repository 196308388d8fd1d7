"""Module artifacts in memory, as their verified bytes (contract 2.H)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash.rules.artifacts import artifact_bytes, stored_artifact
from lash.values import DurabilityTier

if TYPE_CHECKING:  # the language is loaded by those who use it
    from lashlang.artifact import ModuleArtifact


class InMemoryLashlangArtifactStore:
    """See `LashlangArtifactStore` for the contract.

    Args:
        stored: Where to keep the bytes; a dict of its own by default.
    """

    durability_tier = DurabilityTier.INLINE

    def __init__(self, stored: dict[str, bytes] | None = None) -> None:
        self._stored = {} if stored is None else stored

    async def put_module_artifact(self, artifact: ModuleArtifact) -> None:
        """Store an artifact; again is no change."""
        self._stored[artifact.module_ref] = artifact_bytes(artifact)

    async def get_module_artifact(self, module_ref: str) -> ModuleArtifact | None:
        """Return an artifact, or None for a ref that is not stored."""
        data = self._stored.get(module_ref)
        return None if data is None else stored_artifact(module_ref, data)
