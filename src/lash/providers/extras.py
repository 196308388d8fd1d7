"""What an adapter needs from outside before it can work: its vendor's SDK, and a key.

Both are looked for when the model is resolved, so that a missing one stops the start and not a turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from lash.errors import LashError


def require_extra(module: str, extra: str) -> Any:  # a module
    """Import an optional dependency.

    Raises:
        LashError: `extra_missing`, naming what to install.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as problem:
        if problem.name is None or problem.name.partition(".")[0] != module.partition(".")[0]:
            raise  # the package is there, and broken: its own error says more
        raise LashError(
            "extra_missing",
            f"{module} is not installed; run: pip install lash-runtime[{extra}]",
            extra=extra,
        ) from problem


def require_key(environ: Mapping[str, str], variable: str, model: str) -> str:
    """Return the key that an environment variable holds.

    Raises:
        LashError: `model_key_missing`, naming the variable.
    """
    key = environ.get(variable, "").strip()
    if not key:
        raise LashError(
            "model_key_missing",
            f"{model} needs a key; set the environment variable {variable}",
            variable=variable,
            model=model,
        )
    return key
