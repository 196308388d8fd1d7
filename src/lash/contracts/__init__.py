"""The ports: what the runtime needs of the world, as Protocols. No implementation, no I/O.

The seed's six (`EffectHost`, `ProcessRegistry`, `RuntimePersistence`, `HostEventStore`,
`AttachmentStore`, `LashlangArtifactStore`), the small ones beside them, and `Database`, which hands them
all out over one transaction engine.
"""

from lash.contracts.artifacts import LashlangArtifactStore
from lash.contracts.attachments import AttachmentStore
from lash.contracts.catalog import SessionCatalog
from lash.contracts.database import Database, Subscription
from lash.contracts.effects import (
    EffectBody,
    EffectGate,
    EffectHost,
    EffectParked,
    RuntimeEffectController,
    RuntimeEffectLocalExecutor,
    ScopedEffectController,
)
from lash.contracts.host_events import HostEventStore
from lash.contracts.ingress import SessionLeases, TurnIngress
from lash.contracts.journal import EffectJournal
from lash.contracts.models import Model, ModelCallError, ModelCapabilities, StreamSink
from lash.contracts.persistence import AttachmentManifest, RuntimePersistence
from lash.contracts.processes import ProcessRegistry
from lash.contracts.waits import DurableWaits

__all__ = [
    "AttachmentManifest",
    "AttachmentStore",
    "Database",
    "DurableWaits",
    "EffectBody",
    "EffectGate",
    "EffectHost",
    "EffectJournal",
    "EffectParked",
    "HostEventStore",
    "LashlangArtifactStore",
    "Model",
    "ModelCallError",
    "ModelCapabilities",
    "ProcessRegistry",
    "RuntimeEffectController",
    "RuntimeEffectLocalExecutor",
    "RuntimePersistence",
    "ScopedEffectController",
    "SessionCatalog",
    "SessionLeases",
    "StreamSink",
    "Subscription",
    "TurnIngress",
]
