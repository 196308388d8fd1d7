"""The vectors of contracts.md, Appendix A: these bytes are stored, so they never change."""

from __future__ import annotations

from typing import Any

import pytest

from lash.values import (
    HostEventOccurrenceRequest,
    ProcessEventAppendRequest,
    bytes_hash,
    canonical_json,
    deterministic_delivery_process_id,
    stable_hash,
    trigger_source_key,
    wake_id,
)

HASHES: list[tuple[Any, bytes, str]] = [
    (None, b"null", "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"),
    ("lash", b'"lash"', "d6d1bbf708dae2c3693b41240c61b33160eaa7946e4797ba88b4d03f9638233d"),
    ([1, 2, 3], b"[1,2,3]", "a615eeaee21de5179de080de8c3052c8da901138406ba71c38c032845f7d54f4"),
    (1.0, b"1.0", "d0ff5974b6aa52cf562bea5921840c032a860a91a3512f7fe8f768f6bbe005f6"),
    (1e16, b"1e+16", "a144838520595009e7daf5aff8472573f9ce6a4bcd8c30673675618883464ab0"),
    (1e-5, b"1e-05", "5a9530d3c6d5faad6ba8afe16fb8e438df23865128370b2ec14ef622bb5f2ec9"),
    (5e-324, b"5e-324", "c46e7ca1be4c8734f373a56530787288fa2058d73d07855e9247e949f811a42a"),
    (-0.0, b"0.0", "8aed642bf5118b9d3c859bd4be35ecac75b6e873cce34e7b6f554b06f75550d7"),
    (
        {"a": 1, "b": [True, None]},
        b'{"a":1,"b":[true,null]}',
        "1cc69c7fa23616ca2ec3ee70d24390a6225c8832db8a4c814c7e0e7f942f8668",
    ),
    (
        {"b": 1, "a": 2},
        b'{"a":2,"b":1}',
        "d3626ac30a87e6f7a6428233b3c68299976865fa5508e4267c5415c76af7a772",
    ),
]


@pytest.mark.parametrize(("value", "text", "digest"), HASHES, ids=[str(case[0]) for case in HASHES])
def test_canonical_bytes_and_their_hash(value: Any, text: bytes, digest: str) -> None:
    assert canonical_json(value) == text
    assert stable_hash(value) == digest


def test_source_keys_occurrences_and_deliveries() -> None:
    key = "source:ui.button.pressed:sha256:93e835cc58c043e45895883a41ffa460ab70a2372d57b8b6c23920025601c479"
    assert trigger_source_key("ui.button.pressed", {}) == key
    assert trigger_source_key("ui.button.pressed", {"button": "Blue"}) == (
        "source:ui.button.pressed:sha256:554734334199f3716c406581013c58d3f5572377d6257dc8ca22ec09e5259fe4"
    )
    request = HostEventOccurrenceRequest(
        source_type="ui.button.pressed", source_key=key, idempotency_key="button-blue-1"
    )
    occurrence = "host_event:6afdfa6994a29e10641199b3c53f3e9cf8668f0d65da23c95c8ba454769ad4f3"
    assert request.occurrence_id == occurrence
    assert deterministic_delivery_process_id(occurrence, "subscription:1") == (
        "process:host-event:ef18266188cce9988a7fc8549a384ac811cd4f562530919fc5e0680a0312d2b2"
    )


@pytest.mark.parametrize(
    ("scope_id", "dedupe", "digest"),
    [
        ("session:root", "group-a", "47638cea38923830386dd823b3b19b9ddc3dfdf6b2ac798f1be01f2400b61634"),
        (
            "session:root",
            "constant-dedupe",
            "51dc335ff38dc3983b509f481f410868c1305dc00a8be990e1f123898d829e7d",
        ),
        (
            "session:target-session/frame:target-frame",
            "proc-provenance:1",
            "46cb109adef9ba0513a94be3a54c1a0adf5e05fcbbe38b46ba57e14f546b1e00",
        ),
    ],
)
def test_wake_ids(scope_id: str, dedupe: str, digest: str) -> None:
    assert wake_id(scope_id, dedupe) == f"wake:{digest}"


@pytest.mark.parametrize(
    ("process_id", "reason", "digest"),
    [
        ("proc-terminal", "stop", "85a6238fa9840bc3105d1a06ca03df61803080fefa838ab687d36662275be019"),
        ("p", None, "5532b5f3befaa3efc27b125b501ee870e6405e058b099410f23165e543d2a782"),
    ],
)
def test_cancel_request_keys(process_id: str, reason: str | None, digest: str) -> None:
    request = ProcessEventAppendRequest.cancel_requested(process_id, reason)
    assert request.replay_key == f"process:{process_id}:cancel_requested:{digest}"


def test_attachment_id_is_the_hash_of_the_bytes() -> None:
    assert bytes_hash(bytes([1, 2, 3, 4, 5])) == (
        "74f81fe167d99b4cb41d6d0ccda82278caee9f3e2f25d5e5a3936ff3dcec60d0"
    )
