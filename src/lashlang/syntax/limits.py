"""How large and how deep a program may be.

The bounds are syntactic, so a program is refused on every machine or on none, whatever the host's own stack
allows. Every walk over a tree may recurse because of them.
"""

from typing import Final

MAX_SOURCE_CHARS: Final = 1_048_576
"""Code points of one program; beyond: `source_too_large`."""

MAX_NESTING: Final = 64
"""Blocks, bracketed expressions, prefix operators, ternary branches and types inside one another, all
counted in one budget; beyond: `nesting_too_deep`."""

MAX_HEIGHT: Final = 64
"""Nodes on a path from the root of an expression to its deepest leaf, which also counts what piles up without
brackets (`a.b.c`, `x?[0]?`); beyond: `nesting_too_deep`."""

MAX_OPERANDS: Final = 2_000
"""Operands and postfix steps of one expression, not counting what stands in brackets inside it (each of
those is an expression with a count of its own); beyond: `expression_too_large`."""

MAX_FINDINGS: Final = 20
"""Errors reported in one run; what follows so many is noise."""
