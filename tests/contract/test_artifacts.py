"""Module artifacts: verified on the way in and out (contract 1.20, 2.H; R-49)."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from lash.backends.memory import InMemoryLashlangArtifactStore
from lash.contracts import Database, LashlangArtifactStore
from lash.values import DurabilityTier
from lashlang import ModuleArtifact, parse

from .conftest import Backend
from .samples import refused


def artifact(name: str = "echo") -> ModuleArtifact:
    return ModuleArtifact.from_program(parse(f"process {name}(value: str) {{ finish value }}"))


@pytest.fixture
def store(db: Database) -> LashlangArtifactStore:
    return db.artifact_store


async def test_store_has_the_tier_of_its_database(backend: Backend, store: LashlangArtifactStore) -> None:
    expected = DurabilityTier.INLINE if backend.kind == "memory" else DurabilityTier.DURABLE
    assert store.durability_tier is expected


async def test_artifact_comes_back_byte_for_byte(store: LashlangArtifactStore) -> None:
    put = artifact()
    await store.put_module_artifact(put)
    await store.put_module_artifact(put)
    got = await store.get_module_artifact(put.module_ref)
    assert got is not None
    assert (got.module_ref, got.required_surface_ref, got.exports) == (
        put.module_ref,
        put.required_surface_ref,
        put.exports,
    )
    assert got.to_store_bytes() == put.to_store_bytes()


async def test_unknown_ref_is_none(store: LashlangArtifactStore) -> None:
    await store.put_module_artifact(artifact("other"))
    assert await store.get_module_artifact(artifact().module_ref) is None
    assert await store.get_module_artifact("no ref at all") is None


async def test_artifact_that_is_not_what_it_claims_is_not_stored(store: LashlangArtifactStore) -> None:
    honest, other = artifact(), artifact("other")
    for field in ("module_ref", "required_surface_ref", "exports", "program"):
        forged = ModuleArtifact(
            **{name: getattr(other if name == field else honest, name) for name in honest.__struct_fields__}
        )
        if getattr(other, field) == getattr(honest, field):
            continue
        with refused("artifact_hash_mismatch"):
            await store.put_module_artifact(forged)
    assert await store.get_module_artifact(honest.module_ref) is None
    assert await store.get_module_artifact(other.module_ref) is None


async def test_damage_in_memory_is_an_error_and_a_put_repairs_it() -> None:
    good, stored = artifact(), dict[str, bytes]()
    store = InMemoryLashlangArtifactStore(stored)
    for damage, code in (
        (b"not an artifact", "artifact_store_decode"),
        (good.to_store_bytes()[:-1], "artifact_store_decode"),
        (good.to_store_bytes().replace(b'"value"', b'"valUe"'), "artifact_hash_mismatch"),
        (artifact("other").to_store_bytes(), "artifact_hash_mismatch"),
    ):
        stored[good.module_ref] = damage
        with refused(code):
            await store.get_module_artifact(good.module_ref)
        await store.put_module_artifact(good)
        assert await store.get_module_artifact(good.module_ref) == good


async def test_damage_in_a_file_is_an_error_and_a_put_repairs_it(backend: Backend, tmp_path: Path) -> None:
    if backend.kind != "sqlite":
        pytest.skip("NOT RUN on memory: there is no file to damage")
    good = artifact()
    await backend.db.artifact_store.put_module_artifact(good)
    await backend.db.close()
    file = apsw.Connection(str(tmp_path / "contract.db"))
    file.execute("UPDATE module_artifact SET body = ?", (b"garbage",))
    file.close()
    store = (await backend.another_handle()).artifact_store
    with refused("artifact_store_decode") as problem:
        await store.get_module_artifact(good.module_ref)
    assert problem.value.module_ref == good.module_ref
    await store.put_module_artifact(good)
    assert await store.get_module_artifact(good.module_ref) == good


async def test_artifact_is_seen_through_another_handle(backend: Backend) -> None:
    other, put = (await backend.another_handle()).artifact_store, artifact()
    await backend.db.artifact_store.put_module_artifact(put)
    assert await other.get_module_artifact(put.module_ref) == put
