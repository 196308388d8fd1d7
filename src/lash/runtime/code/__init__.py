"""Code mode: programs of a model, run as part of its turns. `runner.py` has the theory of operation."""

from lash.runtime.code.computing import advance_apart
from lash.runtime.code.effects_of_programs import Outcome, ProgramEffects, ProgramRequests, request_number
from lash.runtime.code.mode import AgentPrograms
from lash.runtime.code.program_world import ProgramWorld
from lash.runtime.code.saved_programs import frame_key, is_frame_due
from lash.runtime.code.surface import CodeSurface, code_surface
from lash.runtime.code.tool_types import type_of_schema
from lash.runtime.code.variables import variable_lines

__all__ = [
    "AgentPrograms",
    "CodeSurface",
    "Outcome",
    "ProgramEffects",
    "ProgramRequests",
    "ProgramWorld",
    "advance_apart",
    "code_surface",
    "frame_key",
    "is_frame_due",
    "request_number",
    "type_of_schema",
    "variable_lines",
]
