"""From a linked syntax tree to the intermediate form."""

from lashlang.machine.lowering.builder import Scope
from lashlang.machine.lowering.statements import fn_body, main_body, process_body

__all__ = ["Scope", "fn_body", "main_body", "process_body"]
