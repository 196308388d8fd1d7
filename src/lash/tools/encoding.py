"""The return value of a tool as JSON that the journal can keep exactly.

What JSON has no word for is told apart by what the reader, a model, loses: NaN becomes null and a huge
integer its decimal text, because a tool that has run must not fail over them; raw bytes are refused,
because base64 is never what anybody wanted to read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from lash.errors import LashError
from lash.tools.attachment import Attachment
from lash.values import AttachmentRef, Json, canonical_json

_DEPTH_MAX = 100  # half of what canonical JSON allows: a result is stored inside records
_INT_MIN = -(2**63)
_INT_MAX = 2**64 - 1
_MARK = "\ue000lash-attachment"  # a private-use key that stands for an attachment until it is stored


class EncodedResult:
    """A return value as JSON, with the attachments that still have to be stored.

    Raises:
        LashError: `tool_result_invalid` when there is no JSON for the value.
    """

    __slots__ = ("_value", "attachments")

    def __init__(self, returned: object) -> None:
        self.attachments: list[Attachment] = []
        try:
            self._value = self._encoded(returned, 0)
        except LashError:
            raise
        except Exception as problem:  # iterating or dumping a foreign object runs foreign code
            raise _refused(f"reading it raised {type(problem).__name__}: {problem}") from problem

    def content(self, refs: list[AttachmentRef]) -> Json:
        """Return the JSON, with the stored references in the attachments' places."""
        return _placed(self._value, refs) if refs else self._value

    def _encoded(self, value: Any, depth: int) -> Json:
        if depth > _DEPTH_MAX:
            raise _refused(f"it is nested deeper than {_DEPTH_MAX} levels, or contains itself")
        match value:
            case None | bool():
                return value
            case str():
                return clean_text(value)
            case int():
                whole = int(value)
                return whole if _INT_MIN <= whole <= _INT_MAX else _digits(whole)
            case float():
                return float(value) if math.isfinite(value) else None
            case Attachment():
                self.attachments.append(value)
                return {_MARK: len(self.attachments) - 1}
            case bytes() | bytearray() | memoryview():
                raise _refused(
                    "it holds bytes: return them as text, or as lash.tools.Attachment(data, media_type)"
                )
            case Mapping():
                return {_key(key): self._encoded(item, depth + 1) for key, item in value.items()}
            case list() | tuple():
                return [self._encoded(item, depth + 1) for item in value]
            case set() | frozenset():
                return _in_order([self._encoded(item, depth + 1) for item in value])
            case _:
                return self._encoded_object(value, depth)

    def _encoded_object(self, value: Any, depth: int) -> Json:
        """Encode a Struct, a dataclass, a datetime, an enum, …: msgspec knows them."""
        try:
            builtin = msgspec.to_builtins(
                value,
                str_keys=True,
                order="deterministic",
                builtin_types=(bytes, bytearray, memoryview),  # left as they are, to be refused above
                enc_hook=self._foreign,
            )
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as problem:
            raise _refused(
                f"a {type(value).__name__} has no JSON form ({problem}): "
                "return JSON types, dataclasses or msgspec Structs"
            ) from problem
        return self._encoded(builtin, depth + 1)

    def _foreign(self, value: Any) -> Any:
        match value:
            case Attachment():
                self.attachments.append(value)
                return {_MARK: len(self.attachments) - 1}
            case PurePath():
                return str(value)
            case Mapping():
                return dict(value)
            case _ if hasattr(value, "model_dump"):  # a pydantic model, without importing pydantic
                return value.model_dump(mode="json")
            case _:
                raise TypeError(f"{type(value).__name__} is not supported")


def clean_text(text: str) -> str:
    """Return text without lone surrogates, which UTF-8 cannot carry and undecodable file names have."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return str.__str__(text)  # the plain text of an enum, or of another subclass


def _in_order(items: list[Json]) -> list[Json]:
    """Return what was a set in the same order in every process."""
    try:
        return sorted(items)
    except TypeError:  # of several types
        return sorted(items, key=canonical_json)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return clean_text(key)
    try:
        ((text, _),) = msgspec.to_builtins({key: None}, str_keys=True).items()
    except (TypeError, ValueError, msgspec.MsgspecError) as problem:
        raise _refused(f"the key {key!r} of a mapping cannot be written as text") from problem
    if not isinstance(text, str):
        raise _refused(f"the key {key!r} of a mapping cannot be written as text")
    return clean_text(text)


def _digits(whole: int) -> str:
    try:
        return str(whole)
    except ValueError as problem:  # Python refuses to write out more than 4,300 digits
        raise _refused("it holds an integer of thousands of digits") from problem


def _placed(value: Json, refs: list[AttachmentRef]) -> Json:
    match value:
        case dict():
            if len(value) == 1 and isinstance(index := value.get(_MARK), int):
                return {"attachment": msgspec.to_builtins(refs[index])}
            return {key: _placed(item, refs) for key, item in value.items()}
        case list():
            return [_placed(item, refs) for item in value]
        case _:
            return value


def _refused(why: str) -> LashError:
    return LashError(
        "tool_result_invalid", f"the tool ran, but its result cannot be kept as JSON: {why}", why=why
    )
