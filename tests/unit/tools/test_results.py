"""What a tool returns, as it is stored and as the model sees it."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
from collections import UserDict, namedtuple
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError
from lash.tools import WHOLE_RESULT_LABEL, Attachment, OutputBudget, tool
from lash.tools.encoding import EncodedResult
from lash.values import canonical_json


class Kind(enum.Enum):
    A = "a"


class TextKind(str, enum.Enum):  # noqa: UP042  # the older form, whose str() is not its value
    A = "a"


class Row(msgspec.Struct, rename="camel"):
    row_id: int
    seen: set[str] = set()
    blob: Any = None


@dataclasses.dataclass
class Point:
    x: float
    when: datetime.date | None = None


Pair = namedtuple("Pair", "left right")  # untyped on purpose


class Dumps:
    def model_dump(self, mode: str) -> dict[str, str]:
        return {"mode": mode}


def encoded(value: object) -> Any:
    return EncodedResult(value).content([])


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (None, None),
        ("text", "text"),
        ("", ""),
        (True, True),
        (1.5, 1.5),
        (float("nan"), None),
        (2**63, 2**63),
        (2**70, str(2**70)),
        ((1, [2]), [1, [2]]),
        ({"b": 1, "a": {1: None}}, {"b": 1, "a": {"1": None}}),
        ({100, 20, 3}, [3, 20, 100]),
        (frozenset("hgfedcba"), list("abcdefgh")),
        ({"b", "a", 2, 10, None}, ["a", "b", 10, 2, None]),
        (Kind.A, "a"),
        (TextKind.A, "a"),
        ({Kind.A: 1, TextKind.A.value + "b": 2}, {"a": 1, "ab": 2}),
        (Row(1, {"y", "x"}), {"rowId": 1, "seen": ["x", "y"], "blob": None}),
        ([Point(1.0, datetime.date(2020, 1, 2))], [{"x": 1.0, "when": "2020-01-02"}]),
        (datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), "2020-01-02T00:00:00Z"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
        (Pair(1, 2), [1, 2]),
        (UserDict(a=1), {"a": 1}),
        (Dumps(), {"mode": "json"}),
        ("a\udc80b", "a\ufffd\ufffd\ufffdb"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_become_json(value: object, content: object) -> None:
    assert encoded(value) == content
    assert type(encoded(value)) is type(content)


def cyclic() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


class Hostile(dict[str, int]):
    def items(self) -> Any:
        raise KeyError("gotcha")


@pytest.mark.parametrize(
    "value",
    [
        b"raw",
        {"x": bytearray(b"raw")},
        Row(1, blob=b"raw"),
        object(),
        iter([1]),
        cyclic(),
        {(1, 2): 3},
        Hostile(),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_has_no_json_is_a_clear_failure(call: Any, value: object) -> None:
    @tool
    def f() -> Any:
        return value

    result = await call(f)
    assert result.error.code == "tool_result_invalid"
    assert "the tool ran" in result.content


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner),
    )
)
def test_whatever_is_encoded_can_be_stored_exactly(value: object) -> None:
    content = encoded(value)
    assert json.loads(canonical_json(content)) == content


async def test_an_attachment_is_stored_and_referenced_where_it_stands(call: Any) -> None:
    @tool
    def f() -> dict[str, Any]:
        return {"plots": [Attachment(b"png", "image/png", "a"), Row(1, blob=Attachment(b"x"))], "n": 2}

    result = await call(f)
    first, second = result.attachments
    assert (first.media_type, first.label, first.byte_len) == ("image/png", "a", 3)
    assert result.content["n"] == 2
    assert result.content["plots"][0]["attachment"]["id"] == first.id
    assert result.content["plots"][1]["blob"]["attachment"]["id"] == second.id
    assert (await call.store.get(first.id)).data == b"png"


async def test_a_lone_attachment_is_a_result(call: Any) -> None:
    @tool
    def f() -> Attachment:
        return Attachment(b"", "text/plain")

    result = await call(f)
    assert result.content["attachment"]["byte_len"] == 0
    assert (await call(f, attachments=None)).error.code == "tool_result_invalid"


async def test_an_attachment_holds_bytes_and_nothing_else(call: Any) -> None:
    @tool
    def f() -> Attachment:
        return Attachment("text")  # type: ignore[arg-type]

    assert (await call(f)).error.code == "attachment_invalid"


async def test_ten_megabytes_are_cut_for_the_model_and_kept_whole(call: Any) -> None:
    text = "".join(f"line {n:06}\n" for n in range(900_000))
    assert len(text) > 10_000_000

    @tool
    def f() -> str:
        return text

    result = await call(f)
    assert result.error is None
    assert len(result.content.encode()) <= 16 * 1024
    lines = result.content.split("\n")
    assert len(lines) <= 400
    assert lines[0] == "line 000000"
    assert lines[-2] == "line 899999"
    (ref,) = result.attachments
    assert ref.label == WHOLE_RESULT_LABEL
    (marker,) = [line for line in lines if line.startswith("[…")]
    assert ref.id in marker
    assert f"of {len(text):,} bytes" in marker
    assert (await call.store.get(ref.id)).data == text.encode()


async def test_without_a_store_the_marker_names_no_attachment(call: Any) -> None:
    @tool
    def f() -> str:
        return "x" * 100_000

    result = await call(f, attachments=None)
    assert result.attachments == ()
    assert "attachment" not in result.content
    assert "left out here" in result.content


async def test_a_long_structure_is_cut_as_text_and_kept_as_json(call: Any) -> None:
    @tool
    def f() -> list[int]:
        return list(range(100_000))

    result = await call(f)
    assert result.content.startswith("[0,1,2,")
    assert result.content.endswith(",99999]")
    (ref,) = result.attachments
    assert ref.media_type == "application/json"
    assert json.loads((await call.store.get(ref.id)).data) == list(range(100_000))


async def test_a_result_that_fits_is_not_touched(call: Any) -> None:
    text = "\n".join("x" * 40 for _ in range(399))

    @tool
    def f() -> str:
        return text

    assert (await call(f)).content == text


async def test_a_result_beyond_keeping_is_refused(call: Any) -> None:
    @tool
    def text() -> str:
        return "x" * 20_001

    @tool
    def attachment() -> Attachment:
        return Attachment(bytes(20_001))

    budget = OutputBudget(limit_bytes=1024, refuse_bytes=20_000)
    for one in (text, attachment):
        result = await call(one, budget=budget)
        assert result.error.code == "tool_result_too_large"
        assert result.error.facts["size_bytes"] >= 20_001


def test_a_budget_without_room_for_the_marker_is_refused() -> None:
    for limits in ({"limit_bytes": 100}, {"limit_lines": 2}):
        with pytest.raises(LashError) as caught:
            OutputBudget(**limits)
        assert caught.value.code == "output_budget_invalid"


texts = st.lists(st.text(st.sampled_from("ab\n\r é🦀\u2028"), max_size=300), max_size=40).map(
    "".join
) | st.builds(
    lambda line, times: line * times,
    st.text(st.sampled_from("aé🦀\n"), min_size=1, max_size=50),
    st.integers(1, 3000),
)


@given(texts, st.integers(1024, 4096), st.integers(8, 60))
def test_a_cut_keeps_both_ends_and_stays_within_the_budget(
    text: str, limit_bytes: int, limit_lines: int
) -> None:
    budget = OutputBudget(limit_bytes=limit_bytes, limit_lines=limit_lines)
    data = text.encode()
    whole = budget.rendered(text)
    if whole is None:
        assert len(data) <= limit_bytes
        assert text.count("\n") + 1 <= limit_lines
        return
    cut = budget.cut(whole, kept_as="f" * 64)
    assert len(cut.encode()) <= limit_bytes
    assert cut.count("\n") + 1 <= limit_lines
    head, _, rest = cut.partition("\n[… ")
    marker, _, tail = rest.partition(" …]\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    missing = int(marker.split(" ", 1)[0].replace(",", ""))
    # At most the two line ends at the borders are counted neither as shown nor as missing.
    assert 0 <= len(data) - missing - len(head.encode()) - len(tail.encode()) <= 2
