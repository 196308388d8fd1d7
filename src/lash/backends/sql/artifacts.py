"""Module artifacts as rows, in their verified bytes (contract 2.H)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash.backends.sql.engine import Tx
from lash.backends.sql.store import Store
from lash.rules.artifacts import artifact_bytes, stored_artifact
from lash.values import DurabilityTier

if TYPE_CHECKING:  # the language is loaded by those who use it
    from lashlang.artifact import ModuleArtifact

PUT_ARTIFACT = """INSERT INTO module_artifact (module_ref, body) VALUES (?, ?)
    ON CONFLICT (module_ref) DO UPDATE SET body = excluded.body WHERE body <> excluded.body"""
FIND_ARTIFACT = "SELECT body FROM module_artifact WHERE module_ref = ?"


class SqlLashlangArtifactStore:
    """See `LashlangArtifactStore` for the contract. A put repairs what was damaged."""

    durability_tier = DurabilityTier.DURABLE

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put_module_artifact(self, artifact: ModuleArtifact) -> None:
        """Store an artifact; again is no change."""
        module_ref, body = artifact.module_ref, artifact_bytes(artifact)

        async def script(tx: Tx) -> None:
            await tx.write(PUT_ARTIFACT, module_ref, body)

        await self._store.run(script)

    async def get_module_artifact(self, module_ref: str) -> ModuleArtifact | None:
        """Return an artifact, or None for a ref that is not stored."""

        async def script(tx: Tx) -> bytes | None:
            return await tx.fetch_one(bytes, FIND_ARTIFACT, module_ref)

        data = await self._store.read(script)
        return None if data is None else stored_artifact(module_ref, data)
