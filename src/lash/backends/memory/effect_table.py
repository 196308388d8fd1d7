"""The journal's table: lines by scope, in the order in which the effects were started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from lash.rules.journal import EffectRow
from lash.rules.leases import expires_at
from lash.rules.storable import storable_bytes
from lash.values import (
    EffectClaim,
    EffectIdentity,
    EffectRecord,
    EffectResult,
    EffectState,
    decode_record,
)


class StoredEffect(msgspec.Struct, frozen=True, kw_only=True):
    """One line. Identity and result are kept encoded, so that nobody can change them from outside."""

    number: int
    scope_key: str
    replay_key: str
    identity: bytes
    row: EffectRow
    started_at_ms: int
    result: bytes | None = None
    ended_at_ms: int | None = None
    due_at_ms: int | None = None
    settled_by: str | None = None
    runs: int = 1

    def record(self) -> EffectRecord:
        """Return the line as callers see it."""
        what = f"effect {self.replay_key!r}"
        result = None if self.result is None else decode_record(EffectResult, self.result, what=what)
        return EffectRecord(
            identity=decode_record(EffectIdentity, self.identity, what=what),
            state=EffectState(self.row.state),
            started_at_ms=self.started_at_ms,
            result=result,
            ended_at_ms=self.ended_at_ms,
            due_at_ms=self.due_at_ms,
            settled=self.row.settled,
            settled_by=self.settled_by,
            runs=self.runs,
        )

    def claimed_by(self, claim: EffectClaim) -> StoredEffect:
        """Return the line under a claim."""
        row = msgspec.structs.replace(
            self.row,
            claim_owner_id=claim.owner_id,
            claim_token=claim.claim_token,
            claim_expires_at_ms=claim.expires_at_ms,
        )
        return msgspec.structs.replace(self, row=row)

    def unclaimed(self) -> StoredEffect:
        """Return the line without a claim."""
        row = msgspec.structs.replace(self.row, claim_owner_id=None, claim_token=None, claim_expires_at_ms=0)
        return msgspec.structs.replace(self, row=row)

    def ended(
        self, state: EffectState, result: bytes, now_ms: int, *, settled_by: str | None = None
    ) -> StoredEffect:
        """Return the line with a result, and without a claim."""
        free = self.unclaimed()
        return msgspec.structs.replace(
            free,
            row=msgspec.structs.replace(free.row, state=state),
            result=result,
            ended_at_ms=now_ms,
            settled_by=settled_by,
        )

    def settled(self) -> StoredEffect:
        """Return the line after its turn's commit: its outcome is history now (ruling 7)."""
        record, free = self.record(), self.unclaimed()
        result = None if record.result is None else record.result.replace(outcome=None)
        return msgspec.structs.replace(
            free,
            row=msgspec.structs.replace(free.row, settled=True),
            identity=msgspec.json.encode(record.identity.replace(field_digests={})),
            result=None if result is None else msgspec.json.encode(result),
        )


class EffectTable:
    """All lines of a database."""

    def __init__(self) -> None:
        self._last_number = 0
        self._scopes: dict[str, dict[str, StoredEffect]] = {}

    def find(self, scope_key: str, replay_key: str) -> StoredEffect | None:
        """Return one line."""
        return self._scopes.get(scope_key, {}).get(replay_key)

    def of_scope(self, scope_key: str) -> list[StoredEffect]:
        """Return the lines of a scope, in the order of their start."""
        return list(self._scopes.get(scope_key, {}).values())

    def all_lines(self) -> list[StoredEffect]:
        """Return every line, in the order of their start."""
        return sorted(self._each(), key=lambda line: line.number)

    def started(
        self, identity: EffectIdentity, now_ms: int, *, sleep_ms: int | None = None, offset: int = 0
    ) -> StoredEffect:
        """Return the line of an effect that starts now, the `offset`-th after the next; changes nothing."""
        return StoredEffect(
            number=self._last_number + 1 + offset,
            scope_key=identity.scope.key,
            replay_key=identity.replay_key,
            identity=storable_bytes(identity, what=f"effect {identity.replay_key!r}"),
            row=EffectRow(
                envelope_hash=identity.envelope_hash,
                state=EffectState.STARTED,
                at_most_once=identity.at_most_once,
            ),
            started_at_ms=now_ms,
            due_at_ms=None if sleep_ms is None else expires_at(now_ms, sleep_ms),
        )

    def with_results(
        self, results: Iterable[tuple[EffectIdentity, EffectResult]], now_ms: int
    ) -> dict[tuple[str, str], StoredEffect]:
        """Return the lines that results change or add, by scope and key; changes nothing.

        A line that has a result already, or is settled, keeps what it has.
        """
        lines: dict[tuple[str, str], StoredEffect] = {}
        for identity, result in results:
            key = (identity.scope.key, identity.replay_key)
            known = lines.get(key) or self.find(*key)
            line = known or self.started(identity, now_ms, offset=len(lines))
            if line.result is None and not line.row.settled:
                body = storable_bytes(result, what=f"result of effect {identity.replay_key!r}")
                lines[key] = line.ended(result.state, body, now_ms)
        return lines

    def put(self, *lines: StoredEffect) -> None:
        """Add lines, or replace them by their next state."""
        for line in lines:
            self._last_number = max(self._last_number, line.number)
            self._scopes.setdefault(line.scope_key, {})[line.replay_key] = line

    def remove(self, lines: Iterable[StoredEffect]) -> int:
        """Delete lines; return how many."""
        count = 0
        for line in lines:
            scope = self._scopes[line.scope_key]
            del scope[line.replay_key]
            count += 1
            if not scope:
                del self._scopes[line.scope_key]
        return count

    def _each(self) -> Iterator[StoredEffect]:
        for lines in self._scopes.values():
            yield from lines.values()
