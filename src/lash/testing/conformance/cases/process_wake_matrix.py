"""How wakes are read from payloads: conditions, selectors, templates, dedupe keys (contract 1.9)."""

from __future__ import annotations

from lash.contracts import ProcessRegistry
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect_equal, refused
from lash.testing.conformance.samples.processes import appends, registration, wake_type, woken
from lash.testing.conformance.trial import Trial
from lash.values import (
    DedupeConst,
    DedupeSelector,
    Json,
    ProcessScope,
    ProcessValueSelector,
    ProcessWakeSpec,
    SelectConst,
    SelectPayload,
    SelectPointer,
    SelectPresent,
    SelectTemplate,
)

ROOT = ProcessScope("root")
INPUT = SelectPointer(pointer="/wake_input")

MATRIX = {
    "matrix.when_false": ProcessWakeSpec(
        when=SelectConst(value=False), input=SelectConst(value="must not wake")
    ),
    "matrix.payload": ProcessWakeSpec(input=SelectPayload()),
    "matrix.const_input": ProcessWakeSpec(input=SelectConst(value="constant wake input")),
    "matrix.template": ProcessWakeSpec(
        input=SelectTemplate(
            template="line {line} #{n}",
            fields={"line": SelectPointer(pointer="/line"), "n": SelectPointer(pointer="/n")},
        )
    ),
    "matrix.selector_dedupe": ProcessWakeSpec(
        input=INPUT, dedupe_key=DedupeSelector(selector=SelectPointer(pointer="/dedupe"))
    ),
    "matrix.const_dedupe": ProcessWakeSpec(input=INPUT, dedupe_key=DedupeConst(value="constant-dedupe")),
}


@case(Contract.PROCESS_REGISTRY, seed=True)
async def wake_semantics_matrix_materializes_declared_wakes(trial: Trial[ProcessRegistry]) -> None:
    """Conditions suppress, selectors and templates render, dedupe keys make equal wake ids."""
    registry, name = trial.subject, "proc-wake-matrix"
    types = [wake_type(event_type, wake) for event_type, wake in MATRIX.items()]
    await registry.register_process(registration(name, *types))
    quiet = await registry.append_event(name, appends("matrix.when_false", {}, wakes=ROOT))
    expect_equal(quiet.wake_delivery, None, "a false condition suppresses the wake")
    payload = await woken(registry, name, appends("matrix.payload", "payload wake", wakes=ROOT))
    expect_equal(payload.input, "payload wake", "the payload as input")
    expect_equal(payload.dedupe_key, "proc-wake-matrix:2", "the event's identity")
    const = await woken(registry, name, appends("matrix.const_input", {}, wakes=ROOT))
    expect_equal(const.input, "constant wake input", "a constant as input")
    fields = {"line": "done", "n": 7}
    template = await woken(registry, name, appends("matrix.template", fields, wakes=ROOT))
    expect_equal(template.input, "line done #7", "a template as input")
    await _expect_dedupe(registry, name)
    wakes = await registry.wake_events_after(name, 0)
    expect_equal([event.sequence for event in wakes], [2, 3, 4, 5, 6, 7, 8], "the events that woke")


async def _expect_dedupe(registry: ProcessRegistry, name: str) -> None:
    by_selector = [
        await woken(
            registry,
            name,
            appends("matrix.selector_dedupe", {"wake_input": text, "dedupe": "group-a"}, wakes=ROOT),
        )
        for text in ("selector one", "selector two")
    ]
    expect_equal(by_selector[0].dedupe_key, "group-a", "the selected dedupe key")
    expect_equal(by_selector[0].wake_id, by_selector[1].wake_id, "wakes of one selected key")
    by_const = [
        await woken(registry, name, appends("matrix.const_dedupe", {"wake_input": text}, wakes=ROOT))
        for text in ("const one", "const two")
    ]
    expect_equal(by_const[0].dedupe_key, "constant-dedupe", "the constant dedupe key")
    expect_equal(by_const[0].wake_id, by_const[1].wake_id, "wakes of one constant key")


async def _input(registry: ProcessRegistry, process_id: str, spec: ProcessWakeSpec, payload: Json) -> str:
    await registry.register_process(registration(process_id, wake_type("wake", spec)))
    return (await woken(registry, process_id, appends("wake", payload, wakes=ROOT))).input


@case(Contract.PROCESS_REGISTRY, rule="R-12")
async def templates_are_replaced_in_one_pass(trial: Trial[ProcessRegistry]) -> None:
    """What a field brings is not looked at again, and unknown placeholders stay."""
    fields: dict[str, ProcessValueSelector] = {
        "a": SelectPointer(pointer="/a"),
        "b": SelectPointer(pointer="/b"),
    }
    spec = ProcessWakeSpec(input=SelectTemplate(template="{b}{a}-{unknown}-{a}", fields=fields))
    rendered = await _input(trial.subject, "p1", spec, {"a": "{b}", "b": "{a}"})
    expect_equal(rendered, "{a}{b}-{unknown}-{b}", "the template")


@case(Contract.PROCESS_REGISTRY)
async def values_render_as_canonical_text(trial: Trial[ProcessRegistry]) -> None:
    """Text stays text; everything else is canonical JSON."""
    values: list[tuple[Json, str]] = [
        ("plain", "plain"),
        (7, "7"),
        (7.0, "7.0"),
        (True, "true"),
        (None, "null"),
        ({"b": 1, "a": [1, "\u00fc"]}, '{"a":[1,"\u00fc"],"b":1}'),
    ]
    for index, (value, text) in enumerate(values):
        rendered = await _input(
            trial.subject, f"p{index}", ProcessWakeSpec(input=INPUT), {"wake_input": value}
        )
        expect_equal(rendered, text, f"how {value!r} is rendered")


@case(Contract.PROCESS_REGISTRY)
async def zero_is_true_and_empty_things_are_false(trial: Trial[ProcessRegistry]) -> None:
    """A condition holds for anything but null, false, and empty text, list or object."""
    spec = ProcessWakeSpec(when=SelectPointer(pointer="/when"), input=SelectConst(value="woken"))
    await trial.subject.register_process(registration("p1", wake_type("wake", spec)))
    cases: list[tuple[Json, bool]] = [
        (0, True),
        (0.0, True),
        (True, True),
        ("x", True),
        ([0], True),
        ({"a": None}, True),
        (False, False),
        (None, False),
        ("", False),
        ([], False),
        ({}, False),
    ]
    for value, wakes in cases:
        result = await trial.subject.append_event("p1", appends("wake", {"when": value}, wakes=ROOT))
        expect_equal(result.wake_delivery is not None, wakes, f"whether {value!r} wakes")


@case(Contract.PROCESS_REGISTRY)
async def pointers_follow_their_standard(trial: Trial[ProcessRegistry]) -> None:
    """Escapes, array indexes and the whole payload; a pointer to nothing is refused."""
    payload = {"a/b": {"m~n": "escaped"}, "list": ["zero", "one"], "": "empty"}
    pointers = [("/a~1b/m~0n", "escaped"), ("/list/1", "one"), ("/", "empty")]
    for index, (pointer, text) in enumerate(pointers):
        spec = ProcessWakeSpec(input=SelectPointer(pointer=pointer))
        expect_equal(await _input(trial.subject, f"p{index}", spec, payload), text, f"the pointer {pointer}")
    for index, pointer in enumerate(("/list/2", "/list/01", "/list/-", "/nothing")):
        spec = ProcessWakeSpec(input=SelectPointer(pointer=pointer))
        await trial.subject.register_process(registration(f"q{index}", wake_type("wake", spec)))
        with refused("process_event_selector_unmatched", f"the pointer {pointer}"):
            await trial.subject.append_event(f"q{index}", appends("wake", payload, wakes=ROOT))


@case(Contract.PROCESS_REGISTRY)
async def a_present_null_is_present(trial: Trial[ProcessRegistry]) -> None:
    """Presence asks whether a pointer resolves, not to what; a quiet wake needs no target."""
    spec = ProcessWakeSpec(when=SelectPresent(pointer="/x"), input=SelectConst(value="woken"))
    await trial.subject.register_process(registration("p1", wake_type("wake", spec)))
    await woken(trial.subject, "p1", appends("wake", {"x": None}, wakes=ROOT))
    quiet = await trial.subject.append_event("p1", appends("wake", {}))
    expect_equal(quiet.wake_delivery, None, "a payload without the member")
