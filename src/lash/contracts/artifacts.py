"""Compiled modules of the language, by what they are (contract 2.H)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lash.values import DurabilityTier

if TYPE_CHECKING:  # the language is loaded by those who use it
    from lashlang.artifact import ModuleArtifact


class LashlangArtifactStore(Protocol):
    """Module artifacts by their ref. What is stored stays: artifacts are roots of every collection."""

    @property
    def durability_tier(self) -> DurabilityTier:
        """Whether what is stored survives the operating-system process."""
        ...

    async def put_module_artifact(self, artifact: ModuleArtifact) -> None:
        """Store an artifact; again is no change.

        Raises:
            LashError: `artifact_hash_mismatch` when it is not what its refs claim (R-49);
                `artifact_store_encode`, `artifact_store_backend`.
        """
        ...

    async def get_module_artifact(self, module_ref: str) -> ModuleArtifact | None:
        """Return an artifact, or None for a ref that is not stored.

        Raises:
            LashError: `artifact_store_decode`, `artifact_hash_mismatch`, `artifact_store_backend` for one that
                is stored and damaged.
        """
        ...
