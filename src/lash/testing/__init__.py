"""What lash gives to tests: theirs who build on it, and its own.

Everything is loaded when it is asked for, so that `import lash.testing` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lash.testing.script_steps import Step
    from lash.testing.scripted import (
        Reply,
        ScriptedModel,
        call,
        garbled_call,
        load_script,
        reply,
        scripted_from_spec,
        steps_taken,
    )

_HOMES = {
    "Reply": "lash.testing.scripted",
    "ScriptedModel": "lash.testing.scripted",
    "Step": "lash.testing.script_steps",
    "call": "lash.testing.scripted",
    "garbled_call": "lash.testing.scripted",
    "load_script": "lash.testing.scripted",
    "reply": "lash.testing.scripted",
    "scripted_from_spec": "lash.testing.scripted",
    "steps_taken": "lash.testing.scripted",
}

__all__ = [
    "Reply",
    "ScriptedModel",
    "Step",
    "call",
    "garbled_call",
    "load_script",
    "reply",
    "scripted_from_spec",
    "steps_taken",
]


def __getattr__(name: str) -> Any:  # a module attribute can be anything
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'lash.testing' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
