"""Attachments as files: crash-atomic, named by the hash of what they hold, never by what a caller says."""

from lash.backends.files.store import FileAttachmentStore

__all__ = ["FileAttachmentStore"]
