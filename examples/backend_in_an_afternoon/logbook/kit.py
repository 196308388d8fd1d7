"""What the conformance kit needs to know: how to make databases that it may throw away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lash.testing.conformance import SiblingFiles


def throwaways(url: str) -> SiblingFiles:
    """Return a template: siblings of the URL's path, removed after each case."""
    from lash.testing.conformance import SiblingFiles

    return SiblingFiles(url)
