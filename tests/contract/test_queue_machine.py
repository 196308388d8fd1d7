"""Random histories of the queue, compared step by step with the model of this folder (ruling 26)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from lash.contracts import RuntimePersistence
from lash.errors import LashError
from lash.values import (
    DeliveryPolicy,
    MergeGroup,
    MergeKey,
    MergePayloadDefault,
    NeverMerge,
    QueuedWorkClaim,
    SlotPolicy,
)

from .conftest import Backend, backend_kinds
from .queue_model import ModelQueue, ModelRow
from .samples import CHECKPOINT, IDLE, commit, draft, ids

DELIVERY = {
    "early": DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
    "late": DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
}
SLOT = {"join": SlotPolicy.JOIN, "exclusive": SlotPolicy.EXCLUSIVE}
MERGE: dict[str, MergeKey] = {
    "never": NeverMerge(),
    "default": MergePayloadDefault(),
    "group:a": MergeGroup(name="a"),
}
BOUNDARY = {"idle": IDLE, "checkpoint": CHECKPOINT}

sessions = st.sampled_from(["a", "b"])
ttls = st.sampled_from([0, 1, 5, 50])
limits = st.integers(0, 4)
handles = st.integers(0, 1)


class QueueMachine(RuleBasedStateMachine):
    """Two handles on one backend, one model."""

    kind = "memory"
    place: Callable[[Path], str]
    claims: Bundle[QueuedWorkClaim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self._run(self._open())
        self.model = ModelQueue(now_ms=self.backend.clock.now_ms())
        self.revisions = {"a": 0, "b": 0}

    async def _open(self) -> None:
        self.backend = Backend(self.kind, self.place(Path(self._folder.name)))
        await self.backend.open(self.backend.db)
        self._databases = [self.backend.db, await self.backend.another_handle()]
        self._stores: list[RuntimePersistence] = [db.runtime_persistence() for db in self._databases]

    def teardown(self) -> None:
        self._run(self.backend.close())
        self._runner.close()
        self._folder.cleanup()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def _attempt(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what the work gives, or the code that it is refused with."""
        try:
            return self._run(work)
        except LashError as problem:
            return problem.code

    @initialize()
    def start(self) -> None:
        assert self._run(self._stores[0].list_queued_work("a")) == []

    @rule(
        handle=handles,
        session_id=sessions,
        delivery=st.sampled_from(["early", "early", "late"]),
        slot=st.sampled_from(["join", "join", "exclusive"]),
        merge=st.sampled_from(["default", "default", "group:a", "never"]),
        delay_ms=st.sampled_from([0, 0, 0, 3, 30]),
        source_key=st.sampled_from([None, None, "k1", "k2"]),
    )
    def enqueue(
        self,
        handle: int,
        session_id: str,
        delivery: str,
        slot: str,
        merge: str,
        delay_ms: int,
        source_key: str | None,
    ) -> None:
        available_at_ms = self.model.now_ms + delay_ms
        known = self.model.find_key(session_id, source_key)
        batch = self._run(
            self._stores[handle].enqueue_queued_work(
                draft(
                    session_id=session_id,
                    delivery=DELIVERY[delivery],
                    slot=SLOT[slot],
                    merge=MERGE[merge],
                    source_key=source_key,
                    available_at_ms=available_at_ms,
                )
            )
        )
        if known is not None:
            assert batch.batch_id == known.batch_id
            return
        assert batch.batch_id not in {row.batch_id for row in self.model.rows}
        self.model.rows.append(
            ModelRow(batch.batch_id, session_id, delivery, slot, merge, available_at_ms, source_key)
        )

    @rule(
        target=claims,
        handle=handles,
        session_id=sessions,
        boundary=st.sampled_from(["idle", "checkpoint", "running"]),
        ttl_ms=ttls,
        limit=limits,
    )
    def claim(self, handle: int, session_id: str, boundary: str, ttl_ms: int, limit: int) -> Any:
        store = self._stores[handle]
        if boundary == "running":
            claim = self._run(store.claim_for_running_turn(session_id, "w", ttl_ms, limit))
        else:
            claim = self._run(
                store.claim_ready_queued_work(session_id, "w", BOUNDARY[boundary], ttl_ms, limit)
            )
        return self._check_claim(claim, self.model.next_group(session_id, boundary, limit), ttl_ms)

    @rule(
        target=claims,
        handle=handles,
        session_id=sessions,
        boundary=st.sampled_from(["idle", "checkpoint"]),
        ttl_ms=ttls,
        data=st.data(),
    )
    def claim_exactly(
        self, handle: int, session_id: str, boundary: str, ttl_ms: int, data: st.DataObject
    ) -> Any:
        likely = [row.batch_id for row in self.model.next_group(session_id, boundary, 3)]
        anything = [row.batch_id for row in self.model.rows] + ["nobody"]
        asked = data.draw(
            st.one_of(
                st.just(likely),
                st.integers(0, 3).map(lambda count: likely[:count]),
                st.lists(st.sampled_from(anything), max_size=3),
            )
        )
        claim = self._run(
            self._stores[handle].claim_ready_queued_work_by_batch_ids(
                session_id, "w", BOUNDARY[boundary], ttl_ms, asked
            )
        )
        group = self.model.next_group(session_id, boundary, len(asked))
        exact = group if [row.batch_id for row in group] == asked else []
        return self._check_claim(claim, exact, ttl_ms)

    @rule(handle=handles, claim=claims, ttl_ms=ttls)
    def renew(self, handle: int, claim: QueuedWorkClaim, ttl_ms: int) -> None:
        held = self.model.held((claim.claim_id, claim.lease_token))
        is_whole = len(held) == len(claim.batches)
        renewed = self._attempt(self._stores[handle].renew_queued_work_claim(claim, ttl_ms))
        if not is_whole:
            assert renewed == "queue_claim_expired"
            return
        assert renewed == claim.replace(expires_at_ms=self.model.now_ms + ttl_ms)
        for row in held:
            row.expires_at_ms = self.model.now_ms + ttl_ms

    @rule(handle=handles, claim=claims)
    def abandon(self, handle: int, claim: QueuedWorkClaim) -> None:
        self._run(self._stores[handle].abandon_queued_work_claim(claim))
        for row in self.model.held((claim.claim_id, claim.lease_token)):
            row.claim = None

    @rule(handle=handles, claim=consumes(claims), forge=st.sampled_from([None, None, "token", "fewer"]))
    def complete(self, handle: int, claim: QueuedWorkClaim, forge: str | None) -> None:
        completion = claim.completion()
        if forge == "token":
            completion = completion.replace(lease_token="forged")
        if forge == "fewer":
            completion = completion.replace(batch_ids=completion.batch_ids[1:])
        held = self.model.held((completion.claim_id, completion.lease_token))
        is_exact = sorted(completion.batch_ids) == sorted(row.batch_id for row in held)
        session_id = claim.session_id
        store = self._databases[handle].runtime_persistence(session_id)
        wanted = commit(session_id, expected=self.revisions[session_id], completed_queue_claims=(completion,))
        result = self._attempt(store.commit_runtime_state(wanted))
        if not is_exact:
            assert result == "queue_claim_expired"
            return
        assert result.head_revision == self.revisions[session_id] + 1
        self.revisions[session_id] += 1
        for row in held:
            row.state = "completed"

    @rule(handle=handles, session_id=sessions, data=st.data())
    def cancel(self, handle: int, session_id: str, data: st.DataObject) -> None:
        batch_id = data.draw(st.sampled_from([row.batch_id for row in self.model.rows] + ["nobody"]))
        row = next((row for row in self.model.open_rows(session_id) if row.batch_id == batch_id), None)
        cancelled = self._run(self._stores[handle].cancel_queued_work_batch(session_id, batch_id))
        if row is None or not row.is_free(self.model.now_ms):
            assert cancelled is None
            return
        assert cancelled is not None
        assert cancelled.batch_id == batch_id
        row.state = "cancelled"

    @rule(ms=st.sampled_from([1, 2, 5, 50]))
    def advance(self, ms: int) -> None:
        self.model.now_ms = self.backend.clock.advance(ms)

    @invariant()
    def lists_agree(self) -> None:
        for session_id in ("a", "b"):
            for store in self._stores:
                assert ids(self._run(store.list_queued_work(session_id))) == [
                    row.batch_id for row in self.model.open_rows(session_id)
                ]
                assert ids(self._run(store.list_pending_queued_work(session_id))) == [
                    row.batch_id for row in self.model.pending_rows(session_id)
                ]

    def _check_claim(self, claim: QueuedWorkClaim | None, group: list[ModelRow], ttl_ms: int) -> Any:
        assert ids(claim) == [row.batch_id for row in group]
        if claim is None:
            return multiple()
        fence = self.model.claim(group, (claim.claim_id, claim.lease_token), ttl_ms)
        assert claim.fencing_token == fence
        assert claim.expires_at_ms == self.model.now_ms + ttl_ms
        return claim


@pytest.mark.parametrize("kind", backend_kinds())
def test_random_histories_of_the_queue_agree_with_the_model(
    kind: str, request: pytest.FixtureRequest
) -> None:
    def place(folder: Path) -> str:
        return new_url() if new_url is not None else str(folder / "queue.db")

    new_url = request.getfixturevalue("postgres_urls") if kind == "postgres" else None
    machine = type(f"QueueMachine_{kind}", (QueueMachine,), {"kind": kind, "place": staticmethod(place)})
    examples = 60 if kind == "memory" else 12
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
