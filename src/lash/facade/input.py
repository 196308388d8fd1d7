"""What may be given as the input of a turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from lash.errors import LashError
from lash.runtime import OutputShape
from lash.values import (
    AttachmentItem,
    AttachmentRef,
    Json,
    TextItem,
    TurnInput,
    TurnInputItem,
    canonical_json,
)

InputLike: TypeAlias = str | TurnInput | Sequence[str | AttachmentRef | TurnInputItem]


def turn_input(value: InputLike, *, context: Json = None, output: Any = None) -> TurnInput:
    """Return `value` as a `TurnInput`.

    Args:
        value: Text; or texts and attachment references, in order; or a `TurnInput`.
        context: JSON for the tools, which the model does not see.
        output: The type or schema of a typed answer.

    Raises:
        LashError: `invalid_argument` for anything else, or for no input at all; `json_not_representable`
            for a context that is no JSON; `output_type_invalid`.
    """
    input_ = value if isinstance(value, TurnInput) else TurnInput(items=tuple(_items(value)))
    if not input_.items:
        raise LashError(
            "invalid_argument", "a turn needs some input: a text, or a list of texts and attachments"
        )
    if context is not None:
        canonical_json(context)
        input_ = input_.replace(context=context)
    if output is not None:
        input_ = input_.replace(output=OutputShape.of(output).spec.schema)
    try:
        "".join(item.text for item in input_.items if isinstance(item, TextItem)).encode()
    except UnicodeEncodeError as problem:
        raise LashError("json_not_representable", "the input holds a lone surrogate") from problem
    return input_


def _items(value: Any) -> list[TurnInputItem]:
    if isinstance(value, str):
        return [TextItem(text=value)]
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise LashError("invalid_argument", f"a turn's input cannot be a {type(value).__name__}")
    return [_item(part) for part in value]


def _item(part: Any) -> TurnInputItem:
    match part:
        case str():
            return TextItem(text=part)
        case AttachmentRef():
            return AttachmentItem(ref=part)
        case TextItem() | AttachmentItem():
            return part
    raise LashError("invalid_argument", f"a part of a turn's input cannot be a {type(part).__name__}")
