"""What a turn's journal tells its programs: which lines are theirs, and which of them have ended."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from lash.runtime.code_turns import CodeTurn
from lash.values import EffectRecord

_LATER_STRETCH = re.compile(r":agent-frame:([0-9]+):")


def own_journal(turn: CodeTurn) -> list[EffectRecord]:
    """Return what is recorded of the turn's stretch in the current frame: numbers begin anew in each frame."""
    own = f"{turn.claimed.lease.session_id}:{turn.turn_id}:{turn.resident.turn_state.turn_index}:"
    return [record for record in turn.claimed.journal if record.identity.replay_key.startswith(own)]


def last_recorded(turn: CodeTurn, own: Sequence[EffectRecord]) -> int:
    """Return the last of the stretch's effects that has a line: what is before it has ended."""
    at = _stretch(turn.claimed.turn_id, turn.turn_id)
    prefix = f"{turn.claimed.lease.session_id}:"
    for record in turn.claimed.journal:
        later = _LATER_STRETCH.match(
            record.identity.replay_key.removeprefix(f"{prefix}{turn.claimed.turn_id}")
        )
        if later is not None and int(later[1]) > at:
            return sys.maxsize  # the turn has gone on in another frame: all of this one has ended
    heads = [record.identity.effect_id.partition(":")[0] for record in own]
    return max((int(head) for head in heads if head.isdigit()), default=0)


def _stretch(root_turn_id: str, turn_id: str) -> int:
    found = _LATER_STRETCH.match(f"{turn_id.removeprefix(root_turn_id)}:")
    return 0 if found is None else int(found[1])
