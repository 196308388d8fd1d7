"""Module artifacts on their way into and out of a store: verified both ways (contract 2.H, rule R-49)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash.errors import LashError

if TYPE_CHECKING:
    from lashlang.artifact import ModuleArtifact


def artifact_bytes(artifact: ModuleArtifact) -> bytes:
    """Return the canonical bytes of an artifact that is what it claims to be.

    Raises:
        LashError: `artifact_hash_mismatch`, `artifact_codec`; `artifact_store_encode` for what has no bytes.
    """
    from lashlang.errors import LangError

    try:
        return artifact.to_store_bytes()
    except LangError as problem:
        raise LashError(
            problem.code, f"artifact {artifact.module_ref!r} is not stored: {problem.message}"
        ) from problem
    except (TypeError, ValueError, RecursionError) as problem:
        raise LashError(
            "artifact_store_encode", f"artifact {artifact.module_ref!r} has no stored form: {problem}"
        ) from problem


def stored_artifact(module_ref: str, data: bytes) -> ModuleArtifact:
    """Return the artifact that is stored under a ref; damage is an error, never an absence.

    Raises:
        LashError: `artifact_store_decode` for bytes that hold none, `artifact_hash_mismatch` for bytes of
            another module, `artifact_version` for a newer format.
    """
    from lashlang.artifact import ModuleArtifact
    from lashlang.errors import LangError

    try:
        artifact = ModuleArtifact.from_store_bytes(data)
    except LangError as problem:
        code = "artifact_store_decode" if problem.code == "artifact_codec" else problem.code
        raise LashError(
            code,
            f"the stored bytes of {module_ref!r} cannot be used: {problem.message}. Restore the database from "
            "a backup, or put the module again under its ref",
            module_ref=module_ref,
        ) from problem
    if artifact.module_ref != module_ref:
        raise LashError(
            "artifact_hash_mismatch",
            f"the bytes stored under {module_ref!r} are module {artifact.module_ref!r}; "
            "restore the database from a backup",
            module_ref=module_ref,
            actual=artifact.module_ref,
        )
    return artifact
