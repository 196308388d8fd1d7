"""Watching a session: what its turns show while they run, and what is committed of them, with a cursor.

The commits are the truth and none is missed, whoever drove them and however often the watcher was away. What
a running turn shows is best effort: kept for a while in the process that drives it, and where some of it is
lost an `EventGap` says so (ruling 21). A commit is told after everything that its turn showed here.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

import msgspec

from lash.contracts import Database, Subscription
from lash.errors import LashError
from lash.runtime.activity_bus import ActivityBus, ActivitySubscription, Heard
from lash.turn import tidy_text
from lash.values import (
    EventGap,
    EventNode,
    Message,
    MessageCommitted,
    Record,
    TurnActivity,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnReceipt,
)

_LOOK_AROUND_MS = 1_000  # the safety net behind notifications
_WHOLE = -1  # the ordinal of a commit that has been read to its end
_PAGE = 100  # receipts at a time


class WatchCursor(Record, frozen=True, kw_only=True):
    """Where a watcher stands: in the commits, and in the events of one process.

    Attributes:
        revision: The last commit that was read, or is being read.
        ordinal: The last event of it that was read; -1 for all of them.
        incarnation: The bus whose events were read; empty for none.
        number: The last event that was read of it.
        turn_id: The turn that the watcher was in the middle of; empty between turns.
    """

    session_id: str
    revision: int
    ordinal: int = _WHOLE
    incarnation: str = ""
    number: int = 0
    turn_id: str = ""
    version: int = 1

    def encoded(self) -> str:
        """Return the cursor as an opaque text that is safe in a URL and in an HTTP header."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()

    @classmethod
    def decoded(cls, text: str, session_id: str) -> WatchCursor:
        """Read a cursor that `encoded` made.

        Raises:
            LashError: `cursor_invalid` for any other text, and for a cursor of another session.
        """
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            cursor = msgspec.json.decode(raw, type=cls)
        except (binascii.Error, ValueError, msgspec.DecodeError) as problem:
            raise LashError(
                "cursor_invalid",
                f"the cursor {text[:40]!r} was not made by Session.watch; start again without one",
                session_id=session_id,
            ) from problem
        if cursor.session_id != session_id or cursor.version != 1:
            raise LashError(
                "cursor_invalid",
                f"the cursor belongs to session {cursor.session_id!r} (version {cursor.version}), not to "
                f"{session_id!r}; start again without one",
                session_id=session_id,
            )
        return cursor


class SessionWatch:
    """One watcher of one session. Iterate it; close it when done. It never holds up a turn, nor ends one.

    Args:
        database: Where commits are.
        bus: What the turns that this process drives show.
        session_id: Whose turns.
        cursor: Where to go on; None for what happens from now on.

    Raises:
        LashError: `cursor_invalid`; when it is iterated, also for a cursor that is ahead of the session.
    """

    def __init__(self, database: Database, bus: ActivityBus, session_id: str, cursor: str | None) -> None:
        self._cursor = None if cursor is None else WatchCursor.decoded(cursor, session_id)
        self._database = database
        self._bus = bus
        self._session_id = session_id
        bus.follow(session_id)
        self._missed, self._gap = self._missed_events()  # in one step with the subscription: nothing between
        self._live: ActivitySubscription = bus.subscribe(session_id)
        self._changes: Subscription | None = None
        self._place = self._cursor or WatchCursor(session_id=session_id, revision=0)
        self._events = self._told()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TurnEvent:
        return await anext(self._events)

    def close(self) -> None:
        """Stop watching. What has happened up to now can still be read."""
        self._live.close()
        if self._changes is not None:
            self._changes.close()

    def _missed_events(self) -> tuple[deque[Heard], EventGap | None]:
        """Return what is kept of what the cursor has not seen, and the gap before it."""
        cursor, bus = self._cursor, self._bus
        if cursor is None:
            return deque(), None
        if cursor.incarnation == bus.incarnation:
            kept = bus.kept_since(self._session_id, cursor.number)
            return deque(kept.events), None if kept.whole else EventGap(reason="out_of_window")
        running = bus.kept_of_running_turn(self._session_id)
        if cursor.turn_id:
            return deque(running.events), EventGap(reason="restarted")
        return deque(running.events), None if running.whole else EventGap(reason="out_of_window")

    async def _told(self) -> AsyncIterator[TurnEvent]:
        self._changes = self._database.subscribe([f"session:{self._session_id}"])
        await self._find_place()
        if self._gap is not None:
            yield self._event(self._place.turn_id, "gap", self._gap, self._place)
        while True:
            last_round = self._live.is_closed
            async for event in self._heard():
                yield event
            receipts = await self._receipts()
            async for event in self._heard():  # shown before those commits, if it was shown here
                yield event
            for receipt in receipts:
                async for event in self._committed(receipt):
                    yield event
            if len(receipts) == _PAGE:
                continue
            if last_round:
                return
            await self._something(self._changes)

    async def _find_place(self) -> None:
        """Check a cursor. Without one begin at the head, before what was committed here in the meantime."""
        head = await self._database.session_catalog.find_head(self._session_id)
        if self._cursor is None:
            first = self._live.first_revision
            self._place = self._place.replace(revision=head.revision if first is None else first - 1)
        elif self._cursor.revision > head.revision:
            raise LashError(
                "cursor_invalid",
                f"the cursor is at revision {self._cursor.revision} of session {self._session_id!r}, which is "
                f"at {head.revision}; was the database restored? Start again without a cursor",
                session_id=self._session_id,
                revision=self._cursor.revision,
                head_revision=head.revision,
            )

    async def _heard(self) -> AsyncIterator[TurnEvent]:
        """Tell what was shown here. Where a turn is over, its commit is told in the place of its end."""
        while (heard := self._missed.popleft() if self._missed else self._live.take()) is not None:
            activity = heard.event.activity
            if not isinstance(activity, TurnFinished):
                over = isinstance(activity, TurnFailed)
                self._place = self._place.replace(
                    incarnation=self._bus.incarnation,
                    number=heard.number,
                    turn_id="" if over else heard.event.turn_id,
                )
                yield heard.event.replace(cursor=self._place.encoded())
                continue
            while receipts := await self._receipts(up_to=activity.head_revision):
                for receipt in receipts:
                    async for event in self._committed(receipt):
                        yield event
            self._place = self._place.replace(incarnation=self._bus.incarnation, number=heard.number)

    async def _receipts(self, up_to: int | None = None) -> list[TurnReceipt]:
        """Return the next commits that are not told, or not told to their end."""
        place = self._place
        after = place.revision if place.ordinal == _WHOLE else place.revision - 1
        if up_to is not None and after >= up_to:
            return []
        receipts = await self._database.turn_ingress.list_receipts(
            self._session_id, after_revision=after, limit=_PAGE
        )
        return [receipt for receipt in receipts if up_to is None or receipt.head_revision <= up_to]

    async def _committed(self, receipt: TurnReceipt) -> AsyncIterator[TurnEvent]:
        """Tell a commit: each message, then the end of its turn; from where the watcher stands in it."""
        revision = receipt.head_revision
        if revision < self._place.revision or (
            revision == self._place.revision and self._place.ordinal == _WHOLE
        ):
            return
        told = self._place.ordinal if revision == self._place.revision else -1
        activities = await self._activities(receipt)
        for ordinal, activity in enumerate(activities):
            if ordinal <= told:
                continue
            is_end = ordinal == len(activities) - 1
            over = is_end and self._place.turn_id == receipt.turn_id
            self._place = self._place.replace(
                revision=revision,
                ordinal=_WHOLE if is_end else ordinal,
                turn_id="" if over else self._place.turn_id,
            )
            yield self._event(receipt.turn_id, f"r{revision}.{ordinal}", activity, self._place)

    async def _activities(self, receipt: TurnReceipt) -> list[TurnActivity]:
        persistence = self._database.runtime_persistence(self._session_id)
        messages: list[tuple[str, Message]] = []
        for node_id in receipt.node_ids:
            node = await persistence.load_node(node_id)
            payload = None if node is None else node.payload
            if isinstance(payload, EventNode) and isinstance(payload.event, Message):
                messages.append((node_id, payload.event))
        last = messages[-1][1] if messages else None
        end = TurnFinished(
            turn_id=receipt.turn_id,
            text=tidy_text(last.text) if last is not None and last.role == "assistant" else "",
            stop=receipt.stop,
            usage=receipt.usage,
            output=receipt.output,
            head_revision=receipt.head_revision,
        )
        revision = receipt.head_revision
        return [
            *(
                MessageCommitted(message=m, node_id=node_id, head_revision=revision)
                for node_id, m in messages
            ),
            end,
        ]

    def _event(self, turn_id: str, name: str, activity: TurnActivity, place: WatchCursor) -> TurnEvent:
        return TurnEvent(
            id=f"{turn_id}:{name}",
            correlation_id=turn_id or self._session_id,
            session_id=self._session_id,
            turn_id=turn_id,
            activity=activity,
            at_ms=self._database.clock.now_ms(),
            cursor=place.encoded(),
        )

    async def _something(self, changes: Subscription) -> None:
        """Return when something was shown here, when the session has changed, or after a while."""
        shown = asyncio.ensure_future(self._live.wait())
        changed = asyncio.ensure_future(changes.wait(timeout_ms=_LOOK_AROUND_MS))
        try:
            await asyncio.wait({shown, changed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            shown.cancel()
            changed.cancel()
            await asyncio.gather(shown, changed, return_exceptions=True)
