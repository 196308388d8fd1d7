"""What a run has left: fuel, memory, time, and whether somebody asked it to stop.

Everything here is deterministic except the clock and the cancellation, which are looked at only in `poll`. Fuel comes
in slices that generated code counts down in a local variable; memory is a charged estimate that is corrected by
walking the program's own variables, never by asking the operating system: a replay must stop at the same step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FrameType
from typing import Final

from lashlang.machine.fault import Halt
from lashlang.machine.sizes import ENTRY_COST, ITEM_COST, LIST_COST, RECORD_COST, TEXT_COST, measure
from lashlang.machine.values import MAX_ITEMS, MAX_TEXT, Value

SLICE: Final = 1024
"""Loop turns between two looks at the clock: about 0.1 ms."""
SLICE_BYTES: Final = 16_384
"""Memory that literals may use between two looks at the total."""
POLL_WORK: Final = 4_096
"""Units of builtin work between two looks at the clock."""
MAX_CALLS: Final = 150
"""Deepest nesting of `fn` calls."""

SHORT_TEXT: Final = 256
"""Up to this many characters, making a string costs memory but no fuel."""
CODE_NAME: Final = "<lashlang>"
"""The file name of generated code: how the meter and the driver recognise its frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one run, chosen by the host.

    `fuel` counts loop turns, calls, effects and the elements that builtins touch. `memory_bytes` bounds a
    deterministic estimate of what the program holds. `time_ms` bounds the active time between effects by the clock
    the host hands in, and is off when that clock is missing.
    """

    fuel: int = 10_000_000
    memory_bytes: int = 64 * 1024 * 1024
    time_ms: int | None = None


class Meter:
    """The accountant of one run: the only object whose attributes generated code may touch."""

    __slots__ = (
        "_clock", "_deadline_ms", "_until_poll", "calls", "cancelled", "f", "fuel", "limits", "m", "mem",
        "printed", "printed_bytes", "resolver", "roots",
    )  # fmt: skip

    def __init__(self, limits: Limits, clock: Callable[[], int] | None = None) -> None:
        self.limits = limits
        self.fuel = limits.fuel
        self.f = 0
        self.m = 0
        self.mem = limits.memory_bytes // 4
        self.cancelled = False
        self.calls = 0
        self.resolver: Callable[..., object] | None = None
        self.printed: list[Value] = []
        self.printed_bytes = 0
        self.roots: Callable[[], Iterable[Value]] = tuple
        self._clock = clock
        self._until_poll = POLL_WORK
        self._deadline_ms: int | None = None
        self.start_clock()

    def state(self) -> tuple[int, int, int, int, int]:
        """What a frame writes down, for `restore`."""
        return self.fuel, self.f, self.mem, self.m, self.printed_bytes

    def restore(self, state: tuple[int, int, int, int, int]) -> None:
        """Go on where a meter with this `state` stood."""
        self.fuel, self.f, self.mem, self.m, self.printed_bytes = state

    def start_clock(self) -> None:
        """Begin a stretch of active time: called when a run starts and after each answered wait."""
        if self._clock is not None and self.limits.time_ms is not None:
            self._deadline_ms = self._clock() + self.limits.time_ms

    @property
    def fuel_left(self) -> int:
        """What is left, the slice in hand included."""
        return self.fuel + self.f

    def refill(self) -> int:
        """A slice of fuel was used up: take the next one, of which one unit is spent already."""
        if self.fuel <= 0:
            self.fuel = 0
            raise out_of_fuel(self.limits)
        self.poll()
        taken = min(SLICE, self.fuel)
        self.fuel -= taken
        return taken - 1

    def turn(self) -> None:
        """Charge one unit against the shared slice (bodies that call functions, and functions)."""
        self.f -= 1
        if self.f < 0:
            self.f = 0
            self.f = self.refill()

    def work(self, units: int) -> None:
        """Charge `units` of builtin work, before the work is done."""
        self.fuel -= units
        if self.fuel < 0:
            self.fuel = 0
            raise out_of_fuel(self.limits)
        self._until_poll -= units
        if self._until_poll < 0:
            self.poll()

    def poll(self) -> None:
        """Look at what only the outside knows: a cancellation and the clock."""
        self._until_poll = POLL_WORK
        if self.cancelled:
            raise Halt("cancelled", "the run was cancelled")
        if self._deadline_ms is not None and self._clock is not None and self._clock() > self._deadline_ms:
            raise Halt("time_exhausted", f"the program computed for longer than {self.limits.time_ms} ms")

    def take(self, size_bytes: int) -> None:
        """Charge memory for something that a builtin is about to make."""
        self.mem -= size_bytes
        if self.mem < 0:
            self.settle(size_bytes)

    def grab(self, left: int) -> int:
        """A slice of memory for what literals make; `left` is what the last one lacked (negative)."""
        size = min(SLICE_BYTES, self.limits.memory_bytes // 64) - left
        self.take(size)
        return left + size

    def settle(self, asked_bytes: int = 0) -> None:
        """The charged total passed its threshold: count what is really held, and set the next threshold."""
        limit = self.limits.memory_bytes
        live = measure(self.roots(), limit) + asked_bytes + self.printed_bytes
        if live > limit:
            raise Halt("memory_exhausted", f"the program holds more than {limit} bytes")
        self.mem = max(min(max(live, limit // 8), limit - live), limit // 32)

    def tell(self, value: Value, size_bytes: int) -> None:
        """Keep what was printed: it counts as held from now on."""
        self.printed_bytes += size_bytes + ITEM_COST
        if self.printed_bytes > self.limits.memory_bytes:
            raise Halt("memory_exhausted", f"the program printed more than {self.limits.memory_bytes} bytes")
        self.printed.append(value)

    def enter(self) -> None:
        """A function is called: one unit of fuel, and a bound on the nesting."""
        self.calls += 1
        if self.calls > MAX_CALLS:
            raise Halt("call_depth_exceeded", f"functions are nested deeper than {MAX_CALLS} calls")
        self.turn()

    def leave(self, value: Value) -> Value:
        """A function returns `value`."""
        self.calls -= 1
        return value

    def text(self, length: int) -> None:
        """Charge a string of `length` characters; refuse one that is longer than any may be."""
        if length > MAX_TEXT:
            raise Halt("value_too_large", f"a string may have at most {MAX_TEXT} characters, not {length}")
        if length > SHORT_TEXT:
            self.work(length >> 6)
            self.take(TEXT_COST + length)
            return
        self.mem -= TEXT_COST + length
        if self.mem < 0:
            self.settle()

    def items(self, count: int) -> None:
        """Charge a new list of `count` items, one unit of fuel each."""
        if count > MAX_ITEMS:
            raise Halt("value_too_large", f"a list may have at most {MAX_ITEMS} items, not {count}")
        self.work(count)
        self.take(LIST_COST + ITEM_COST * count)

    def entries(self, count: int) -> None:
        """Charge a new record of `count` entries, one unit of fuel each."""
        if count > MAX_ITEMS:
            raise Halt("value_too_large", f"a record may have at most {MAX_ITEMS} entries, not {count}")
        self.work(count)
        self.take(RECORD_COST + ENTRY_COST * count)


def out_of_fuel(limits: Limits) -> Halt:
    """The error of a run that has used all its fuel."""
    return Halt("fuel_exhausted", f"the program used up its fuel of {limits.fuel} units")


def generated_roots() -> list[Value]:
    """The slots of the innermost run on this thread's stack: its body's, and those of the functions it is in.

    Only slots count (see `ir`), never what is in the middle of being evaluated, so that the plain interpreter counts
    the same.
    """
    roots: list[Value] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == CODE_NAME:
            roots.extend(value for name, value in frame.f_locals.items() if name[0] in "vtqs")
            if frame.f_code.co_name == "step":
                break
        frame = frame.f_back
    return roots
