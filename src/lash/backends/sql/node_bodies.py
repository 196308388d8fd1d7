"""What a node's row holds beside its columns: only what they do not say, in short words.

A node's id, its time, and a parent that is the node before it are columns, or are told by the place of the
row. What is left is JSON, most of which is the same few beginnings and ends: each of these phrases is one
control byte. JSON text has none of its own (it escapes them), so nothing can be mistaken, and a phrase that
is added later changes nothing that is stored. Never change or remove one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from lash.rules.exact_json import exact_bytes
from lash.values import CausalRef, SessionNodePayload, SessionNodeRecord, encode_record

_BEGINNINGS = (
    (b"\x01", b'"payload":{"kind":"event","event":{"record":"message","id":"'),
    (b"\x02", b'","role":"user","parts":['),
    (b"\x03", b'","role":"assistant","parts":['),
    (b"\x04", b'","role":"tool","parts":[{"type":"tool_result","call_id":"'),
    (b"\x05", b'{"type":"tool_call","call_id":"'),
    (b"\x06", b'{"type":"text","text":"'),
    (b"\x07", b'","name":"'),
    (b"\x08", b'","content":"'),
    (b"\x0b", b'","args":{'),
    (b"\x0e", b'"payload":{"kind":"plugin","plugin_type":"'),
)
_BEGIN_BYTES = 512  # phrases are looked for in so much of a body
_END, _END_PHRASE = b"\x0f", b'"}]}}}'


class NodeBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is written of a node. The parent is there only where the node begins a run."""

    payload: SessionNodePayload
    timestamp: str | None = None  # only one that the column cannot say
    parent_node_id: str | None = None
    caused_by: CausalRef | None = None
    agent_frame_id: str | None = None

    def stored(self) -> bytes:
        """Return the body as it is stored."""
        text = encode_record(self)[1:]  # the brace comes back with the columns
        start, rest = text[:_BEGIN_BYTES], text[_BEGIN_BYTES:]
        for code, phrase in _BEGINNINGS:
            start = start.replace(phrase, code)
        text = start + rest
        return text.removesuffix(_END_PHRASE) + _END if text.endswith(_END_PHRASE) else text


def timed_body(node: SessionNodeRecord) -> tuple[int | None, NodeBody]:
    """Return the time of a node as its column, and the body without that and without the parent.

    Raises:
        LashError: `json_not_representable`.
    """
    exact_bytes(node, what=f"node {node.node_id!r}")
    at_ms = _milliseconds(node.timestamp)
    return at_ms, NodeBody(
        payload=node.payload,
        timestamp=node.timestamp if at_ms is None else None,
        caused_by=node.caused_by,
        agent_frame_id=node.agent_frame_id,
    )


def node_json(node_id: bytes, at_ms: int | None, parent_id: bytes | None, body: bytes) -> bytes:
    """Return a node as JSON whose phrases are still short; ids are JSON already.

    Raises:
        ValueError: The column holds no time.
    """
    if at_ms is not None and parent_id is not None:
        return b'{"node_id":%b,"timestamp":"%b","parent_node_id":%b,%b' % (
            node_id,
            _timestamp(at_ms),
            parent_id,
            body,
        )
    timestamp = b"" if at_ms is None else b'"timestamp":"%b",' % _timestamp(at_ms)
    parent = b"" if parent_id is None else b'"parent_node_id":%b,' % parent_id
    return b'{"node_id":%b,%b%b%b' % (node_id, timestamp, parent, body)


def spelled_out(text: bytes) -> bytes:
    """Return the JSON of one node, or of many."""
    for code, phrase in (*_BEGINNINGS, (_END, _END_PHRASE)):
        text = text.replace(code, phrase)
    return text


@lru_cache(maxsize=64)  # the nodes of a turn share their time
def _timestamp(at_ms: int) -> bytes:
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, OSError) as problem:
        raise ValueError(f"{at_ms} is no time") from problem
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


@lru_cache(maxsize=64)
def _milliseconds(timestamp: str) -> int | None:
    """Return the time that `_timestamp` says like this, or None if it says none like this."""
    try:
        at_ms = round(datetime.fromisoformat(timestamp).timestamp() * 1000)
        return at_ms if _timestamp(at_ms).decode() == timestamp else None
    except (ValueError, OverflowError, OSError):
        return None  # any text is legal; the body keeps this one
