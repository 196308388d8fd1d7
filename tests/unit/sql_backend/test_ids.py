"""Session ids are any text, kept exactly; what is no text is refused everywhere (B-5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from lash.backends.sql import SqliteDatabase
from lash.errors import LashError
from lash.rules.exact_json import exact_bytes
from lash.rules.storable import storable_bytes
from lash.values import ActivePath, EffectScope, FullGraph

from .turns import AGENT, append, drive, identity, note, turn_draft

LEGAL = [
    "x" * 10_000,
    "a/b/../c",
    "🦊 fox",
    " padded ",
    "é",
    "e\u0301",
    "line\nbreak",
    "'; DROP TABLE node; --",
]
ILLEGAL = ["\ud800", "a\0b"]


@pytest.mark.parametrize("session_id", LEGAL)
async def test_a_session_id_is_kept_as_it_is(database: SqliteDatabase, session_id: str) -> None:
    info, created = await database.session_catalog.admit_session(session_id, agent=AGENT)
    assert created
    assert info.session_id == session_id
    await drive(database, session_id, "t")
    read = await database.runtime_persistence(session_id).load_session(ActivePath())
    assert read is not None
    assert read.session_id == session_id
    assert [found.session_id for found in await database.session_catalog.list_sessions()] == [session_id]
    records = await database.effect_journal.load_effects(EffectScope.turn(session_id, "t"))
    assert [record.identity.scope.session_id for record in records] == [session_id] * 3
    assert records[0].identity.replay_key == identity(session_id, "t", 0).replay_key


async def test_composed_and_decomposed_letters_are_two_sessions(database: SqliteDatabase) -> None:
    for session_id in ("é", "e\u0301"):
        await database.session_catalog.admit_session(session_id, agent=AGENT)
    assert len(await database.session_catalog.list_sessions()) == 2


Operation = Callable[[SqliteDatabase, str], Awaitable[object]]
OPERATIONS: list[Operation] = [
    lambda db, text: db.session_catalog.admit_session(text, agent=AGENT),
    lambda db, text: db.session_catalog.admit_session("s", agent=text),
    lambda db, text: db.session_catalog.admit_session("s", agent=AGENT, labels=[text]),
    lambda db, text: db.session_catalog.find_session(text),
    lambda db, text: db.session_catalog.find_head(text),
    lambda db, text: db.session_catalog.delete_session(text),
    lambda db, text: db.session_catalog.list_sessions(search=text),
    lambda db, text: db.turn_ingress.accept_turn(turn_draft(text, "t")),
    lambda db, text: db.turn_ingress.accept_turn(turn_draft("s", text)),
    lambda db, text: db.turn_ingress.find_turn("s", text),
    lambda db, text: db.turn_ingress.request_cancel(text, "t"),
    lambda db, text: db.turn_ingress.claim_turn(text, owner_id="o", agents=[], lease_ttl_ms=1),
    lambda db, text: db.runtime_persistence().commit_runtime_state(append(text, 0, note("a"))),
    lambda db, text: db.runtime_persistence("s").load_node(text),
    lambda db, text: db.runtime_persistence("s").load_path_since(text),
    lambda db, text: db.runtime_persistence("s").tombstone_nodes([text]),
    lambda db, text: db.runtime_persistence("s").list_queued_work(text),
    lambda db, text: db.runtime_persistence("s").forget(text),
    lambda db, text: db.session_leases.claim_session_lease(text, owner_id="o", ttl_ms=1),
    lambda db, text: db.durable_waits.resolve_wait(text, 1),
    lambda db, text: db.effect_journal.find_effects_by_key(text),
    lambda db, text: db.effect_journal.load_effects(EffectScope.process(text)),
    lambda db, text: db.effect_journal.start_effects([identity(text, "t", 1)]),
]


@pytest.mark.parametrize("text", ILLEGAL)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_what_is_no_text_is_refused_and_stores_nothing(
    database: SqliteDatabase, operation: Operation, text: str
) -> None:
    with pytest.raises(LashError) as refused:
        await operation(database, text)
    assert refused.value.code == "invalid_argument"
    assert await database.session_catalog.list_sessions() == []
    assert await database.runtime_persistence().load_session(FullGraph()) is None


@pytest.mark.parametrize("session_id", ["", "  ", "\u2003"])
async def test_a_blank_session_id_is_refused(database: SqliteDatabase, session_id: str) -> None:
    with pytest.raises(LashError) as refused:
        await database.session_catalog.admit_session(session_id, agent=AGENT)
    assert refused.value.code == "invalid_argument"
    with pytest.raises(LashError):
        database.runtime_persistence(session_id)


NOT_JSON = [float("nan"), float("-inf"), 2**64, -(2**63) - 1, {1: 2}, {"a": [{None: 1}]}, "\udfff", object()]


@pytest.mark.parametrize("value", NOT_JSON)
async def test_what_is_no_json_is_refused_whole(database: SqliteDatabase, value: object) -> None:
    store = database.runtime_persistence("s")
    with pytest.raises(LashError) as refused:
        await store.commit_runtime_state(append("s", 0, note("a"), note("b", "a", {"deep": [value]})))
    assert refused.value.code == "json_not_representable"
    assert await store.load_session(ActivePath()) is None


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 1.0, -0.0, 2**64 - 1, -(2**63), 1e300, "é\0", [], {}, [1, [2, {"a": (3,)}]], nested(200)],
)
def test_the_fast_gate_stores_what_the_slow_one_stores(value: object) -> None:
    assert exact_bytes(value, what="it") == storable_bytes(value, what="it")


@pytest.mark.parametrize("value", [*NOT_JSON, nested(201)])
def test_the_fast_gate_refuses_what_the_slow_one_refuses(value: object) -> None:
    with pytest.raises(LashError) as refused:
        exact_bytes(value, what="it")
    assert refused.value.code == "json_not_representable"
