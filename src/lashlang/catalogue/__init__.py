"""Every code that lashlang can raise, explained: what `lash lang explain CODE` prints.

Invariant: complete. A test reads the package's own source and fails when a code is raised that is not here.
"""

from __future__ import annotations

from typing import Final

from lashlang.catalogue.entry import Explanation, Phase
from lashlang.catalogue.linking import LINKING
from lashlang.catalogue.parsing import PARSING
from lashlang.catalogue.running import HOSTING, RUNNING
from lashlang.catalogue.triggering import TRIGGERING
from lashlang.catalogue.warning import WARNINGS

CATALOGUE: Final[dict[str, Explanation]] = {
    entry.code: entry for entry in (*PARSING, *LINKING, *TRIGGERING, *WARNINGS, *RUNNING, *HOSTING)
}
"""Code to explanation, in the order of the phases."""


def explain(code: str) -> Explanation | None:
    """The explanation of `code`, or None when there is no such code."""
    return CATALOGUE.get(code)


__all__ = ["CATALOGUE", "Explanation", "Phase", "explain"]
