"""What a hook may ask for. Each hook's return type names the few that its phase allows.

Directives are data: they are recorded, so that a turn that is driven again does what was decided before.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from lash.turn import MessageDraft
from lash.values import Json, JsonRecord, Record


class AbortTurn(Record, frozen=True, tag="abort_turn"):
    """End the turn as `plugin_abort`; what it has done so far is committed, with this as its issue."""

    code: str
    message: str


class AddMessages(Record, frozen=True, kw_only=True, tag="add_messages"):
    """Put messages into the turn: of role `user` or `system`.

    Attributes:
        messages: Stored with the turn.
        transient: Shown to the model, stored nowhere.
    """

    messages: tuple[MessageDraft, ...] = ()
    transient: tuple[MessageDraft, ...] = ()

    @classmethod
    def text(cls, text: str, *, role: Literal["user", "system"] = "system") -> AddMessages:
        """Return the directive that adds one text."""
        return cls(messages=(MessageDraft.text(role, text),))


class ReplaceArgs(JsonRecord, frozen=True, tag="replace_args", eq=False):
    """Run the call with these arguments. They are checked like the model's."""

    args: dict[str, Json]


class ShortCircuit(JsonRecord, frozen=True, tag="short_circuit", eq=False):
    """Do not run the call: this is its result."""

    content: Json
    is_error: bool = False


class DenyCall(Record, frozen=True, tag="deny_call"):
    """Do not run the call: the model is told why. Wins over `ShortCircuit`."""

    reason: str


class RequireApproval(Record, frozen=True, tag="require_approval"):
    """A person must agree to the call first; `reason` is shown to them."""

    reason: str = ""


class ReplaceResult(JsonRecord, frozen=True, tag="replace_result", eq=False):
    """What the model reads instead of the call's result. The call has happened all the same."""

    content: Json


class EnqueueTurn(Record, frozen=True, tag="enqueue_turn"):
    """Have the session run another turn after this one."""

    text: str


BeforeTurnDirective: TypeAlias = AddMessages | AbortTurn
CheckpointDirective: TypeAlias = AddMessages | AbortTurn
BeforeToolDirective: TypeAlias = ReplaceArgs | ShortCircuit | DenyCall | RequireApproval | AbortTurn
AfterToolDirective: TypeAlias = ReplaceResult | AddMessages | AbortTurn
AfterTurnDirective: TypeAlias = EnqueueTurn
Directive: TypeAlias = (
    AddMessages
    | AbortTurn
    | ReplaceArgs
    | ShortCircuit
    | DenyCall
    | RequireApproval
    | ReplaceResult
    | EnqueueTurn
)
