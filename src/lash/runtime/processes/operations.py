"""Where the operations of a durable function are asked, and what was recorded there.

A place is a path of numbers: which concurrent task asks, and which operation of that task it is. The task that
runs the function has the places 1, 2, 3, …; the second task that it starts has 2.1, 2.2, …; and so on. A task
gets its number when it first asks for something. Inside one task operations come one after the other, so that
their places are the same in every run, however the tasks interleave.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from lash.effects import decode_outcome
from lash.errors import LashError
from lash.values import AwaitEventOutcome, EffectRecord, EffectState, ToolCallOutcome


class Operation(msgspec.Struct, frozen=True):
    """One operation of a function: where it was asked, and what."""

    process_id: str
    place: str
    kind: str
    name: str
    ordinal: int

    @property
    def label(self) -> str:
        """How people read it."""
        return f"{self.kind} {self.name}#{self.ordinal}"

    @property
    def effect_id(self) -> str:
        return f"{self.kind}:{self.name}#{self.ordinal}"

    @property
    def replay_key(self) -> str:
        return f"{_prefix(self.process_id)}{self.place}:{self.effect_id}"


class _TaskPlaces:
    """The places of one task."""

    def __init__(self, owner: Places, task: asyncio.Task[object] | None, path: str) -> None:
        self.owner = owner
        self.task = task
        self.path = path
        self.asked = 0
        self._children = 0
        self._counts: dict[tuple[str, str], int] = {}

    def child(self, task: asyncio.Task[object] | None) -> _TaskPlaces:
        self._children += 1
        return _TaskPlaces(self.owner, task, f"{self.path}{self._children}.")

    def operation(self, kind: str, name: str) -> Operation:
        self.asked += 1
        ordinal = self._counts[kind, name] = self._counts.get((kind, name), 0) + 1
        return Operation(self.owner.process_id, f"{self.path}{self.asked}", kind, name, ordinal)


_current: ContextVar[_TaskPlaces | None] = ContextVar("lash_process_places", default=None)


class Places:
    """Hands out the places of one run. `begin` in the task that runs the function."""

    def __init__(self, process_id: str) -> None:
        self.process_id = process_id
        self.tasks: weakref.WeakSet[asyncio.Task[object]] = weakref.WeakSet()  # that have asked for something
        self._root: _TaskPlaces | None = None

    def begin(self) -> None:
        """The calling task is the function's own."""
        self._root = _TaskPlaces(self, asyncio.current_task(), "")
        _current.set(self._root)

    def take(self, kind: str, name: str) -> Operation:
        """Return the operation that the calling task asks for now.

        Raises:
            LashError: `process_context_misplaced` when it is called in no task of this function.
        """
        places = _current.get()
        if places is None or places.owner is not self:
            raise LashError(
                "process_context_misplaced",
                f"{kind} {name} of process {self.process_id!r} was asked for outside of its function; use the "
                "context in the function's own tasks, neither in threads nor in steps",
                process_id=self.process_id,
            )
        task = asyncio.current_task()
        if places.task is not task:
            places = places.child(task)
            _current.set(places)
            if task is not None:
                self.tasks.add(task)
        return places.operation(kind, name)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Have no places: a step is remembered as a whole, so nothing inside it may ask for anything."""
        token = _current.set(None)
        try:
            yield
        finally:
            _current.reset(token)

    @property
    def asked(self) -> int:
        """How many operations the function's own task has asked for."""
        return 0 if self._root is None else self._root.asked


class History:
    """What a process had recorded when a run of it began."""

    def __init__(self, process_id: str, records: Iterable[EffectRecord]) -> None:
        self._process_id = process_id
        self._by_place: dict[str, EffectRecord] = {}
        prefix = _prefix(process_id)
        for record in records:
            key = record.identity.replay_key
            if key.startswith(prefix):
                self._by_place[key.removeprefix(prefix).partition(":")[0]] = record
        self._ranks = {
            place: rank for place, record in self._by_place.items() if (rank := _rank(record)) is not None
        }

    @property
    def ranks(self) -> tuple[int, ...]:
        """The order in which the recorded operations had ended."""
        return tuple(sorted(self._ranks.values()))

    def is_recorded(self, operation: Operation) -> bool:
        """Whether the operation has a result, which will be what it answers.

        Raises:
            LashError: `process_replay_mismatch` when something else was recorded at its place.
        """
        record = self._by_place.get(operation.place)
        if record is None:
            return False
        recorded = record.identity.replay_key
        if recorded != operation.replay_key:
            raise self.mismatch(_label(recorded, self._process_id), operation.label, operation.place)
        return record.state is not EffectState.STARTED

    def rank(self, operation: Operation) -> int | None:
        """Return when the operation had ended, among the others; None where nobody knows."""
        return self._ranks.get(operation.place)

    def check_end(self, asked: int) -> None:
        """Refuse the end of a function that has asked for less than it had before.

        Raises:
            LashError: `process_replay_mismatch`.
        """
        record = self._by_place.get(str(asked + 1))
        if record is not None:
            label = _label(record.identity.replay_key, self._process_id)
            raise self.mismatch(label, "the end of the function", str(asked + 1))

    def mismatch(self, recorded: str, asked: str, place: str, fields: Iterable[str] = ()) -> LashError:
        """Return the error for code that does not fit what its process has recorded."""
        differs = ", ".join(fields)
        return LashError(
            "process_replay_mismatch",
            f"process {self._process_id!r} has recorded {recorded!r} at place {place}, and its function now asks "
            f"for {asked!r}{f' (different: {differs})' if differs else ''}. Give it back the code that it was "
            "started with, or cancel it",
            process_id=self._process_id,
            recorded=recorded,
            asked=asked,
            place=place,
        )


def _prefix(process_id: str) -> str:
    return f"process:{process_id}:"


def _label(replay_key: str, process_id: str) -> str:
    kind, _, name = replay_key.removeprefix(_prefix(process_id)).partition(":")[2].partition(":")
    return f"{kind} {name}"


def _rank(record: EffectRecord) -> int | None:
    if record.state is not EffectState.DONE or record.result is None or record.result.outcome is None:
        return None
    match decode_outcome(record.result.outcome, record.identity.replay_key):
        case ToolCallOutcome(result=result):
            return result.rank
        case AwaitEventOutcome(value={"rank": int(rank)}):
            return rank
        case _:
            return None
