"""One claimed turn under its lease: driven, kept, and given back if it cannot be finished here."""

from __future__ import annotations

import asyncio
import logging

from lash.contracts import Subscription
from lash.errors import LashError
from lash.runtime.services import RuntimeServices
from lash.runtime.turn_driver import DrivenTurn, ParkedTurn, TurnDriver
from lash.values import TurnFailed

_log = logging.getLogger("lash.runtime")

_REFUSALS_MAX = 5  # times that a turn may want to wait for the same that is there already


class TurnRun:
    """Runs a driver while its lease is renewed.

    Args:
        services: What all drivers share.
        driver: The turn's driver.
        changes: Rings when something of the session changes.
    """

    def __init__(self, services: RuntimeServices, driver: TurnDriver, changes: Subscription) -> None:
        self.driver = driver
        self._services = services
        self._changes = changes
        self._session_id = driver.claimed.lease.session_id
        self._turn_id = driver.claimed.turn_id

    async def finish(self) -> DrivenTurn | ParkedTurn:
        """Return the committed turn, or the waits of one that is parked: nothing of it is held here any more.

        Raises:
            LashError: why it cannot be finished here: what the driver raised; `session_lease_lost`;
                `runtime_error` for what lash did not foresee. The turn stays accepted.
            asyncio.CancelledError: when this runtime is closed; the turn stays accepted.
        """
        work = asyncio.ensure_future(self._drive())
        keeper = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait({work, keeper}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                keeper.result()  # raises what the keeper ended with
            return work.result()
        except BaseException as problem:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            failure = self._failure(problem)
            if failure.code != "session_lease_lost":
                await self._give_back()
            self.driver.publish(TurnFailed(turn_id=self._turn_id, error=failure.record()))
            if isinstance(problem, asyncio.CancelledError):
                raise
            raise failure from (None if failure is problem else problem)
        finally:
            keeper.cancel()
            self._changes.close()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _drive(self) -> DrivenTurn | ParkedTurn:
        """Drive until the turn is committed or parked. What it waits for may come before it is parked."""
        ingress = self._services.database.turn_ingress
        refused: list[tuple[str, ...]] = []
        while True:
            driven = await self.driver.drive()
            if isinstance(driven, DrivenTurn):
                return driven
            refused.append(driven.wait_keys)
            if refused[-_REFUSALS_MAX:] == [driven.wait_keys] * _REFUSALS_MAX:
                raise self._waits_for_nothing(driven.wait_keys)
            await self.driver.save()
            if await ingress.park_turn(self.driver.claimed, driven.wait_keys):
                return driven
            await self._look()
            await self.driver.rewind()

    def _waits_for_nothing(self, wait_keys: tuple[str, ...]) -> LashError:
        return LashError(
            "turn_waits_for_nothing",
            f"turn {self._turn_id!r} wants to wait for {', '.join(wait_keys)}, of which something is there "
            "already; what waits must look at its wait first, and go on when it is resolved",
            session_id=self._session_id,
            turn_id=self._turn_id,
            wait_keys=list(wait_keys),
        )

    async def _keep(self) -> None:
        """Renew the lease at a third of its time; look when the session changes: a cancel, or more input."""
        ttl_ms = self._services.lease_ttl_ms
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + ttl_ms / 3000
        while True:
            left_ms = max(1, int((renew_at - loop.time()) * 1000))
            rung = await self._changes.wait(timeout_ms=left_ms)
            try:
                if rung:
                    await self._look()
                if loop.time() >= renew_at:
                    await self._renew(ttl_ms)
                    renew_at = loop.time() + ttl_ms / 3000
            except LashError as problem:
                if not problem.retryable:
                    raise
                # A store that is busy or full for a moment; there is time for another two tries.
                _log.warning("the lease of turn %r could not be renewed yet: %s", self._turn_id, problem)
                renew_at = loop.time() + 1

    async def _look(self) -> None:
        self.driver.note_change()
        if await self._services.database.turn_ingress.is_cancel_requested(self._session_id, self._turn_id):
            self.driver.cancel()

    async def _renew(self, ttl_ms: int) -> None:
        ingress = self._services.database.turn_ingress
        self.driver.adopt_lease(await ingress.renew_turn(self.driver.claimed, lease_ttl_ms=ttl_ms))

    async def _give_back(self) -> None:
        try:
            await asyncio.shield(self._save_and_abandon())
        except LashError as problem:
            # The lease runs out by itself; what made the turn fail (a full disk, say) is what is reported.
            _log.warning("turn %r could not be given back: %s", self._turn_id, problem)

    async def _save_and_abandon(self) -> None:
        try:
            await self.driver.save()  # what was paid for should not be paid for again
        finally:
            await self._services.database.turn_ingress.abandon_turn(self.driver.claimed)

    def _failure(self, problem: BaseException) -> LashError:
        """Return what is told to whoever waits for the turn."""
        if isinstance(problem, LashError):
            return problem
        if isinstance(problem, asyncio.CancelledError):
            return closed_error(self._session_id, self._turn_id)
        return LashError(
            "runtime_error",
            f"driving turn {self._turn_id!r} failed in a way that lash did not foresee: {problem!r}",
            session_id=self._session_id,
            turn_id=self._turn_id,
        )


def closed_error(session_id: str, turn_id: str) -> LashError:
    """Return the error for a turn that runs on without this runtime."""
    return LashError(
        "runtime_closed",
        f"the runtime was closed while turn {turn_id!r} of session {session_id!r} ran; the turn stays "
        "accepted and goes on when the database is opened again",
        retryable=True,
        session_id=session_id,
        turn_id=turn_id,
    )
