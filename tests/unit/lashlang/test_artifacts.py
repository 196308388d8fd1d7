"""Modules as stored: what makes two of them the same, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lashlang import (
    LATER,
    ContentHash,
    Execution,
    HostSurface,
    LangError,
    ModuleArtifact,
    ModuleArtifactError,
    ModuleRef,
    ProcessRef,
    RequiredSurfaceRef,
    check,
    compile_program,
    parse,
    placed,
    source_map,
)
from lashlang.hashing import canonical_json, content_hash

GOLDEN = Path(__file__).parents[2] / "data" / "lashlang_refs.json"
SURFACE = HostSurface.from_host(
    {
        "tools": {"echo": {}, "other": {}},
        "surface": "fixture",
        "abilities": ["processes", "sleep", "process_signals", "triggers", "label_annotations"],
    }
)

MODULE = """
type Row = { id: str, n: int }
fn twice(x) { x * 2 }
process work(row: Row, boost: float) -> any {
  total = 0
  for i in range(3) { total = total + twice(i) }
  r = await tools.echo({ id: row.id, total: total })?
  finish { r: r, boost: boost }
}
process other() { finish await start work(row: { id: "x", n: 1 }, boost: 1.5) }
seen = [x for x in [1, 2] if x > 1]
submit seen
"""


def artifact(source: str, surface: HostSurface = SURFACE) -> ModuleArtifact:
    return ModuleArtifact.from_program(check(parse(source), surface))


def refs(source: str) -> tuple[Any, ...]:
    made = artifact(source)
    return made.module_ref, made.required_surface_ref, made.exports


# --- identity ---

SAME = {
    "layout and comments": MODULE.replace("\n", "\n\n  ").replace("total = 0", "total = 0 # start"),
    "let": MODULE.replace("total = 0", "let total = 0"),
    "numbers": MODULE.replace("1.5", "1.50").replace("total = 0", "total = 0.0"),
    "locals of a process": MODULE.replace("total", "sum_").replace("sum_:", "total:"),
    "locals of the foreground": MODULE.replace("seen", "found"),
    "variables of a comprehension": MODULE.replace(
        "[x for x in [1, 2] if x > 1]", "[k for k in [1, 2] if k > 1]"
    ),
    "spelling of the end": MODULE.replace("submit", "finish"),
    "strings": MODULE.replace('"x"', "'x'"),
}

DIFFERENT = {
    "a parameter's name": MODULE.replace("boost", "push_"),
    "a parameter's type": MODULE.replace("boost: float", "boost: int"),
    "a process's name": MODULE.replace("other()", "another()"),
    "a record key": MODULE.replace("{ r: r,", "{ q: r,"),
    "order of keys": MODULE.replace("{ r: r, boost: boost }", "{ boost: boost, r: r }"),
    "order of statements": MODULE.replace("finish { r", "x = 1\n  finish { r"),
    "a type": MODULE.replace("n: int", "n: float"),
    "a function": MODULE.replace("x * 2", "x * 3"),
    "an operation": MODULE.replace("tools.echo", "tools.other"),
    "a label": MODULE.replace("process other", '@label(title: "t")\nprocess other'),
    "the foreground": MODULE.replace("submit seen", "submit [seen]"),
}


@pytest.mark.parametrize("what", SAME)
def test_modules_that_differ_only_in_this_are_the_same(what: str) -> None:
    assert SAME[what] != MODULE
    assert refs(SAME[what]) == refs(MODULE)


@pytest.mark.parametrize("what", DIFFERENT)
def test_modules_that_differ_in_this_are_different(what: str) -> None:
    assert artifact(DIFFERENT[what]).module_ref != artifact(MODULE).module_ref


def test_what_a_host_has_beside_does_not_matter_and_what_is_used_does() -> None:
    more = HostSurface.from_host({"tools": {"echo": {}, "b": {}}, "abilities": ["processes", "sleep"]})
    assert artifact(MODULE, more) == artifact(MODULE)
    assert (
        artifact("submit await tools.echo({})").required_surface_ref
        != artifact("submit 1").required_surface_ref
    )


def test_process_is_named_by_everything_that_it_reaches() -> None:
    before = artifact(MODULE).exports.processes
    after = artifact(MODULE.replace("x * 2", "x * 3")).exports.processes
    assert before["work"].component != after["work"].component
    assert before["other"].component != after["other"].component
    unrelated = artifact(MODULE + "\nprocess third() { finish 1 }").exports.processes
    assert unrelated["work"] == before["work"]
    assert unrelated["third"].pos == 2


def test_refs_are_plain_text_with_their_prefixes() -> None:
    digest = ContentHash("ab" * 32)
    assert (digest, type(digest)) == ("ab" * 32, str)
    assert ModuleRef(digest) == "lashlang:v1:sha256:" + "ab" * 32
    assert RequiredSurfaceRef(digest) == "lashlang-surface:v1:sha256:" + "ab" * 32
    assert ProcessRef(digest, 3).key == "ab" * 32 + ":3"
    assert pickle.loads(pickle.dumps(ModuleRef(digest))) == ModuleRef(digest)
    assert artifact(MODULE).module_ref.startswith("lashlang:v1:sha256:")


def test_refs_are_what_they_were_when_they_were_first_stored() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert {name: [*refs(source)[:2]] for name, source in _golden_sources().items()} == golden


def _golden_sources() -> dict[str, str]:
    return {"module": MODULE, "empty": "", "foreground": "x = 1.5\nsubmit { a: x, b: [null, true, 'é😀'] }"}


CHILD = """
import json, sys
sys.path[:0] = json.loads(sys.argv[2])
from lashlang import ModuleArtifact
print(ModuleArtifact.from_store_bytes(bytes.fromhex(sys.argv[1])).to_store_bytes().hex())
"""


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_store_bytes_are_the_same_in_every_process(seed: str) -> None:
    data = artifact(MODULE).to_store_bytes()
    env = {**os.environ, "PYTHONHASHSEED": seed}
    child = [sys.executable, "-c", CHILD, data.hex(), json.dumps(sys.path)]
    again = subprocess.run(child, capture_output=True, text=True, check=True, env=env)
    assert bytes.fromhex(again.stdout.strip()) == data


# --- the codec ---


def test_artifact_survives_its_bytes_and_equal_modules_have_equal_ones() -> None:
    made = artifact(MODULE)
    data = made.to_store_bytes()
    again = ModuleArtifact.from_store_bytes(data)
    assert again == made
    assert again.to_store_bytes() == data
    assert artifact(SAME["layout and comments"]).to_store_bytes() == data


def test_parsed_program_is_linked_first() -> None:
    source = "process p() { finish 1 }"
    assert ModuleArtifact.from_program(parse(source)).exports == artifact(source).exports


def _code(data: bytes) -> str:
    with pytest.raises(ModuleArtifactError) as caught:
        ModuleArtifact.from_store_bytes(data)
    return caught.value.code


def _changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(artifact(MODULE).to_store_bytes()), **changes}).encode()


def test_bytes_that_are_no_artifact_are_refused() -> None:
    whole = artifact(MODULE).to_store_bytes()
    for data in (b"", b"{}", b"[]", b"null", b"\xff", whole[:-1], b"[" * 100_000, _changed(extra=1)):
        assert _code(data) == "artifact_codec"
    assert (
        _code(_changed(canonical_ir={"node": "program", "items": [{"node": "nonsense"}]})) == "artifact_codec"
    )
    assert _code(_changed(exports=[])) == "artifact_codec"
    assert _code(_changed(format=99)) == "artifact_version"


def test_tampering_is_found_and_named() -> None:
    fields = json.loads(artifact(MODULE).to_store_bytes())
    ghost = {"component": "0", "pos": 0}
    other = json.loads(artifact(DIFFERENT["a function"]).to_store_bytes())
    for field, change in (
        ("module_ref", {"module_ref": other["module_ref"]}),
        ("module_ref", {"canonical_ir": other["canonical_ir"]}),
        ("required_surface_ref", {"required_surface_ref": "lashlang-surface:v1:sha256:" + "0" * 64}),
        ("exports", {"exports": {"processes": {**fields["exports"]["processes"], "ghost": ghost}}}),
    ):
        with pytest.raises(ModuleArtifactError) as caught:
            ModuleArtifact.from_store_bytes(_changed(**change))
        assert (caught.value.code, caught.value.facts["field"]) == ("artifact_hash_mismatch", field)
        assert caught.value.facts["expected"] != caught.value.facts["actual"]


@given(st.data())
def test_changed_bytes_are_refused_or_mean_the_same(data: st.DataObject) -> None:
    whole = bytearray(artifact("process p(a: int) { finish a }").to_store_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = ModuleArtifact.from_store_bytes(bytes(whole))
    except ModuleArtifactError as error:
        code = error.code
    else:
        code = (
            "artifact_same"
            if again.module_ref == artifact("process p(a: int) { finish a }").module_ref
            else "other"
        )
    assert code in ("artifact_codec", "artifact_hash_mismatch", "artifact_version", "artifact_same")


def test_places_and_labels_are_a_side_record_and_never_in_the_bytes() -> None:
    source = '@label(title: "First")\nx = 1\nsubmit x'
    linked = check(parse(source), SURFACE)
    record = source_map(linked)
    assert record.source == source
    assert list(record.labels.values()) == ["First"]
    assert record.module_ref == ModuleArtifact.from_program(linked).module_ref
    data = ModuleArtifact.from_program(linked).to_store_bytes()
    assert b'"start"' not in data
    assert b"submit x" not in data


def test_stored_module_runs_and_with_its_places_its_errors_point_at_them() -> None:
    source = "# a note\nprocess p(n: any) {\n  finish n + []\n}\nsubmit 1"
    linked = check(parse(source), SURFACE)
    stored = ModuleArtifact.from_store_bytes(ModuleArtifact.from_program(linked).to_store_bytes())
    found = []
    for places in (None, source_map(linked)):
        code = compile_program(stored, places=places)
        assert code.code_ref == compile_program(linked).code_ref
        run = Execution(code, "process:p", values={"n": 1})
        assert run.advance(lambda _: LATER) == "error"
        assert run.error is not None
        found.append((run.error.code, run.error.line, run.error.column))
    assert found == [("type_error", None, None), ("type_error", 3, 10)]
    with pytest.raises(ModuleArtifactError) as caught:
        placed(artifact(MODULE), source_map(linked))
    assert caught.value.facts["field"] == "source_map"


# --- canonical JSON ---

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_canonical_bytes_are_those_of_the_standard_library(value: Any) -> None:
    try:
        expected = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return
    assert canonical_json(value) == expected
    assert content_hash(value) == hashlib.sha256(expected).hexdigest()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {"a": {2}}, b"x", object()])
def test_data_without_a_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(LangError) as caught:
        canonical_json(value)
    assert caught.value.code == "not_canonical"
