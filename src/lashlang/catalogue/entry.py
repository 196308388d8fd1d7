"""The form of one catalogue entry."""

from __future__ import annotations

from typing import Literal

import msgspec

Phase = Literal["parse", "link", "warning", "run", "host"]
"""Where a code is raised: reading a program, linking it, a warning about it, running it, or in the
embedding host.
"""


class Explanation(msgspec.Struct, frozen=True):
    """What a code means and how to get rid of it.

    `wrong` is a whole program that raises the code and `right` one that does what was meant; both are empty
    where no program text is to blame. `closed` says that `wrong` is wrong only on a host that offers nothing.
    """

    code: str
    phase: Phase
    title: str
    text: str
    wrong: str = ""
    right: str = ""
    closed: bool = False

    def render(self) -> str:
        """The entry as text for a terminal or a model."""
        parts = [f"{self.code} ({self.phase}): {self.title}", "", self.text]
        if self.wrong:
            parts += ["", "Wrong:", _indented(self.wrong)]
        if self.right:
            parts += ["", "Right:", _indented(self.right)]
        return "\n".join(parts)


def _indented(source: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in source.splitlines())
