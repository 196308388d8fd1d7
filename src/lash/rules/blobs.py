"""Checkpoint components as content-addressed blobs: what a commit brings, needs, keeps alive (R-34, R-42)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from lash.errors import LashError
from lash.rules.storable import storable_bytes
from lash.values import (
    AgentFrameRecord,
    HydratedSessionCheckpoint,
    PluginSessionSnapshot,
    SessionCheckpoint,
    ToolState,
    bytes_hash,
    decode_record,
)


def component_blobs(checkpoint: HydratedSessionCheckpoint) -> dict[str, bytes]:
    """Return the bodies that a commit brings, by reference."""
    bodies: list[bytes] = []
    if checkpoint.tool_state is not None:
        bodies.append(storable_bytes(checkpoint.tool_state, what="tool state"))
    if checkpoint.plugin_snapshot is not None:
        bodies.append(storable_bytes(checkpoint.plugin_snapshot, what="plugin snapshot"))
    if checkpoint.execution_state is not None:
        bodies.append(checkpoint.execution_state)
    return {bytes_hash(body): body for body in bodies}


def component_refs(manifest: SessionCheckpoint | None) -> tuple[str, ...]:
    """Return the components that a manifest refers to."""
    if manifest is None:
        return ()
    refs = (manifest.tool_state_ref, manifest.plugin_snapshot_ref, manifest.execution_state_ref)
    return tuple(dict.fromkeys(ref for ref in refs if ref is not None))


def bare_refs(checkpoint: HydratedSessionCheckpoint) -> tuple[str, ...]:
    """Return the references that a commit gives without a body: each must be stored already (R-34)."""
    pairs = (
        (checkpoint.tool_state, checkpoint.tool_state_ref),
        (checkpoint.plugin_snapshot, checkpoint.plugin_snapshot_ref),
        (checkpoint.execution_state, checkpoint.execution_state_ref),
    )
    return tuple(dict.fromkeys(ref for body, ref in pairs if body is None and ref is not None))


def check_components(checkpoint: HydratedSessionCheckpoint, stored: Collection[str]) -> None:
    """Refuse a checkpoint whose unchanged components are not stored.

    Args:
        checkpoint: What the commit brings.
        stored: Those of `bare_refs(checkpoint)` that are stored.

    Raises:
        LashError: `checkpoint_component_missing`.
    """
    brought: Collection[str] | None = None
    for ref in bare_refs(checkpoint):
        if ref in stored:
            continue
        brought = component_blobs(checkpoint) if brought is None else brought
        if ref not in brought:
            raise component_missing(ref)


def hydrated(manifest: SessionCheckpoint, blobs: Mapping[str, bytes]) -> HydratedSessionCheckpoint:
    """Return a checkpoint with the bodies of its components.

    Raises:
        LashError: `checkpoint_component_missing`, `stored_data_corrupt`.
    """

    def body(ref: str | None) -> bytes | None:
        if ref is None:
            return None
        if ref not in blobs:
            raise component_missing(ref)
        return blobs[ref]

    tools, plugins = body(manifest.tool_state_ref), body(manifest.plugin_snapshot_ref)
    return HydratedSessionCheckpoint(
        turn_state=manifest.turn_state,
        tool_state=None if tools is None else decode_record(ToolState, tools, what="tool state"),
        tool_state_ref=manifest.tool_state_ref,
        plugin_snapshot=(
            None if plugins is None else decode_record(PluginSessionSnapshot, plugins, what="plugin snapshot")
        ),
        plugin_snapshot_ref=manifest.plugin_snapshot_ref,
        plugin_snapshot_revision=manifest.plugin_snapshot_revision,
        execution_state=body(manifest.execution_state_ref),
        execution_state_ref=manifest.execution_state_ref,
    )


def blob_roots(manifest: SessionCheckpoint | None, frames: Iterable[AgentFrameRecord]) -> frozenset[str]:
    """Return the blobs that a session's head keeps alive: its components and every frame's (R-42)."""
    of_frames = (frame.execution_state_ref for frame in frames)
    return frozenset(component_refs(manifest)) | {ref for ref in of_frames if ref is not None}


def component_missing(ref: str) -> LashError:
    """Return the error for a component whose body is not stored."""
    return LashError(
        "checkpoint_component_missing",
        f"checkpoint component {ref!r} is not stored; commit its body",
        ref=ref,
    )
