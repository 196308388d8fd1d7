"""What every syntax node is: an immutable record that knows where it was written.

Offsets count code points of the source, `end` exclusive; -1 means "not from a source". They take part in
`==`, so compare programs with `without_offsets` on both sides. Nodes are trees: a node never holds itself,
which is why the garbage collector need not look at them.
"""

from __future__ import annotations

import msgspec


class Node(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    gc=False,
    tag_field="node",
    tag="node",
):
    """Anything that has a place in a source text."""

    start: int = -1
    end: int = -1

    @property
    def span(self) -> tuple[int, int]:
        """Offsets `(start, end)`."""
        return (self.start, self.end)
