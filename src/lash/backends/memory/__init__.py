"""Every contract in plain dicts: the backend to read first, and the one that the others are compared with.

Nothing is awaited inside an operation, so each is atomic by construction; each checks everything before it
changes anything, so a refused one leaves no trace.
"""

from lash.backends.memory.attachments import InMemoryAttachmentStore
from lash.backends.memory.database import InMemorySessionStore, MemoryDatabase

__all__ = ["InMemoryAttachmentStore", "InMemorySessionStore", "MemoryDatabase"]
