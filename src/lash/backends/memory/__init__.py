"""Every contract in plain dicts: the backend to read first, and the one that the others are compared with.

Nothing is awaited inside an operation, so each is atomic by construction; each checks everything before it
changes anything, so a refused one leaves no trace.
"""

from lash.backends.memory.artifacts import InMemoryLashlangArtifactStore
from lash.backends.memory.attachments import InMemoryAttachmentStore
from lash.backends.memory.database import InMemorySessionStore, MemoryDatabase
from lash.backends.memory.host_events import InMemoryHostEventStore
from lash.backends.memory.process_registry import InMemoryProcessRegistry

__all__ = [
    "InMemoryAttachmentStore",
    "InMemoryHostEventStore",
    "InMemoryLashlangArtifactStore",
    "InMemoryProcessRegistry",
    "InMemorySessionStore",
    "MemoryDatabase",
]
