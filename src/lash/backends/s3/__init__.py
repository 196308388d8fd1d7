"""Attachments in an S3-compatible object store; needs the extra `s3`."""

from lash.backends.s3.store import S3AttachmentStore

__all__ = ["S3AttachmentStore"]
