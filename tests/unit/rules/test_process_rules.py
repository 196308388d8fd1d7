"""Selectors, schemas, semantics and identities of processes, where no store is needed to see them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash.errors import LashError
from lash.rules.event_schemas import check_payload, check_schema
from lash.rules.event_semantics import materialised
from lash.rules.process_events import completion_request
from lash.rules.process_projection import projected
from lash.rules.process_registration import registered_record
from lash.rules.selectors import is_truthy, render, select
from lash.rules.triggers import handle_number, subscription_number
from lash.values import (
    AwaitSuccess,
    ExternalInput,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventSemantics,
    ProcessEventSubject,
    ProcessEventType,
    ProcessRegistration,
    RuntimeInvocation,
    RuntimeScope,
    SelectConst,
    SelectPayload,
    SelectPointer,
    SelectPresent,
    SelectTemplate,
)

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
floats = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


def _paths(value: Any, at: str = "") -> list[tuple[str, Any]]:
    found = [(at, value)]
    if isinstance(value, dict):
        for name, member in value.items():
            found += _paths(member, f"{at}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            found += _paths(member, f"{at}/{index}")
    return found


@given(json_values)
def test_every_value_is_found_at_its_pointer(payload: Any) -> None:
    for pointer, value in _paths(payload):
        assert select(SelectPointer(pointer), payload) is value
        assert select(SelectPresent(pointer), payload) is True


@given(json_values, texts)
def test_present_says_whether_the_pointer_resolves(payload: Any, pointer: str) -> None:
    assert select(SelectPresent(pointer), payload) is (pointer in dict(_paths(payload)))


@pytest.mark.parametrize(
    "pointer", ["/a/" + "9" * 5000, "/a/\u0661", "/a/1e0", "/a/+1", "/a/ 1", "/~", "/a~3"]
)
def test_odd_pointers_lead_nowhere(pointer: str) -> None:
    assert select(SelectPresent(pointer), {"a": [0, 1], "~": 1, "a~3": 1}) is False


@given(texts, texts, texts)
def test_template_never_reads_what_it_wrote(before: str, first: str, second: str) -> None:
    fields = {"a": SelectConst(first), "b": SelectConst(second)}
    clean = before.replace("{", "")
    assert select(SelectTemplate(clean + "{a}|{b}{c}", fields), None) == f"{clean}{first}|{second}{{c}}"


def test_template_knows_fields_of_any_name_and_leaves_the_rest() -> None:
    fields = {"": SelectConst("empty"), "a{b": SelectConst("odd"), "n": SelectPointer("/n")}
    assert select(SelectTemplate("{} {a{b} {n} {{n}} {x}", fields), {"n": 7.0}) == "empty odd 7.0 {7.0} {x}"
    assert select(SelectTemplate("{n}", {}), {"n": 1}) == "{n}"


@given(json_values)
def test_text_of_a_value_is_canonical_json_unless_it_is_text(value: Any) -> None:
    if isinstance(value, str):
        assert render(value) == value
    else:
        # `is`-like comparison of what was read back: 1 is not 1.0, and True is not 1.
        assert json.dumps(json.loads(render(value)), sort_keys=True) == json.dumps(
            value, sort_keys=True
        ).replace("-0.0", "0.0")


@pytest.mark.parametrize("value", [None, False, "", [], {}, ()])
def test_nothing_is_false(value: Any) -> None:
    assert not is_truthy(value)


@pytest.mark.parametrize("value", [True, 0, 0.0, -0.0, "0", " ", [None], {"": None}])
def test_everything_else_is_true(value: Any) -> None:
    assert is_truthy(value)


def test_schema_that_reaches_outside_is_refused_without_a_request() -> None:
    for uri in ("http://127.0.0.1:9/schema.json", "file:///etc/hostname", "other.json"):
        with pytest.raises(LashError) as refused:
            check_schema(ProcessEventType(name="t", payload_schema={"$ref": uri}))
        assert refused.value.code == "process_registration_invalid"
        assert uri.rpartition("/")[2] in str(refused.value)


def test_what_is_wrong_with_a_payload_is_told_with_its_place() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    with pytest.raises(LashError) as refused:
        check_payload(ProcessEventType(name="t", payload_schema=schema), {"a": ["x", 1, *range(20)]})
    assert refused.value.code == "process_event_payload_invalid"
    assert refused.value.problems[0] == 'at /a/1: 1 is not of type "string"'
    assert len(refused.value.problems) == 5


def test_schema_library_is_imported_by_the_first_schema_that_says_something() -> None:
    program = """
import sys
from lash.rules.event_schemas import check_payload, check_schema
from lash.values import ProcessEventType
check_schema(ProcessEventType(name="a")); check_payload(ProcessEventType(name="a"), 1)
assert "jsonschema_rs" not in sys.modules
check_schema(ProcessEventType(name="a", payload_schema={"type": "string"}))
assert "jsonschema_rs" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_cancel_request_is_keyed_by_process_and_reason() -> None:
    # The golden vectors of contract A.
    for process_id, reason, digest in (
        ("proc-terminal", "stop", "85a6238fa9840bc3105d1a06ca03df61803080fefa838ab687d36662275be019"),
        ("p", None, "5532b5f3befaa3efc27b125b501ee870e6405e058b099410f23165e543d2a782"),
    ):
        request = ProcessEventAppendRequest.cancel_requested(process_id, reason)
        assert request.replay_key == f"process:{process_id}:cancel_requested:{digest}"
        assert (request.event_type, request.payload) == ("process.cancel_requested", {"reason": reason})


def test_completion_is_an_append_under_a_key_of_its_type() -> None:
    request = completion_request("p", AwaitSuccess(value=1))
    assert (request.event_type, request.payload, request.replay_key) == (
        "process.completed",
        {"await_output": {"type": "success", "value": 1}},
        "process:p:terminal:process.completed",
    )


def test_event_without_semantics_means_nothing() -> None:
    assert materialised(ProcessEventType(name="t"), 1, process_id="p", sequence=1) == ProcessEventSemantics()


def test_record_is_not_projected_over_a_gap() -> None:
    record = registered_record(ProcessRegistration(id="p", input=ExternalInput()), 0)
    for process_id, sequence in (("p", 2), ("p", 0), ("q", 1)):
        event = ProcessEvent(
            process_id=process_id,
            sequence=sequence,
            event_type="t",
            payload=None,
            invocation=RuntimeInvocation(
                scope=RuntimeScope(session_id="s"),
                subject=ProcessEventSubject(process_id=process_id, sequence=sequence, event_type="t"),
            ),
            semantics=ProcessEventSemantics(),
            occurred_at_ms=0,
        )
        with pytest.raises(LashError) as refused:
            projected(record, event)
        assert refused.value.code == "stored_data_corrupt"


def test_registration_hash_is_the_same_for_all_time() -> None:
    """Stored processes are compared with it: a change of the form is a change of every identity."""
    registration = ProcessRegistration(
        id="p", input=ExternalInput(metadata={"a": 1}), event_types=(ProcessEventType(name="t"),)
    )
    core = '"semantics":{"terminal":{"await_output":{"pointer":"/await_output","type":"pointer"},"state":"'
    canonical = (
        '{"event_types":[{"name":"process.cancel_requested"},'
        f'{{"name":"process.cancelled",{core}cancelled"}}}}}},'
        f'{{"name":"process.completed",{core}completed"}}}}}},'
        f'{{"name":"process.failed",{core}failed"}}}}}},'
        '{"name":"t"}],"id":"p","input":{"metadata":{"a":1},"type":"external"},"provenance":{},'
        '"recovery":"externally_owned"}'
    )
    expected = hashlib.sha256(canonical.encode()).hexdigest()
    assert registered_record(registration, 0).registration_hash == expected


@pytest.mark.parametrize(
    "text", ["", "1", "subscription:", "subscription:01", "subscription:-1", "subscription:١"]
)
def test_what_is_no_number_of_a_subscription_is_zero(text: str) -> None:
    assert subscription_number(text) == 0
    assert handle_number(text.replace("subscription", "trigger")) == 0


def test_numbers_of_subscriptions_are_read_from_ids_and_handles() -> None:
    assert (subscription_number("subscription:12"), handle_number("trigger:12")) == (12, 12)
    assert (subscription_number("trigger:12"), handle_number("subscription:12")) == (0, 0)


def test_payload_selector_is_the_payload_itself() -> None:
    payload = {"a": [1]}
    assert select(SelectPayload(), payload) is payload
