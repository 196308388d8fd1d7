"""Effect hosts: inline, journaled, recording. They know the journal port and no storage.

Leaf effects are recorded; composite ones (a batch of tool calls, a turn) are driven again and find their
leaves recorded. Nothing here holds a lock or a transaction while an executor runs.
"""

from lash.effects.failures import is_recorded
from lash.effects.identity import effect_identity, field_differences
from lash.effects.inline import InlineEffectHost
from lash.effects.journaled import JournaledEffectHost
from lash.effects.leased import LeasedEffects
from lash.effects.outcomes import decode_outcome, encode_outcome, unknown_outcome
from lash.effects.recording import RecordedEffect, RecordingEffectHost

__all__ = [
    "InlineEffectHost",
    "JournaledEffectHost",
    "LeasedEffects",
    "RecordedEffect",
    "RecordingEffectHost",
    "decode_outcome",
    "effect_identity",
    "encode_outcome",
    "field_differences",
    "is_recorded",
    "unknown_outcome",
]
