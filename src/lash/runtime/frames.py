"""Agent frames: context boundaries inside a session.

Opening a frame changes what the model is shown from then on, and nothing that was committed: the path keeps every
node, each names the frame it belongs to, and a frame's history is its own nodes. A turn that opens a frame goes
on in it and commits once; frame ids follow from (session, turn, what asked for the frame), so that a turn that is
driven again opens the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from lash.errors import LashError
from lash.turn import MessageDraft, TurnConclusion
from lash.values import AgentFrameRecord, Json, Message, TokenUsage, stable_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFrame:
    """A frame that a turn opens: its id, why, and what it begins with."""

    frame_id: str
    reason: str
    seeds: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedLeg:
    """A stretch of a turn inside one frame.

    Attributes:
        frame: The frame that the stretch opened; None for the one that was current.
        conclusion: How it ended.
        model_keys: Replay keys by effect id, under which the ledger counts its model calls.
    """

    frame: OpenedFrame | None
    conclusion: TurnConclusion
    model_keys: dict[int, str]


def derived_frame_id(session_id: str, turn_id: str, asked_by: str) -> str:
    """Return the id of the frame that an effect of a turn opens."""
    return f"{session_id}:frame:{stable_hash((session_id, turn_id, asked_by))[:16]}"


def seed_messages(frame_id: str, drafts: Iterable[MessageDraft]) -> tuple[Message, ...]:
    """Return what a frame begins with, under ids of its own."""
    return tuple(draft.named(f"{frame_id}:seed{at}") for at, draft in enumerate(drafts))


def drafts_of_nodes(nodes: Sequence[Json]) -> tuple[MessageDraft, ...]:
    """Return the messages that a switch directive carries in `initial_nodes`, the plain form of drafts.

    Raises:
        LashError: `agent_frame_seed_invalid`.
    """
    try:
        return msgspec.convert(list(nodes), tuple[MessageDraft, ...])
    except msgspec.ValidationError as problem:
        raise LashError(
            "agent_frame_seed_invalid", f"the seeds of a frame are not the plain form of drafts: {problem}"
        ) from problem


def leg_turn_id(root_turn_id: str, at: int) -> str:
    """Return the id under which a turn's stretch in its `at`-th frame names its messages and effects."""
    return root_turn_id if at == 0 else f"{root_turn_id}:agent-frame:{at}"


def superseded(frames: Sequence[AgentFrameRecord], opened: AgentFrameRecord) -> tuple[AgentFrameRecord, ...]:
    """Return the frames of a session with one more, which is active now."""
    return (*(frame.replace(status="superseded") for frame in frames), opened)


def joined(legs: Sequence[FinishedLeg], turn_id: str) -> TurnConclusion:
    """Return the stretches of a turn as the one turn that its user sees: it ends as the last one does."""
    if len(legs) == 1:
        return legs[0].conclusion.replace(turn_id=turn_id)
    all_ = [leg.conclusion for leg in legs]
    return all_[-1].replace(
        turn_id=turn_id,
        records=tuple(record for one in all_ for record in one.records),
        usage=sum((one.usage for one in all_), TokenUsage()),
        model_usage=tuple(usage for one in all_ for usage in one.model_usage),
        model_calls=sum(one.model_calls for one in all_),
        tool_calls=tuple(call for one in all_ for call in one.tool_calls),
        issues=tuple(issue for one in all_ for issue in one.issues),
        completions=tuple(done for one in all_ for done in one.completions),
    )
