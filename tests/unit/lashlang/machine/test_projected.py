"""Bindings that stay with the host: read part by part, never written, never in a frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from lashlang import (
    LATER,
    Execution,
    Frame,
    HostError,
    LangError,
    Limits,
    Ok,
    Projected,
    Reading,
    compile_program,
    run,
    surface_of_tools,
)
from lashlang.machine.code import Code
from lashlang.machine.drivers import RunResult
from lashlang.machine.fault import Fault, Halt
from lashlang.machine.interpreter import Interpreter
from lashlang.machine.meter import Meter

SURFACE = surface_of_tools(["echo"])
ROWS = [{"id": n, "name": f"row {n}", "tags": [n, "x" * n]} for n in range(200)]
BOOK = {"title": "Tides", "rows": ROWS, "text": "Ünder the bridge", "none": None}


@dataclass
class Shelf:
    """Content by reference, large parts as references of their own; remembers what was asked."""

    content: dict[str, Any] = field(
        default_factory=lambda: {"book": BOOK, "rows": ROWS, "text": BOOK["text"]}
    )
    asked: list[Reading] = field(default_factory=list)

    def __call__(self, reading: Reading) -> object:
        self.asked.append(reading)
        value = self.content[reading.ref]
        match reading.want:
            case "whole":
                return value
            case "keys":
                return list(value)
            case "field":
                return self._part(reading.key, value.get(reading.key))
            case "item":
                return value[reading.start]
            case "part":
                return value[reading.start : reading.stop]

    def _part(self, name: str, value: Any) -> object:
        if name in self.content:
            return Projected(name, "list" if isinstance(value, list) else "string", len(value))
        return value


BINDINGS = {
    "book": Projected("book", "record", len(BOOK), "a book"),
    "rows": Projected("rows", "list", len(ROWS)),
    "text": Projected("text", "string", len(str(BOOK["text"]))),
}


def ran(source: str, shelf: Shelf | None = None, **options: Any) -> RunResult:
    shelf = shelf or Shelf()
    return run(
        source, lambda e: Ok(e.payload), surface=SURFACE, projected=BINDINGS, resolver=shelf, **options
    )


READS: dict[str, Any] = {
    "rows[3].name": "row 3",
    "rows[-1].id": 199,
    "rows[200]": None,
    'rows["2"].id': 2,
    "len(rows)": 200,
    "empty(rows)": False,
    "len(slice(rows, 5, 8))": 3,
    "slice(rows, 198, null)[1].id": 199,
    "slice(rows, 7, 3)": [],
    "book.title": "Tides",
    'book["title"]': "Tides",
    "book.missing": None,
    "book.rows[2].tags": [2, "xx"],
    "len(book.rows)": 200,
    "keys(book)": ["title", "rows", "text", "none"],
    'contains(book, "rows")': True,
    'contains(book, "x")': False,
    "len(book.text)": 16,
    "text[0]": "Ü",
    "slice(text, 0, 5)": "Ünder",
    "slice(text, 5, 2)": "",
    'text + "!"': "Ünder the bridge!",
    "upper(text)": "ÜNDER THE BRIDGE",
    'text == "Ünder the bridge"': True,
    "[row.id for row in book.rows if row.id < 3]": [0, 1, 2],
    "sum([row.id for row in slice(rows, 0, 4)])": 6,
    "[text, 1]": ["Ünder the bridge", 1],
    "(book.none ?? 7)": 7,
    "text ? 1 : 2": 1,
    "[text for text in [1, 2]]": [1, 2],
    'find(text, "bridge")': 10,
}


@pytest.mark.parametrize("expression", READS)
def test_bindings_read_like_the_values_that_they_stand_for(expression: str) -> None:
    result = ran(f"submit {expression}")
    assert result.error is None
    assert result.value == READS[expression]
    plain = run(
        f"submit {expression}", surface=SURFACE, projected={"book": BOOK, "rows": ROWS, "text": BOOK["text"]}
    )
    assert plain.value == READS[expression]


def test_only_what_is_read_is_asked_for() -> None:
    shelf = Shelf()
    assert ran("submit rows[3].name", shelf).value == "row 3"
    assert shelf.asked == [Reading("rows", "item", start=3)]
    shelf = Shelf()
    ran("for row in rows { if row.id == 70 { break } }", shelf)
    assert [(r.start, r.stop) for r in shelf.asked] == [(0, 64), (64, 128)]
    shelf = Shelf()
    ran("submit [len(rows), len(book), empty(text)]", shelf)
    assert shelf.asked == []


def test_a_binding_larger_than_the_program_may_be_is_read_in_parts_and_not_copied() -> None:
    source = "n = 0\nfor row in rows { n = n + len(row.tags[1]) }\nsubmit n"
    small = Limits(memory_bytes=30_000)
    assert ran(source, limits=small).value == sum(range(200))
    copied = ran("x = rows\nsubmit 1", limits=small)
    assert copied.error is not None
    assert copied.error.code == "memory_exhausted"


@pytest.mark.parametrize(
    "source",
    ["rows = 1", "rows[0] = 1", "book.title = 1", "for rows in [1] { x = rows }", "rows = push(rows, 1)"],
)
def test_bindings_cannot_be_assigned(source: str) -> None:
    result = ran(source)
    assert result.error is not None
    assert result.error.code == "type_error"
    assert "read-only projected binding" in result.error.message


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("submit text.name", "type_error"),
        ("submit rows.name", "type_error"),
        ("for c in text { x = c }", "non_list_iteration"),
        ("for c in book { x = c }", "non_list_iteration"),
        ("submit rows[1.5]", "type_error"),
        ("submit keys(rows)", "type_error"),
    ],
)
def test_wrong_reads_are_coded(source: str, code: str) -> None:
    result = ran(source)
    assert result.error is not None
    assert result.error.code == code
    assert result.error.line == 1


def test_a_resolver_that_is_missing_fails_or_answers_wrongly_is_coded() -> None:
    def fails(reading: Reading) -> object:
        raise HostError("the shelf is closed")

    for resolver, code in (
        (None, "value_error"),
        (fails, "value_error"),
        (lambda _: object(), "invalid_host_value"),
        (lambda _: (n for n in range(3)), "invalid_host_value"),
        (lambda _: BINDINGS["rows"], "value_error"),
    ):
        for source in ("x = rows", "for x in rows { y = x }", "x = [y for y in rows]"):
            result = run(source, projected=BINDINGS, resolver=resolver)
            assert result.error is not None
            assert result.error.code in (code, "invalid_host_value")
    caught = run("submit (try rows[0]).error", projected=BINDINGS, resolver=fails)
    assert caught.value == "the projected value 'rows' cannot be read: the shelf is closed"


LOOP = """
n = 0
first = rows[0].name
for row in rows {
  r = await tools.echo({ i: row.id })?
  n = n + r.i
  if row.id == 80 { break }
}
submit [n, first, book.rows[1].name, len(text)]
"""


def _parked(code: Code, shelf: Shelf) -> tuple[Execution, list[int]]:
    """The loop, turned into bytes at every effect; without bindings, which come back by reference."""
    execution = Execution(code, projected=BINDINGS, resolver=shelf)
    execution.advance(lambda _: LATER)
    sizes = []
    while execution.state == "waiting":
        data = Frame.of(execution).to_bytes(b"key")
        sizes.append(len(data))
        execution = Frame.from_bytes(data, b"key").resume(code, resolver=shelf)
        assert execution.effect is not None
        execution.answer(Ok(execution.effect.payload))
        execution.advance(lambda _: LATER)
    return execution, sizes


def test_a_frame_holds_the_reference_and_goes_on_reading() -> None:
    code = compile_program(LOOP, SURFACE, projected=BINDINGS)
    direct = Execution(code, projected=BINDINGS, resolver=Shelf())
    direct.advance(lambda effect: Ok(effect.payload))
    parked, sizes = _parked(code, Shelf())
    assert direct.value == parked.value == [sum(range(81)), "row 0", "row 1", 16]
    assert direct.meter.fuel_left == parked.meter.fuel_left
    assert direct.meter.mem + direct.meter.m == parked.meter.mem + parked.meter.m
    assert max(sizes) < 800


def test_the_plain_interpreter_reads_alike() -> None:
    for source in (
        *(f"submit {expression}" for expression in READS),
        "for row in rows { n = row.id }\nsubmit n",
    ):
        code = compile_program(source, SURFACE, projected=BINDINGS)
        execution = Execution(code, projected=BINDINGS, resolver=Shelf())
        execution.advance(lambda _: LATER)
        meter = Meter(Limits())
        meter.resolver = Shelf()
        body = code.entry().body
        values = {name: value for name, value in BINDINGS.items() if name in body.variables}
        try:
            how, value = Interpreter(meter, body, {}, lambda *_: None, values).run()
        except (Fault, Halt) as stop:
            how, value = stop.code, None
        told = execution.error.code if execution.error else "finish"
        assert (how, meter.fuel_left) == (told, execution.meter.fuel_left), source
        assert execution.value == value or value != value


def test_another_reference_under_the_same_name_is_refused_when_a_run_goes_on() -> None:
    code = compile_program(LOOP, SURFACE, projected=BINDINGS)
    execution = Execution(code, projected=BINDINGS, resolver=Shelf())
    execution.advance(lambda _: LATER)
    frame = Frame.from_bytes(Frame.of(execution).to_bytes())
    assert frame.resume(code, projected=BINDINGS, resolver=Shelf()).state == "waiting"
    for other in (Projected("rows of today", "list", 200), [1, 2]):
        with pytest.raises(LangError) as refused:
            frame.resume(code, projected={**BINDINGS, "rows": other}, resolver=Shelf())
        assert refused.value.code == "projection_changed"
        assert refused.value.facts["name"] == "rows"


def test_bindings_are_no_globals_and_tools_hand_in_no_references() -> None:
    result = ran("x = rows[0]\ny = text")
    assert set(result.globals) == {"x", "y"}
    assert result.globals["y"] == BOOK["text"]
    code = compile_program("r = await tools.echo({})\nsubmit r.error", SURFACE)
    execution = Execution(code)
    execution.advance(lambda _: Ok(Projected("rows", "list", 3)))
    assert "not plain data" in execution.value


def test_impossible_references_are_refused_when_they_are_made() -> None:
    with pytest.raises(ValueError, match="impossible"):
        Projected("x", "number", 1)  # type: ignore[arg-type]  # what a careless host may say
    with pytest.raises(ValueError, match="impossible"):
        Projected("x", "list", -1)
