"""What is stored in fewer bytes comes back as it was (nodes, digests, replay keys, receipts)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.backends.sql.digests import packed_digest, unpacked_digest
from lash.backends.sql.effect_rows import expanded_key, shortened_key
from lash.backends.sql.node_rows import NodeRow, PreparedNode, decode_node, decode_nodes
from lash.backends.sql.receipts import StoredReceipt, read_receipt, stored_receipt
from lash.errors import LashError
from lash.values import (
    EffectScope,
    EventNode,
    Message,
    PluginNode,
    SessionNodeRecord,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    TurnReceipt,
    derived_node_id,
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
times = st.sampled_from(
    [
        "2026-11-24T10:28:04.915Z",
        "1970-01-01T00:00:00.000Z",
        "2026-11-24T10:28:04Z",
        "2026-11-24T10:28:04.9151Z",
        "2026-11-24T11:28:04.915+01:00",
        "2026-11-24 10:28:04.915Z",
        "soon",
        "",
    ]
)
parts = st.lists(
    st.builds(TextPart, text=texts)
    | st.builds(ToolCallPart, call_id=texts, name=texts, args=st.dictionaries(texts, plain_json, max_size=2))
    | st.builds(ToolResultPart, call_id=texts, name=texts, content=texts),
    max_size=3,
).map(tuple)
payloads = st.builds(
    EventNode,
    event=st.builds(Message, id=texts, role=st.sampled_from(["user", "assistant", "tool"]), parts=parts),
) | st.builds(PluginNode, plugin_type=texts, body=plain_json)
nodes = st.builds(
    SessionNodeRecord,
    node_id=texts,
    payload=payloads,
    timestamp=times | texts,
    parent_node_id=st.none() | texts,
    agent_frame_id=st.none() | texts,
)


def stored(node: SessionNodeRecord, key: int, *, run_seq: int) -> NodeRow:
    prepared = PreparedNode.of(node)
    follows = key & 0xFFFFFFFF > run_seq
    body = prepared.body if follows else prepared.body_with_parent()
    return NodeRow(key, node.node_id, run_seq, 0, prepared.at_ms, body)


@given(nodes)
def test_a_node_comes_back_as_it_was(node: SessionNodeRecord) -> None:
    row = stored(node, 1 << 32 | 5, run_seq=5)
    assert decode_node("s", row, None) == node
    assert decode_nodes("s", [row]) == (node,)


@given(st.lists(nodes, min_size=1, max_size=4))
def test_a_line_of_nodes_comes_back_whole_and_in_part(made: list[SessionNodeRecord]) -> None:
    line = [made[0]]
    for node in made[1:]:
        line.append(node.replace(parent_node_id=line[-1].node_id))
    rows = [stored(node, 1 << 32 | seq, run_seq=1) for seq, node in enumerate(line, start=1)]
    assert decode_nodes("s", rows) == tuple(line)
    assert decode_nodes("s", rows[1:], before=rows[0]) == tuple(line[1:])


def test_a_hidden_node_is_left_out_and_still_a_parent() -> None:
    line = [
        SessionNodeRecord(node_id=name, parent_node_id=parent, timestamp="", payload=PluginNode("t"))
        for name, parent in (("a", None), ("b", "a"), ("c", "b"))
    ]
    rows = [stored(node, 1 << 32 | seq, run_seq=1) for seq, node in enumerate(line, start=1)]
    rows[1] = NodeRow(rows[1].key, "b", 1, 1, rows[1].at_ms, rows[1].body)
    assert decode_nodes("s", rows) == (line[0], line[2])


def test_a_usual_node_takes_few_bytes_beside_its_text() -> None:
    message = Message(id="turn_" + "0" * 32 + ":m4", role="assistant", parts=(TextPart(text="x" * 2048),))
    node = SessionNodeRecord(
        node_id="n", timestamp="2026-11-24T10:28:04.915Z", payload=EventNode(event=message)
    )
    assert len(PreparedNode.of(node).body) <= 2048 + len(message.id) + 8


@given(texts | st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
def test_a_digest_comes_back_as_it_was(digest: str) -> None:
    assert unpacked_digest(packed_digest(digest), table="t", what="w") == digest


def test_a_digest_takes_half_its_digits() -> None:
    assert len(packed_digest("0f" * 32)) == 33


@pytest.mark.parametrize("stored_digest", [b"", b"#", b"#" + b"x" * 31, b"=\xff", b"?" + b"x" * 32])
def test_bytes_that_are_no_digest_are_reported(stored_digest: bytes) -> None:
    with pytest.raises(LashError, match="digest is none") as problem:
        unpacked_digest(stored_digest, table="stamp", what="turn 't'")
    assert problem.value.code == "stored_data_corrupt"


scopes = st.sampled_from(
    [
        EffectScope.turn("s", "t"),
        EffectScope.turn("", ""),
        EffectScope.process("p"),
        EffectScope.queue_drain("s", "d"),
    ]
)


@given(scopes, texts | texts.map("s:t:{}".format), texts | st.just("3:call"), st.booleans())
def test_a_replay_key_comes_back_as_it_was(
    scope: EffectScope, key: str, effect_id: str, ends_so: bool
) -> None:
    key = f"{key}:{effect_id}" if ends_so else key
    assert expanded_key(scope, shortened_key(scope, key, effect_id), effect_id) == key


def test_a_replay_key_is_stored_without_what_is_known() -> None:
    scope = EffectScope.turn("s", "t")
    assert shortened_key(scope, "s:t:249:0:tool_call:3:call_1", "3:call_1") == "*249:0:tool_call"


def test_a_replay_key_that_was_never_stored_is_reported() -> None:
    with pytest.raises(LashError, match="is no replay key"):
        expanded_key(EffectScope.turn("s", "t"), "249:0", "3")


@pytest.mark.parametrize(
    ("revision", "base", "ordinals", "is_short"),
    [(8, 7, [0, 1, 2], True), (8, 7, [0, 2], False), (8, 6, [0, 1], False), (8, 7, [], False)],
)
def test_a_receipt_comes_back_as_it_was(
    revision: int, base: int, ordinals: list[int], is_short: bool
) -> None:
    ids = tuple(derived_node_id("s", base, "turn:t", ordinal) for ordinal in ordinals)
    receipt = TurnReceipt(turn_id="t", head_revision=revision, node_ids=ids, model_calls=2)
    stored_form = stored_receipt(receipt)
    assert (stored_form.tails is not None) == is_short
    assert read_receipt("t", revision, stored_form) == receipt


def test_node_ids_of_another_kind_are_kept_as_they_are() -> None:
    receipt = TurnReceipt(turn_id="t", head_revision=1, node_ids=("a", "b"))
    assert read_receipt("t", 1, stored_receipt(receipt)) == receipt


def test_a_cut_receipt_is_reported() -> None:
    ids = (derived_node_id("s", 0, "turn:t", 0),)
    body, tails = stored_receipt(TurnReceipt(turn_id="t", head_revision=1, node_ids=ids))
    assert tails is not None
    with pytest.raises(LashError) as problem:
        read_receipt("t", 1, StoredReceipt(body, tails[:-1]))
    assert problem.value.code == "stored_data_corrupt"
