"""The base of every record, and how records become plain data.

A record is frozen data: no I/O, no clock, equality by content. Fields that are absent and have a
default are left out of the encoded form, so that adding an optional field never changes an old hash
(contract 1, "Notation"). Unknown fields are refused (ruling 11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeAlias, TypeVar

import msgspec

from lash.errors import LashError
from lash.values.canonical import canonical_json

# Any JSON value. A recursive alias would be exact, but msgspec cannot decode into one.
Json: TypeAlias = Any

R = TypeVar("R")


def _is_compound(value: object) -> bool:
    return isinstance(value, msgspec.Struct) or (isinstance(value, tuple) and bool(value))


def _settling(defaults: dict[str, Any], earlier: Callable[[Any], None] | None) -> Callable[[Any], None]:
    def settle(self: Any) -> None:
        for field, default in defaults.items():
            value = getattr(self, field)
            if value is not default and type(value) is type(default) and _parts(value) == _parts(default):
                msgspec.structs.force_setattr(self, field, default)
        if earlier is not None:
            earlier(self)

    return settle


def _parts(value: Any) -> tuple[Any, ...]:
    # Parts of records are settled already, so most comparisons are of identities or of empty tuples.
    return value if isinstance(value, tuple) else msgspec.structs.astuple(value)


class RecordType(msgspec.StructMeta):
    """Makes a field that equals its default *be* its default.

    msgspec leaves a default that is itself a record out of the encoded form only if the field holds that very
    object. Without this, a default that somebody spelled out would have another encoded form, and another
    hash, than one that was left out.
    """

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        defaults = {
            field: value
            for field, value in namespace.items()
            if not field.startswith("__") and _is_compound(value)
        }
        if defaults:
            earlier = namespace.get("__post_init__") or next(
                (base.__post_init__ for base in bases if hasattr(base, "__post_init__")), None
            )
            namespace["__post_init__"] = _settling(defaults, earlier)
        return super().__new__(mcls, name, bases, namespace, **options)


class Record(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, metaclass=RecordType
):
    """Frozen data with structural equality."""

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` applied to the named fields."""
        return msgspec.structs.replace(self, **changes)


class JsonRecord(Record, frozen=True, eq=False):
    """A record that holds JSON values: equal when the canonical bytes are.

    Python says `True == 1 == 1.0`; JSON does not (contract 0.1, "R-1 Python traps"; ruling 37).
    """

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented if not isinstance(other, Record) else False
        return canonical_json(plain(self)) == canonical_json(plain(other))

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)  # msgspec would compare identities
        return NotImplemented if equal is NotImplemented else not equal

    def __hash__(self) -> int:
        return hash(canonical_json(plain(self)))


def plain(value: object) -> Json:
    """Return `value` (a record, or anything made of records) as plain JSON values.

    Raises:
        LashError: `json_not_representable` for an object that is no data, and for endless nesting.
    """
    try:
        return msgspec.to_builtins(value, builtin_types=())
    except RecursionError:
        why = "it is nested too deeply"
    except TypeError as problem:
        why = str(problem)
    raise LashError("json_not_representable", f"the value cannot be kept as JSON: {why}", why=why)


_encoder = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def encode_record(value: object) -> bytes:
    """Return the stored form of a record: compact JSON. Not for hashing; see `stable_hash`.

    Raises:
        LashError: `json_not_representable` for a text that holds a lone surrogate.
    """
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError as problem:
        raise LashError(
            "json_not_representable", "the value cannot be kept as JSON: a string holds a lone surrogate"
        ) from problem


def decode_record(kind: type[R], data: bytes | str, *, what: str) -> R:
    """Decode stored bytes into a `kind`.

    Args:
        kind: The record type, or a union of them.
        data: What `encode_record` gave.
        what: Names the thing in the error, such as `"node n1 of session s1"`.

    Raises:
        LashError: `stored_data_corrupt` when the bytes are not a `kind` (rule R-30).
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(data)  # type: ignore[no-any-return]  # the table is keyed by the type it decodes
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise LashError(
            "stored_data_corrupt",
            f"{what} does not decode: {problem}. Restore it from a backup; nothing was changed.",
            what=what,
        ) from problem
