"""Durable processes at run time: what finds, runs, supervises, starts and steers them.

`ProcessHost` puts a runtime's processes together; `ProcessEngine` is the seam for more kinds of them.
"""

from lash.runtime.processes.awaiting import existing_process, first_output, first_resolved
from lash.runtime.processes.call_processes import CallOrigin, CallProcesses
from lash.runtime.processes.commands import ProcessCommands, signal_request, value_of
from lash.runtime.processes.engine import (
    ProcessEngine,
    ProcessEngines,
    ProcessParked,
    ProcessRun,
    process_event,
)
from lash.runtime.processes.environment import ProcessEnvironment, load_environment
from lash.runtime.processes.host import DEFAULT_GRACE_MS, ProcessHost
from lash.runtime.processes.keys import signal_wait_key, wait_key
from lash.runtime.processes.starting import ProcessStarts, StartPlan
from lash.runtime.processes.subagents import answer_of, say_to_subagent
from lash.runtime.processes.worker import ProcessWorker

__all__ = [
    "DEFAULT_GRACE_MS",
    "CallOrigin",
    "CallProcesses",
    "ProcessCommands",
    "ProcessEngine",
    "ProcessEngines",
    "ProcessEnvironment",
    "ProcessHost",
    "ProcessParked",
    "ProcessRun",
    "ProcessStarts",
    "ProcessWorker",
    "StartPlan",
    "answer_of",
    "existing_process",
    "first_output",
    "first_resolved",
    "load_environment",
    "process_event",
    "say_to_subagent",
    "signal_request",
    "signal_wait_key",
    "value_of",
    "wait_key",
]
