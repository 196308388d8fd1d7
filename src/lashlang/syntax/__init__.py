"""Text to tree and back: spans, lexer, parser, syntax tree, printer.

Invariant: nothing here knows a host, a type rule or a value; `lashlang.check` does.
"""

from lashlang.syntax.ast import *  # noqa: F403 - the tree's names are this package's vocabulary
