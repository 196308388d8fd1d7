"""Attachments, recorded effects, waits and artifacts after a kill: what was told is there, byte for byte."""

from __future__ import annotations

import hashlib
from collections import defaultdict

from lash.contracts import Database
from lash.values import EffectState

from . import records
from .account import Account, by
from .rows import Rows


async def check_evidence(database: Database, rows: Rows, account: Account) -> None:
    """Check what is stored once and read again."""
    await _check_attachments(database, rows, account)
    _check_manifest(rows, account)
    await _check_effects(database, rows, account)
    await _check_waits(database, account)
    await _check_artifacts(database, account)


async def _check_attachments(database: Database, rows: Rows, account: Account) -> None:
    for line in account.news("put"):
        stored = await database.attachment_store.get(line["attachment"])
        assert stored.data == records.attachment(line["token"]), line
        assert stored.meta.label == line["token"]
    present = dict(rows.of("SELECT attachment_id, data FROM attachment"))
    assert set(present) <= {line["attachment"] for line in account.tried("put")}
    for attachment_id, data in present.items():
        assert hashlib.sha256(data).hexdigest() == attachment_id
    described = {one for (one,) in rows.of("SELECT attachment_id FROM attachment_description")}
    assert described == set(present)


def _check_manifest(rows: Rows, account: Account) -> None:
    """The intent comes before the bytes, and the stamp with the commit that names them."""
    manifest = {
        (session_id, attachment_id): committed_at_ms
        for session_id, attachment_id, committed_at_ms in rows.of("""SELECT s.session_id, m.attachment_id,
            m.committed_at_ms FROM attachment_manifest m JOIN session s ON s.sid = m.sid""")
    }
    for line in account.told("intent"):
        assert (line["session"], line["attachment"]) in manifest, line
    intended = {attachment_id for _, attachment_id in manifest}
    assert {one for (one,) in rows.of("SELECT attachment_id FROM attachment")} <= intended
    stamped = {turn_id for (turn_id,) in rows.of("SELECT turn_id FROM stamp")}
    committed: dict[tuple[str, str], bool] = defaultdict(bool)
    for line in account.tried("commit"):
        for attachment_id in line["attachments"]:
            committed[line["session"], attachment_id] |= line["turn"] in stamped
    for key, committed_at_ms in manifest.items():
        assert (committed_at_ms is not None) == committed[key], key


async def _check_effects(database: Database, rows: Rows, account: Account) -> None:
    """One outcome for each key, and an outcome exactly where one was recorded."""
    assert not rows.of("""SELECT e.replay_key FROM effect e LEFT JOIN effect_outcome o
        ON o.effect_seq = e.effect_seq WHERE e.settled = 0 AND (e.state = 'done') <> (o.outcome IS NOT NULL)""")
    told = by(account.told("effect"), "token")
    assert all(len({line["by"] for line in lines}) == 1 for lines in told.values())
    for line in account.news("effect"):
        record = await database.effect_journal.find_effect(records.effect_scope(line["token"]), line["token"])
        assert record is not None, line
        assert record.state is EffectState.DONE
        assert record.result is not None
        assert record.result.outcome == line["by"].encode()
    if account.keeps_claims:
        for line in account.news("effect claim"):
            scope = records.effect_scope(line["token"])
            assert await database.effect_journal.find_effect(scope, line["token"]) is not None, line


async def _check_waits(database: Database, account: Account) -> None:
    for token, lines in by(account.told("wait"), "token").items():
        assert len({line["value"] for line in lines}) == 1, f"wait {token} has two values"
        first = sum(line["first"] for line in lines)
        assert first == 1 if account.is_whole else first <= 1, f"{first} were the first to resolve {token}"
    for line in account.news("wait"):
        resolution = await database.durable_waits.find_wait(line["token"])
        assert resolution is not None, line
        assert resolution.value == line["value"]


async def _check_artifacts(database: Database, account: Account) -> None:
    for ref in {line["ref"] for line in account.news("artifact")}:
        artifact = await database.artifact_store.get_module_artifact(ref)
        assert artifact is not None, f"artifact {ref} is gone"
        assert artifact.module_ref == ref
