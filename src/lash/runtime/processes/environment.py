"""What a process was started under, captured once and never changed (contract 5, B-11).

The environment is stored by the hash of its content, which the process names as `environment_ref`: what agent,
which model, what it may spend. Whoever looks at a process later finds what it was started with, whatever the
definitions have become since.
"""

from __future__ import annotations

from typing import Any

from lash.contracts import AttachmentStore
from lash.runtime.bound_agent import BoundAgent
from lash.values import (
    AttachmentCreateMeta,
    GenerationOptions,
    Json,
    JsonRecord,
    ModelSpec,
    bytes_hash,
    decode_record,
    encode_record,
    plain,
    stable_hash,
)

_LABEL = "lash: environment of a process"


class ProcessEnvironment(JsonRecord, frozen=True, kw_only=True, eq=False):
    """What an agent was when a process was started for it."""

    agent: str
    model: ModelSpec
    provider_id: str
    protocol: str
    limits: dict[str, Json]
    generation: GenerationOptions
    instructions_digest: str
    tools: dict[str, str]  # name -> digest of its description
    plugins: tuple[Json, ...] = ()


def environment_of(agent: BoundAgent) -> ProcessEnvironment:
    """Return what an agent is now."""
    definition = agent.agent
    plugins: Any = getattr(definition, "plugins", ())
    return ProcessEnvironment(
        agent=agent.name,
        model=agent.model.spec,
        provider_id=agent.model.provider_id,
        protocol=definition.protocol,
        limits=plain(definition.limits),
        generation=definition.generation,
        instructions_digest=stable_hash(definition.instructions or ""),
        tools={name: agent.tools.digest(name) for name in agent.tools.names},
        plugins=tuple(type(plugin).__qualname__ for plugin in plugins),
    )


async def keep_environment(store: AttachmentStore, environment: ProcessEnvironment) -> str:
    """Store an environment and return its reference; the same content is stored once."""
    data = encode_record(environment)
    await store.put(data, AttachmentCreateMeta(media_type="application/json", label=_LABEL))
    return bytes_hash(data)


async def load_environment(store: AttachmentStore, ref: str) -> ProcessEnvironment:
    """Return the environment of a reference.

    Raises:
        LashError: `attachment_not_found`; `stored_data_corrupt`.
    """
    stored = await store.get(ref)
    return decode_record(ProcessEnvironment, stored.data, what=f"environment {ref}")
