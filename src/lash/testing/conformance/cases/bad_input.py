"""Input that breaks careless stores: 8 MiB at once, 100,000 levels of nesting, ids that look like paths.

8 MiB are kept whole or refused with a code; either leaves no half. Nesting beyond what any decoder stands is
refused as no JSON (R-1), before it reaches the stack of the store. Ids are opaque (R-44): `../x` names nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from lash.contracts import AttachmentStore, Database, HostEventStore, ProcessRegistry, RuntimePersistence
from lash.testing.conformance.case import Contract, Feature, case
from lash.testing.conformance.expectations import expect, expect_equal, refused
from lash.testing.conformance.samples.processes import (
    appends,
    plain_type,
    process,
    registration,
    sequences,
    success,
)
from lash.testing.conformance.samples.queue import draft
from lash.testing.conformance.samples.sessions import FULL, append, commit_of, meta
from lash.testing.conformance.samples.triggers import button_pressed, subscription
from lash.testing.conformance.samples.turns import AGENT, admitted
from lash.testing.conformance.trial import Trial
from lash.values import (
    AttachmentCreateMeta,
    AttachmentIntent,
    ExternalInput,
    Json,
    PluginNode,
    ProcessExternalRef,
    ProcessRegistration,
    SessionNodeRecord,
    TriggerSubscriptionFilter,
    TurnDraft,
    TurnInput,
    TurnInputPayload,
)

BIG = "x" * (8 << 20)
DEPTH = 100_000
NO_JSON = "json_not_representable"
HOSTILE = (
    "../../etc/passwd",
    "..",
    ".",
    "/etc/passwd",
    "~/.ssh/id_rsa",
    "C:\\Windows\\win.ini",
    "file:///etc/passwd",
    "%2e%2e%2fetc%2fpasswd",
    "a\0b",
    "a\nb",
    " ",
    "Ω" * 64,
    "٠" * 64,  # digits, but none of hexadecimal's
    "e" * 4_000,
    "-rf",
    "'; DROP TABLE attachment; --",
)


def _nested() -> Json:
    """Return a value that no stack of a decoder stands."""
    value: Json = None
    for _ in range(DEPTH):
        value = [value]
    return value


def _holding(body: Json) -> SessionNodeRecord:
    return SessionNodeRecord(
        node_id="n", parent_node_id=None, timestamp="", payload=PluginNode(plugin_type="x", body=body)
    )


async def _whole_or_refused(operation: Awaitable[Any], claim: str) -> bool:
    """Whether the operation was accepted; a refusal must have a code."""
    try:
        await operation
    except Exception as error:  # noqa: BLE001  # whatever a store raises is judged here
        expect(
            isinstance(getattr(error, "code", None), str),
            f"{claim}: refused without a code, by {error!r:.200}",
        )
        return False
    return True


async def _nothing_or_refused(reading: Awaitable[object], claim: str) -> None:
    try:
        found = await reading
    except Exception as error:  # noqa: BLE001  # whatever a store raises is judged here
        expect(
            isinstance(getattr(error, "code", None), str), f"{claim}: refused without a code, by {error!r}"
        )
    else:
        expect_equal(found, None, claim)


@case(Contract.PROCESS_REGISTRY, rule="R-7")
async def processes_and_events_of_8_mib_are_kept_whole(trial: Trial[ProcessRegistry]) -> None:
    """A large input, event and output come back as they were, or were refused with a code."""
    registry = trial.subject
    large = ProcessRegistration(id="large", input=ExternalInput(metadata=BIG))
    if await _whole_or_refused(registry.register_process(large), "an input of 8 MiB"):
        expect((await process(registry, "large")).input == large.input, "the input comes back whole")
    await registry.register_process(registration("p", plain_type("t")))
    is_kept = await _whole_or_refused(registry.append_event("p", appends("t", BIG)), "an event of 8 MiB")
    events = await registry.events_after("p", 0)
    expect([event.payload == BIG for event in events] == [True] * is_kept, "the event comes back whole")
    if await _whole_or_refused(registry.complete_process("p", success(BIG)), "an output of 8 MiB"):
        expect((await registry.await_process("p")) == success(BIG), "the output comes back whole")


@case(Contract.PROCESS_REGISTRY, rule="R-1")
async def processes_and_events_nested_too_deep_are_refused(trial: Trial[ProcessRegistry]) -> None:
    """No input, event, reference or output; and what was refused left no trace."""
    registry, nested = trial.subject, _nested()
    await registry.register_process(registration("p", plain_type("t")))
    attempts: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        ("input", lambda: registry.register_process(_external("q", nested))),
        ("event", lambda: registry.append_event("p", appends("t", nested))),
        ("reference", lambda: registry.set_external_ref("p", _reference(nested))),
        ("output", lambda: registry.complete_process("p", success(nested))),
    )
    for what, attempt in attempts:
        with refused(NO_JSON, f"an {what} nested {DEPTH} deep"):
            await attempt()
    expect_equal(await registry.get_process("q"), None, "the process whose input was refused")
    expect_equal(await sequences(registry, "p"), [], "the log after the refusals")


def _external(process_id: str, metadata: Json) -> ProcessRegistration:
    return ProcessRegistration(id=process_id, input=ExternalInput(metadata=metadata))


def _reference(metadata: Json) -> ProcessExternalRef:
    return ProcessExternalRef(backend="b", id="i", metadata=metadata)


@case(Contract.RUNTIME_PERSISTENCE, rule="R-7")
async def nodes_and_work_of_8_mib_are_kept_whole(trial: Trial[RuntimePersistence]) -> None:
    """A large node, batch and meta come back as they were, or were refused with a code."""
    store = trial.subject
    commit = commit_of().replace(graph=append(_holding(BIG)))
    if await _whole_or_refused(store.commit_runtime_state(commit), "a node of 8 MiB"):
        expect(await store.load_node("n") == _holding(BIG), "the node comes back whole")
    is_kept = await _whole_or_refused(store.enqueue_queued_work(draft(BIG)), "work of 8 MiB")
    queued = await store.list_queued_work("root")
    expect(
        [batch.payloads for batch in queued] == [draft(BIG).payloads] * is_kept, "the work comes back whole"
    )
    if await _whole_or_refused(store.save_session_meta(meta(BIG)), "meta of 8 MiB"):
        expect(await store.load_session_meta() == meta(BIG), "the meta comes back whole")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-1")
async def nodes_and_work_nested_too_deep_are_refused(trial: Trial[RuntimePersistence]) -> None:
    """Neither a node nor input; and what was refused left no trace."""
    store, nested = trial.subject, _nested()
    with refused(NO_JSON, f"a node nested {DEPTH} deep"):
        await store.commit_runtime_state(commit_of().replace(graph=append(_holding(nested))))
    given = TurnInputPayload(input=TurnInput.text("x").replace(protocol_turn_options={"nested": nested}))
    with refused(NO_JSON, f"input whose options are nested {DEPTH} deep"):
        await store.enqueue_queued_work(draft("x").replace(payloads=(given,)))
    expect_equal(await store.load_session(FULL), None, "the session after the refusal")
    expect_equal(await store.list_queued_work("root"), [], "the queue after the refusal")


@case(Contract.HOST_EVENT_STORE, rule="R-7")
async def occurrences_of_8_mib_are_kept_whole(trial: Trial[HostEventStore]) -> None:
    """A large payload is part of its identity like any other, or was refused with a code."""
    store = trial.subject
    request = button_pressed("k", "i", payload=BIG)
    if await _whole_or_refused(store.record_occurrence(request), "a payload of 8 MiB"):
        expect((await store.record_occurrence(request)).payload == BIG, "the payload comes back whole")
        with refused("host_event_idempotency_conflict", "a payload that differs in its last character"):
            await store.record_occurrence(button_pressed("k", "i", payload=BIG[:-1] + "y"))


@case(Contract.HOST_EVENT_STORE, rule="R-1")
async def occurrences_nested_too_deep_are_refused(trial: Trial[HostEventStore]) -> None:
    """Neither an occurrence nor a subscription nor a key is made of it."""
    store, nested = trial.subject, _nested()
    with refused(NO_JSON, f"a payload nested {DEPTH} deep"):
        await store.record_occurrence(button_pressed("k", "i", payload=nested))
    with refused(NO_JSON, f"a source nested {DEPTH} deep"):
        await store.register_subscription(subscription("a", "k", "p", source={"nested": nested}))
    with refused(NO_JSON, f"the key of a source nested {DEPTH} deep"):
        await store.source_key_for_subscription("t", nested)
    await store.record_occurrence(button_pressed("k", "i"))
    left = await store.list_subscriptions(TriggerSubscriptionFilter.for_session("a"))
    expect_equal(left, [], "the subscriptions after the refusal")


@case(Contract.DURABLE_WAITS, rule="R-1")
async def values_of_waits_are_whole_or_refused(trial: Trial[Database]) -> None:
    """8 MiB come back as they were, or were refused with a code; deep nesting resolves nothing."""
    waits = trial.subject.durable_waits
    if await _whole_or_refused(waits.resolve_wait("large", BIG), "a value of 8 MiB"):
        found = await waits.find_wait("large")
        expect(found is not None and found.value == BIG, "the value comes back whole")
    with refused(NO_JSON, f"a value nested {DEPTH} deep"):
        await waits.resolve_wait("deep", _nested())
    expect_equal(await waits.find_wait("deep"), None, "the wait after the refusal")


@case(Contract.TURN_INGRESS, rule="R-7", uses=(Contract.SESSION_CATALOG, Contract.RUNTIME_PERSISTENCE))
async def turns_of_8_mib_are_kept_whole(trial: Trial[Database]) -> None:
    """Large input comes back as it was, or was refused with a code and left no trace."""
    await admitted(trial.subject)
    given = TurnInput.text(BIG)
    large = TurnDraft(session_id="root", turn_id="t", input=given, agent=AGENT)
    is_kept = await _whole_or_refused(trial.subject.turn_ingress.accept_turn(large), "a turn of 8 MiB")
    queued = await trial.subject.runtime_persistence("root").list_queued_work("root")
    expect(len(queued) == is_kept, "a turn that was accepted waits, one that was refused does not")
    expect(all(getattr(batch.payloads[0], "input", None) == given for batch in queued), "the input is whole")


@case(Contract.ATTACHMENT_STORE, rule="R-44")
async def hostile_attachment_ids_read_nothing(trial: Trial[AttachmentStore]) -> None:
    """Paths, schemes, controls, other scripts' digits, thousands of characters: nothing is found there."""
    kept = await trial.subject.put(b"precious", AttachmentCreateMeta(media_type="text/plain"))
    for hostile in (*HOSTILE, f"../{kept.id[:2]}/{kept.id}", f"{kept.id[:2]}/{kept.id}", f"{kept.id}.json"):
        with refused("attachment_not_found", f"the id {hostile[:80]!a}"):
            await trial.subject.get(hostile)
    expect((await trial.subject.get(kept.id)).data == b"precious", "what is stored is still there")


@case(Contract.ATTACHMENT_STORE, rule="R-7")
async def attachments_of_8_mib_are_kept_whole(trial: Trial[AttachmentStore]) -> None:
    """Large bytes come back as they were, or were refused with a code."""
    data = BIG.encode()
    large = trial.subject.put(data, AttachmentCreateMeta(media_type="text/plain", label="large"))
    if await _whole_or_refused(large, "an attachment of 8 MiB"):
        from hashlib import sha256

        found = await trial.subject.get(sha256(data).hexdigest())
        expect(found.data == data and found.meta.byte_len == len(data), "the attachment comes back whole")


@case(Contract.RUNTIME_PERSISTENCE, rule="R-44", needs=Feature.PERSISTENT_MANIFEST)
async def hostile_ids_are_names_and_nothing_else(trial: Trial[RuntimePersistence]) -> None:
    """Ids of nodes and manifest rows are compared as they are: each names itself alone, or is refused with
    a code; none names another's.
    """
    store = trial.subject
    kept = []
    for hostile in HOSTILE:
        intent = AttachmentIntent(
            attachment_id=hostile, session_id="root", canonical_uri=f"sha256:{hostile}", intent_at_ms=1
        )
        if await _whole_or_refused(store.record_intent(intent), f"the intent of {hostile[:40]!a}"):
            kept.append(hostile)
        await _nothing_or_refused(store.load_node(hostile), f"the node {hostile[:40]!a}")
    rows = [row.attachment_id for row in await store.list_uncommitted(1)]
    expect_equal(rows, sorted(kept), "the rows, each under its own id")
    for hostile in kept[:1]:
        await store.forget(hostile)
    rows = [row.attachment_id for row in await store.list_uncommitted(1)]
    expect_equal(rows, sorted(kept[1:]), "the rows after one is forgotten")
