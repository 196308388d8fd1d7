"""One process under its lease: run, kept, watched for a cancel, and ended, parked or given back.

Only what the lease allows is written. A supervisor whose lease is lost writes nothing and stops its work: whoever
has the process now decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lash.contracts import EffectParked, RuntimeEffectController, Subscription
from lash.effects import LeasedEffects
from lash.errors import LashError
from lash.runtime.attachments import SessionAttachments
from lash.runtime.bound_agent import BoundAgent
from lash.runtime.processes.awaiting import existing_process, find_resolved, first_resolved
from lash.runtime.processes.engine import ProcessEngine, ProcessParked
from lash.runtime.processes.keys import retry_wait_key
from lash.runtime.services import RuntimeServices
from lash.tools import Cancellation
from lash.values import (
    CANCEL_REQUESTED,
    AwaitFailure,
    EffectRecord,
    EffectScope,
    Json,
    ProcessAwaitOutput,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessLease,
    ProcessRecord,
    WaitDraft,
)

_log = logging.getLogger("lash.runtime")

_RETRY_FIRST_MS = 500
_RETRY_CAP_MS = 60_000
_GIVE_BACK_MS = 50  # longer than it takes to park on the wait that ends then

# What the registry refuses an end for that is the work's own doing.
_UNUSABLE_OUTPUT = frozenset(
    {
        "json_not_representable",
        "process_event_payload_invalid",
        "process_event_selector_unmatched",
        "process_wake_target_missing",
    }
)


class RunningProcess:
    """One process while this worker has it: the `ProcessRun` of its engine."""

    def __init__(
        self,
        services: RuntimeServices,
        agents: Mapping[str, BoundAgent],
        process: ProcessRecord,
        lease: ProcessLease,
        *,
        grace_s: float,
    ) -> None:
        self.process = process
        self.services = services
        self.agents = agents
        self.lease = lease
        self.cancellation = Cancellation()
        self.cancel_reason: str | None = None
        session_id = process.provenance.owner_scope.session_id
        self.attachments = SessionAttachments(
            session_id,
            manifest=services.database.runtime_persistence(session_id),
            store=services.database.attachment_store,
            clock=services.clock,
        )
        self._grace_s = grace_s
        self._leased = LeasedEffects(self.scope, services.database.effect_journal, lease=lease)
        self._recorded: Sequence[EffectRecord] = ()
        self._reports: set[asyncio.Task[None]] = set()

    @property
    def scope(self) -> EffectScope:
        return EffectScope.process(self.process.id)

    @property
    def effects(self) -> RuntimeEffectController:
        host = self.services.effect_host
        return self._leased if host is None else host.scoped(self.scope).controller

    @property
    def recorded(self) -> Sequence[EffectRecord]:
        return self._recorded

    async def load_journal(self) -> None:
        """Read what the process has recorded, so that it is answered from there."""
        journal = self.services.database.effect_journal
        await self._leased.drain()
        self._recorded = await journal.load_effects(self.scope)
        self._leased = LeasedEffects(self.scope, journal, lease=self.lease, recorded=self._recorded)

    def adopt(self, lease: ProcessLease) -> None:
        """Go on under the renewed lease."""
        self.lease = lease
        self._leased.lease = lease

    async def frame(self) -> bytes | None:
        return await self.services.database.process_registry.process_frame(self.process.id)

    async def save_frame(self, frame: bytes) -> None:
        await self.services.database.process_registry.save_process_frame(self.lease, frame)

    async def drain(self) -> None:
        await self._leased.drain()

    async def append_event(self, request: ProcessEventAppendRequest) -> ProcessEvent:
        await self.drain()
        result = await self.services.database.process_registry.append_event(self.process.id, request)
        return result.event

    def report(self, payload: Json) -> None:
        task = asyncio.ensure_future(self._report(payload))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _report(self, payload: Json) -> None:
        request = ProcessEventAppendRequest(event_type="process.progress", payload=payload)
        try:
            await self.services.database.process_registry.append_event(self.process.id, request)
        except LashError as problem:
            _log.warning("progress of process %r was not kept: %s", self.process.id, problem)

    async def settle_reports(self) -> None:
        """Return once every report is on its way, so that none comes after the end."""
        if self._reports:
            await asyncio.gather(*self._reports, return_exceptions=True)

    async def wait_any(self, wait_keys: Sequence[str]) -> None:
        if await find_resolved(self.services.database, wait_keys) is not None:
            return
        stop = asyncio.ensure_future(self.cancellation.wait())
        over = asyncio.ensure_future(first_resolved(self.services.database, wait_keys))
        try:
            await asyncio.wait([stop, over], timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                over.result()  # raises what the wait came to
            elif not stop.done():
                await self.drain()
                raise ProcessParked(tuple(wait_keys))
        finally:
            for task in (stop, over):
                task.cancel()
            await asyncio.gather(stop, over, return_exceptions=True)

    def ask_to_stop(self, reason: str | None) -> None:
        """Somebody has asked to cancel the process."""
        if not self.cancellation.cancelled:
            self.cancel_reason = reason
            self.cancellation.cancel()


class Supervisor:
    """Runs one process that was claimed, for as long as it can be run here.

    Args:
        running: The process, under its lease.
        engine: What runs it.
        failures: How often in a row the machinery has failed it before.
    """

    def __init__(self, running: RunningProcess, engine: ProcessEngine, *, failures: int = 0) -> None:
        self._running = running
        self._engine = engine
        self._failures = failures
        self._registry = running.services.database.process_registry
        self._process_id = running.process.id

    async def finish(self) -> LashError | None:
        """Run the process until it ends or parks; return what the machinery failed with, if it did.

        Raises:
            asyncio.CancelledError: when the worker stops; the process was given back.
        """
        changes = self._running.services.database.subscribe([f"process:{self._process_id}"])
        keeper = asyncio.ensure_future(self._keep(changes))
        try:
            await self._take_notice(self._running.process)
            while not await self._run_once(keeper):
                await self._look()  # it was not parked: a wait is over, or somebody wants it to stop
            return None
        except LashError as problem:
            return await self._failed(problem)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(0, None))
            raise
        except Exception as bug:  # noqa: BLE001  # a bug ends one run, not the worker; it is logged and tried again
            _log.error("running process %r failed", self._process_id, exc_info=bug)
            return await self._failed(
                LashError(
                    "runtime_error",
                    f"running process {self._process_id!r} failed in a way that lash did not foresee: {bug!r}",
                    process_id=self._process_id,
                )
            )
        finally:
            keeper.cancel()
            changes.close()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _run_once(self, keeper: asyncio.Future[None]) -> bool:
        """Run the process from where it stands; return whether it is off our hands."""
        await self._running.load_journal()
        work = asyncio.ensure_future(self._engine.run(self._running.process, self._running))
        try:
            both: list[asyncio.Future[Any]] = [work, keeper]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                keeper.result()  # raises what the keeper ended with
            output = work.result()
        except EffectParked as parked:
            return await self._park(parked)
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
        await self._complete(output)
        return True

    async def _park(self, parked: EffectParked) -> bool:
        await self._running.drain()
        frame = parked.frame if isinstance(parked, ProcessParked) else None
        return await self._registry.park_process(self._running.lease, parked.wait_keys, frame=frame)

    async def _complete(self, output: ProcessAwaitOutput) -> None:
        await self._running.drain()
        await self._running.settle_reports()
        try:
            await self._registry.complete_process_with_lease(self._running.lease, output)
        except LashError as problem:
            if problem.code not in _UNUSABLE_OUTPUT:
                raise
            refused = AwaitFailure(
                failure_class="execution",
                code="process_result_invalid",
                message=f"its end could not be stored: {problem.message}",
            )
            await self._registry.complete_process_with_lease(self._running.lease, refused)

    async def _failed(self, problem: LashError) -> LashError:
        """Let go of a process that the machinery has failed; it is tried again, with the same attempt."""
        if problem.code == "process_lease_lost":
            return problem  # somebody else has it
        if problem.code == "process_already_terminal":
            await self._release()
            return problem
        delay_ms = min(_RETRY_FIRST_MS << min(self._failures, 16), _RETRY_CAP_MS)
        level = logging.WARNING if problem.retryable else logging.ERROR
        _log.log(level, "process %r is tried again in %d ms: %s", self._process_id, delay_ms, problem)
        await self._give_back(delay_ms, problem)
        return problem

    async def _give_back(self, delay_ms: int, why: LashError | None) -> None:
        """Park the process until it may be tried again: that is no new attempt, whoever does it."""
        running = self._running
        lease, now_ms = running.lease, running.services.clock.now_ms()
        draft = WaitDraft(
            key=retry_wait_key(self._process_id, lease.fencing_token),
            scope_key=running.scope.key,
            deadline_ms=now_ms + max(delay_ms, _GIVE_BACK_MS),
            detail={"code": "worker_stopped"} if why is None else {"code": why.code, "message": why.message},
        )
        try:
            try:
                await running.drain()  # what was done should not be done again
            finally:
                await running.services.database.durable_waits.open_wait(draft)
                if not await self._registry.park_process(lease, [draft.key]):
                    await self._release()
        except LashError as problem:
            # The lease runs out by itself; what made the run fail (a full disk, say) is what counts.
            _log.warning("process %r could not be given back: %s", self._process_id, problem)

    async def _release(self) -> None:
        await self._registry.complete_process_lease(self._running.lease.completion())

    async def _keep(self, changes: Subscription) -> None:
        """Renew the lease at a third of its time; look when something of the process changes."""
        ttl_ms = self._running.services.lease_ttl_ms
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + ttl_ms / 3000
        while True:
            rung = await changes.wait(timeout_ms=max(1, int((renew_at - loop.time()) * 1000)))
            try:
                if rung:
                    await self._look()
                if loop.time() >= renew_at:
                    self._running.adopt(await self._registry.renew_process_lease(self._running.lease, ttl_ms))
                    renew_at = loop.time() + ttl_ms / 3000
            except LashError as problem:
                if not problem.retryable:
                    raise
                _log.warning(
                    "the lease of process %r could not be renewed yet: %s", self._process_id, problem
                )
                renew_at = loop.time() + 1

    async def _look(self) -> None:
        """Find out whether somebody wants the process to stop, or has ended it."""
        await self._take_notice(await existing_process(self._running.services.database, self._process_id))

    async def _take_notice(self, record: ProcessRecord) -> None:
        if record.is_terminal:
            raise LashError(
                "process_already_terminal",
                f"process {self._process_id!r} was ended while it ran here",
                process_id=self._process_id,
            )
        if record.cancel_requested and not self._running.cancellation.cancelled:
            self._running.ask_to_stop(await self._cancel_reason())

    async def _cancel_reason(self) -> str | None:
        for event in await self._registry.events_after(self._process_id, 0):
            if event.event_type == CANCEL_REQUESTED and isinstance(event.payload, dict):
                reason = event.payload.get("reason")
                return None if reason is None else str(reason)
        return None
