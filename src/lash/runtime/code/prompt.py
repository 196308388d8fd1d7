"""The part of the instructions that explains how to work in programs.

It is a function of the agent's definition alone: same tools, same bytes. What changes from step to step
(variables, step, context) is in the status behind the messages, so that this part stays cached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lash.runtime.code.guide import GUIDE, PROCESSES, SLEEP, TRIGGERS
from lash.runtime.code.surface import CodeSurface, Operation
from lash.turn import LANGUAGE_TAGS
from lashlang.syntax import format_type

if TYPE_CHECKING:
    from lash.agents import Binding

_DESCRIPTION_CHARS = 300


def execution_section(surface: CodeSurface, bindings: Mapping[str, Binding]) -> str:
    """Return the section: how to answer, the language, what programs may call, what is bound.

    Args:
        surface: What programs may name.
        bindings: The read-only bindings of every turn of the agent.
    """
    tag = LANGUAGE_TAGS[0]
    parts = [
        "# Working in programs\n\n"
        f"You act by writing programs. An answer holds at most one fenced block, tagged `{tag}`; what you write "
        "before it is read as your reasoning, and everything behind it is ignored. The program runs at once and you "
        f"see what it printed, then you go on.\n\n```{tag}\nprint 1 + 1\n```\n\n"
        "Keep programs small and look before you act: print a slice of what you found, then work with it. Do many "
        "calls in one program where you know what you want. When a program fails, what was assigned before the "
        "failure stays; mend it and go on.",
        f"## The language\n\n{GUIDE}",
    ]
    if "processes" in surface.host.abilities:
        parts.append(PROCESSES)
    elif "sleep" in surface.host.abilities:
        parts.append(SLEEP)
    if "triggers" in surface.host.abilities:
        parts.append(TRIGGERS)
    parts.append("## Operations\n\n" + operations_text(surface))
    parts.append(bindings_text(bindings))
    return "\n\n".join(part for part in parts if part)


def operations_text(surface: CodeSurface) -> str:
    """Return every operation as a typed signature with what it is for."""
    lines = [_signature(one) for one in surface.operations.values()]
    own = {(one.path, one.name) for one in surface.operations.values()}
    for path, module in surface.host.modules.items():
        for name in module.operations:
            if (path, name) not in own:
                typed = surface.host.resource_types[module.resource_type][name]
                lines.append(f"{path}.{name}({format_type(typed.input)}) -> {format_type(typed.output)}")
    sources = [_constructor(surface, name) for name in surface.host.constructors]
    if sources:
        lines += ["", "Constructors:", *sources]
    return "\n".join(lines) if lines else "There are none: compute, and submit what you found."


def _constructor(surface: CodeSurface, name: str) -> str:
    host = surface.host
    line = f"{name}({format_type(host.constructors[name].input)})"
    event = host.trigger_sources.get(name)
    return (
        line if event is None else f"{line}: a source of events {event} {format_type(host.data_types[event])}"
    )


def bindings_text(bindings: Mapping[str, Binding]) -> str:
    """Return the read-only bindings, by type and preview only; the history of the session is always one."""
    lines = [
        "`history`: list; the messages of this session so far, oldest first. Each is "
        "`{ kind, role, content, output }`; `history[N].output[M]` is the whole of what a program printed"
    ]
    lines += [f"`{name}`: {binding.described()}" for name, binding in sorted(bindings.items())]
    return "## Read-only bindings\n\n" + "\n".join(lines)


def _signature(one: Operation) -> str:
    line = f"{one.path}.{one.name}({format_type(one.input_type)}) -> {format_type(one.output_type)}"
    text = _first_lines(one.description)
    return f"{line}\n    {text}" if text else line


def _first_lines(description: str) -> str:
    text = " ".join(_words(description.splitlines()))
    return text if len(text) <= _DESCRIPTION_CHARS else text[:_DESCRIPTION_CHARS].rsplit(" ", 1)[0] + " …"


def _words(lines: Iterable[str]) -> Iterable[str]:
    return (line.strip() for line in lines if line.strip())
