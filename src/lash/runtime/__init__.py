"""What drives: turn drivers, tool batches, the worker that finds work and recovers what was cut.

Everything here sees ports, never a backend.
"""

from lash.runtime.activity_bus import ActivityBus, ActivitySubscription
from lash.runtime.approvals import Approvals
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.code_turns import CodeMode, CodeRunner, CodeTurn
from lash.runtime.durability import DurabilityFacet, DurabilityReport, durability_report
from lash.runtime.housekeeping import DEFAULT_RETENTION_MS, Housekeeping
from lash.runtime.ledger import EffectLedger
from lash.runtime.output import OutputShape
from lash.runtime.services import RuntimeServices
from lash.runtime.session_paths import FORKS_MAX, SessionPath, SessionPaths, messages_of
from lash.runtime.turn_course import COMPACTION_OPTION
from lash.runtime.turn_driver import DrivenTurn, ParkedTurn, TurnDriver
from lash.runtime.watching import SessionWatch, WatchCursor
from lash.runtime.worker import Worker

__all__ = [
    "COMPACTION_OPTION",
    "DEFAULT_RETENTION_MS",
    "FORKS_MAX",
    "ActivityBus",
    "ActivitySubscription",
    "Approvals",
    "BoundAgent",
    "CodeMode",
    "CodeRunner",
    "CodeTurn",
    "DrivenTurn",
    "DurabilityFacet",
    "DurabilityReport",
    "EffectLedger",
    "Housekeeping",
    "OutputShape",
    "ParkedTurn",
    "RuntimeServices",
    "SessionAttachments",
    "SessionPath",
    "SessionPaths",
    "SessionWatch",
    "TurnDriver",
    "WatchCursor",
    "Worker",
    "durability_report",
    "messages_of",
]
