"""What a Google-style docstring tells the model: a description of the tool, and of each parameter.

The `Args` section moves into the parameter schemas and `Raises` is for the people who read the code, so
neither is repeated in the tool's description. Everything else is kept as written.
"""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Raises|Returns|Yields|Examples?|Notes?|Attributes):\s*$")
_ARGS = frozenset({"Args", "Arguments", "Parameters"})
_LEFT_OUT = _ARGS | {"Raises"}
_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


def read_docstring(text: str | None) -> tuple[str, dict[str, str]]:
    """Split a docstring.

    Args:
        text: The docstring as Python has it, or None.

    Returns:
        The description (empty when there is none), and the descriptions of parameters by name.
    """
    kept: list[str] = []
    parameters: list[str] = []
    section: str | None = None
    for line in inspect.cleandoc(text or "").splitlines():
        heading = _SECTION.match(line)
        if heading:
            section = heading.group(1)
        elif line and not line[0].isspace():
            section = None  # an unindented line ends the section
        if section in _ARGS and not heading:
            parameters.append(line)
        elif section not in _LEFT_OUT:
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip(), _entries(parameters)


def _entries(lines: list[str]) -> dict[str, str]:
    """Return the `name: text` entries of a section; deeper indented lines continue the entry before."""
    found: dict[str, str] = {}
    current: str | None = None
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    for line in lines:
        if not line.strip():
            continue
        is_entry = len(line) - len(line.lstrip()) == indent
        entry = _ENTRY.match(line.strip()) if is_entry else None
        if entry:
            current = entry.group(1)
            found[current] = entry.group(2).strip()
        elif is_entry:
            current = None
        elif current is not None:
            found[current] = f"{found[current]} {line.strip()}".strip()
    return {name: text for name, text in found.items() if text}
