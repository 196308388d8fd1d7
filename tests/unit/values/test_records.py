"""Every record: what is encoded reads back equal, unknown fields are refused, equality is JSON's."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import inspect as shape

import lash.values
from lash.errors import LashError
from lash.values import (
    PluginNode,
    Record,
    RuntimeEffectEnvelope,
    RuntimeInvocation,
    RuntimeScope,
    ToolState,
    command_kind,
    decode_record,
    encode_record,
    plain,
    stable_hash,
)

RECORDS: list[type[Record]] = sorted(
    (
        kind
        for name in lash.values.__all__
        if isinstance(kind := getattr(lash.values, name), type) and issubclass(kind, Record)
    ),
    key=lambda kind: kind.__name__,
)

SEEDS = range(6)


class Maker:
    """Makes a value for whatever msgspec says a field holds; recursive records end after a few levels."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def record(self, cls: type, depth: int = 0) -> Any:
        """Return an instance; optional fields are left out at times, and always deep inside."""
        info = shape.type_info(cls)
        assert isinstance(info, shape.StructType)
        fields = {
            field.name: self.value(field.type, depth + 1)
            for field in info.fields
            if field.required or (depth < 3 and self._random.random() < 0.6)
        }
        if cls is RuntimeEffectEnvelope:  # checks that its parts agree
            kind = command_kind(fields["command"])
            fields["invocation"] = RuntimeInvocation.effect(
                RuntimeScope(session_id="s"), "e1", kind, self._text() + "k"
            )
        return cls(**fields)

    def value(self, kind: shape.Type, depth: int) -> Any:
        match kind:
            case shape.StructType(cls=cls):
                return self.record(cls, depth)
            case shape.UnionType(types=kinds):
                return self.value(self._random.choice(kinds), depth)
            case shape.VarTupleType(item_type=item):
                return tuple(self._several(lambda: self.value(item, depth), depth))
            case shape.ListType(item_type=item):
                return list(self._several(lambda: self.value(item, depth), depth))
            case shape.TupleType(item_types=items):
                return tuple(self.value(item, depth) for item in items)
            case shape.DictType(value_type=value):
                return {self._text(): self.value(value, depth) for _ in range(self._count(depth))}
            case shape.EnumType(cls=cls):
                return self._random.choice(list(cls))
            case shape.LiteralType(values=values):
                return self._random.choice(values)
            case shape.AnyType():
                return self._json(depth)
            case _:
                return self._scalar(kind)

    def _scalar(self, kind: shape.Type) -> Any:
        match kind:
            case shape.IntType(ge=least):
                return self._random.choice([least or 0, 1, 7, 2**53 + 1, 2**63 - 1])
            case shape.FloatType():
                return self._random.choice([0.5, 1.0, 1e300, 5e-324])
            case shape.StrType():
                return self._text()
            case shape.BytesType():
                return self._random.randbytes(self._random.randrange(5))
            case shape.BoolType():
                return self._random.random() < 0.5
            case shape.NoneType():
                return None
        raise AssertionError(f"no value for {kind}")

    def _json(self, depth: int) -> Any:
        scalar = self._random.choice([None, True, 0, 1, 1.0, -3, 2**64 - 1, self._text()])
        if depth > 3 or self._random.random() < 0.5:
            return scalar
        return self._random.choice([[scalar, self._json(depth + 1)], {self._text(): self._json(depth + 1)}])

    def _text(self) -> str:
        return "".join(self._random.choices('ab \x00\x1f"\\/é\u2028😀', k=self._random.randrange(6)))

    def _count(self, depth: int) -> int:
        return self._random.randrange(3) if depth < 4 else 0

    def _several(self, make: Callable[[], Any], depth: int) -> list[Any]:
        return [make() for _ in range(self._count(depth))]


def test_every_record_is_looked_at() -> None:
    assert len(RECORDS) > 150


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_record_reads_back_equal_and_hashes_alike(kind: type[Record]) -> None:
    for seed in SEEDS:
        record = Maker(seed).record(kind)
        encoded = encode_record(record)
        again = decode_record(kind, encoded, what="it")
        assert again == record
        assert encode_record(again) == encoded
        assert stable_hash(again) == stable_hash(record)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_field_that_nobody_knows_is_refused(kind: type[Record]) -> None:
    fields = plain(Maker(1).record(kind)) | {"a_field_of_the_future": 1}
    with pytest.raises(LashError) as problem:
        decode_record(kind, msgspec.json.encode(fields), what="the thing")
    assert problem.value.code == "stored_data_corrupt"
    assert "the thing" in str(problem.value)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_records_are_frozen(kind: type[Record]) -> None:
    assert kind.__struct_config__.frozen


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"text"', b"{}trailing"])
def test_bytes_that_are_no_record_are_corruption(garbage: bytes) -> None:
    with pytest.raises(LashError) as problem:
        decode_record(ToolState, garbage, what="tool state")
    assert problem.value.code == "stored_data_corrupt"


def test_absent_optional_fields_are_not_encoded() -> None:
    assert encode_record(ToolState()) == b"{}"


def test_records_with_json_compare_as_json_does() -> None:
    assert PluginNode(plugin_type="p", body={"a": 1, "b": 2}) == PluginNode(
        plugin_type="p", body={"b": 2, "a": 1}
    )
    bodies: list[Any] = [1, 1.0, True, "1", None, [1], {"1": 1}]
    nodes = {PluginNode(plugin_type="p", body=body) for body in bodies}
    assert len(nodes) == len(bodies)


def test_replace_makes_a_copy() -> None:
    state = ToolState(generation=1)
    assert state.replace(generation=2) == ToolState(generation=2)
    assert state.generation == 1
