"""A default that is spelled out is the default that was left out: same form, same hash, equal."""

from __future__ import annotations

import pytest

from lash.errors import LashError
from lash.values import (
    CORE_EVENT_TYPES,
    EventIdentity,
    ExternalInput,
    Json,
    JsonRecord,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessProvenance,
    ProcessRegistration,
    ProcessScope,
    ProcessWakeSpec,
    Record,
    SelectPayload,
    encode_record,
    plain,
    stable_hash,
)

PAIRS: list[tuple[Record, Record]] = [
    (ProcessProvenance(), ProcessProvenance(owner_scope=ProcessScope("root"))),
    (
        ProcessWakeSpec(input=SelectPayload()),
        ProcessWakeSpec(input=SelectPayload(), dedupe_key=EventIdentity()),
    ),
    (ProcessEventType(name="a"), ProcessEventType(name="a", semantics=ProcessEventSemanticsSpec())),
    (
        ProcessRegistration(id="p", input=ExternalInput()),
        ProcessRegistration(
            id="p",
            input=ExternalInput(),
            event_types=tuple(one.replace(name=one.name) for one in CORE_EVENT_TYPES),
            provenance=ProcessProvenance(owner_scope=ProcessScope("root")),
        ),
    ),
]


@pytest.mark.parametrize(("left_out", "spelled_out"), PAIRS)
def test_spelled_out_default_is_the_default(left_out: Record, spelled_out: Record) -> None:
    assert left_out == spelled_out
    assert plain(left_out) == plain(spelled_out)
    assert encode_record(left_out) == encode_record(spelled_out)
    assert stable_hash(left_out) == stable_hash(spelled_out)


def test_replacing_by_the_default_leaves_it_out() -> None:
    changed = ProcessProvenance(owner_scope=ProcessScope("other"))
    assert "owner_scope" in plain(changed)
    assert plain(changed.replace(owner_scope=ProcessScope("root"))) == {}


class _Inner(Record, frozen=True):
    n: int = 1


class _Outer(JsonRecord, frozen=True, eq=False):
    inner: _Inner = _Inner()
    seen: Json = None

    def __post_init__(self) -> None:
        if self.seen == "bad":
            raise ValueError(self.seen)


class _Further(_Outer, frozen=True, eq=False):
    more: _Inner = _Inner(2)


def test_checks_of_a_record_and_of_its_parents_are_kept() -> None:
    assert plain(_Further(inner=_Inner(1), more=_Inner(2))) == {}
    assert plain(_Further(more=_Inner(1))) == {"more": {}}
    with pytest.raises(ValueError, match="bad"):
        _Further(seen="bad")


def test_what_is_no_data_is_refused_with_a_code() -> None:
    deep: Json = None
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, object()):
        with pytest.raises(LashError) as refused:
            plain([value])
        assert refused.value.code == "json_not_representable"
