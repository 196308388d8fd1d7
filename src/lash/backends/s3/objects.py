"""The library that talks to object stores: an optional one, imported when the first store is made."""

from __future__ import annotations

from typing import Any

from lash.errors import LashError


def library() -> Any:  # an optional extra: there is nothing to check against without it
    """Return obstore.

    Raises:
        LashError: `extra_missing`.
    """
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ModuleNotFoundError as problem:
        raise LashError(
            "extra_missing",
            "obstore is not installed, and S3AttachmentStore needs it; run: pip install lash-runtime[s3]",
            extra="s3",
        ) from problem
    return obstore
