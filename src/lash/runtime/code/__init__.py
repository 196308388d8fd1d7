"""Code mode: programs of a model, run as part of its turns. `runner.py` has the theory of operation."""

from lash.runtime.code.bound_values import turn_options
from lash.runtime.code.mode import AgentPrograms
from lash.runtime.code.surface import CodeSurface, code_surface
from lash.runtime.code.variables import variable_lines

__all__ = ["AgentPrograms", "CodeSurface", "code_surface", "turn_options", "variable_lines"]
