"""One run of one body, without I/O: it goes until it ends or until the host has no answer.

`advance` calls the compiled function. While the host answers each effect at once, nothing returns to the driver in
between; when the host says `LATER`, the run is `waiting`: its whole state is (site, arguments, slots, meter), which
`Frame` writes down. A waiting run is one-shot: it goes on in place, so fork it only through a frame's bytes.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Literal

from lashlang.errors import LangError
from lashlang.machine import ir
from lashlang.machine.border import Crossing, from_host, keepable, to_host
from lashlang.machine.code import Code
from lashlang.machine.codegen import PARK, Failure, Left
from lashlang.machine.effects import Effect, Failed, HostError, Ok, Outcome
from lashlang.machine.fault import Fault, Halt
from lashlang.machine.meter import CODE_NAME, Limits, Meter, generated_roots
from lashlang.machine.projection import Resolver, Rows
from lashlang.machine.requests import Requests
from lashlang.machine.values import IDLE, MAX_ITEMS, UNSET, Projected, Unset, Value

State = Literal["ready", "waiting", "finished", "continued", "failed", "error"]
"""`finished`: `submit` or `finish`; `continued`: the end was reached; `failed`: `fail`; `error`: see
`Execution.error`."""

Perform = Callable[[Effect], Outcome | Sequence[Outcome] | Unset]
"""A host: gives the outcome of an effect (of each member, for a join), or `LATER`."""

_RESTORE_BYTES: Final = 2**28
"""A pending effect may be this large when it is made again, whatever the bounds of the resumed run are."""
_ENDS: dict[int, State] = {0: "finished", -1: "failed", -2: "continued"}


class Execution:
    """A run of a program's foreground or of one of its processes.

    Args:
        code: the compiled program.
        entry: `main`, or `process:NAME`.
        values: variables to begin with: globals of the session, or the arguments of the process, as host data.
        projected: the read-only bindings: data, or `Projected` for what stays with the host.
        resolver: reads parts of `Projected` bindings.
        limits: the bounds; `clock` (milliseconds, any origin) is needed for `limits.time_ms`.
        run_id: makes the idempotency keys of the effects.
    """

    def __init__(
        self,
        code: Code,
        entry: str = "main",
        *,
        values: Mapping[str, object] | None = None,
        projected: Mapping[str, object] | None = None,
        resolver: Resolver | None = None,
        limits: Limits | None = None,
        clock: Callable[[], int] | None = None,
        run_id: str = "run",
    ) -> None:
        self.code = code
        self.entry = entry
        self.run_id = run_id
        self.compiled = code.entry(entry)
        self.meter = Meter(limits or Limits(), clock)
        self.state: State = "ready"
        self.value: Value = None
        self.error: LangError | None = None
        self.effect: Effect | None = None
        self.ordinal = 0
        self.slots = self.compiled.initial
        self.meter.roots = self._held
        self._sites = self.compiled.body.sites
        self._requests = Requests(self.meter, run_id)
        self._host: Perform | None = None
        self._site = 0
        self._args: tuple[Value, ...] = ()
        self._answer: Value = None
        self._given: dict[str, object] = dict(values or {})
        self._passed: dict[str, Value] | None = None
        self._bind(self._given)
        self.meter.resolver = resolver
        self._bind(projected or {})
        if entry != "main":
            self._check_arguments()

    # --- variables ---

    def _bind(self, values: Mapping[str, object]) -> None:
        """Put host values into the variables that the body names."""
        numbers = {name: number for number, name in enumerate(self.compiled.body.variables)}
        slots = list(self.slots)
        crossing = Crossing(self.meter)
        try:
            for name, value in values.items():
                if name in numbers:
                    if type(value) is Projected and name in self.code.projected:
                        slots[numbers[name]] = value
                        continue
                    crossing.parts_left = MAX_ITEMS
                    slots[numbers[name]] = from_host(self.meter, value, crossing)
        except Fault as fault:
            raise LangError(fault.code, f"`{name}`: {fault.message}", name=name) from None
        except Halt as halt:
            self._stop(halt.code, halt.message, None)
        self.slots = tuple(slots)

    def _check_arguments(self) -> None:
        for name in self.compiled.body.params:
            if name not in self._given:
                raise LangError(
                    "missing_process_argument", f"`{self.entry}` needs the argument `{name}`", name=name
                )

    @property
    def globals(self) -> dict[str, Value]:
        """The foreground's variables now, with those it was given and never named; as the program's own values.

        Containers may be shared between them, but all together they are bounded as trees: those in `lost` are left
        out.
        """
        return self.variables()[0]

    @property
    def lost(self) -> tuple[str, ...]:
        """The variables that `globals` leaves out, because no host could take them written out: they have more than
        1,000,000 parts, nest deeper than 64 levels, or are together larger than `Limits.memory_bytes`.
        """
        return self.variables()[1]

    def variables(self) -> tuple[dict[str, Value], tuple[str, ...]]:
        """`globals` and `lost`, found together."""
        pairs = zip(self.compiled.body.variables, self.slots, strict=False)
        bound = {name: value for name, value in pairs if value is not UNSET}
        own = {name: value for name, value in bound.items() if name not in self.code.projected}
        kept = keepable(own, self.meter.limits.memory_bytes)
        found = {name: value for name, value in self._given.items() if name not in self.compiled.names}
        found.update({name: value for name, value in own.items() if name in kept})
        return found, tuple(name for name in own if name not in kept)

    # --- what a frame writes down ---

    def waiting_at(self) -> tuple[ir.Site, tuple[Value, ...]]:
        """Where the run waits, and the arguments of its pending effect.

        Raises:
            LangError: `not_waiting`.
        """
        if self.state != "waiting":
            raise LangError("not_waiting", f"the run is {self.state}: only a waiting run has a frame")
        return self.compiled.body.sites[self._site - 1], self._args

    def bindings(self) -> dict[str, Projected]:
        """The bindings that stay with the host, by their names in a frame."""
        numbers = self.compiled.numbers
        names = self.compiled.body.slot_names
        return {
            names[slot]: self.slots[number]
            for slot, number in numbers.items()
            if slot[0] == "v" and type(self.slots[number]) is Projected
        }

    def passed_on(self) -> dict[str, Value]:
        """Given variables that the program does not name, checked like those that it does.

        Raises:
            LangError: `invalid_host_value`.
        """
        if not self._given:
            return {}
        if self._passed is not None:
            return self._passed
        free = Meter(Limits(fuel=2**62, memory_bytes=2**62))
        others = {name: value for name, value in self._given.items() if name not in self.compiled.names}
        try:
            self._passed = {name: from_host(free, value) for name, value in others.items()}
        except Fault as fault:
            raise LangError(fault.code, fault.message) from None
        return self._passed

    def restore(
        self,
        site_id: str,
        ordinal: int,
        args: tuple[Value, ...],
        slots: Mapping[str, Value],
        given: Mapping[str, Value],
    ) -> None:
        """Become the run that waits at `site_id`; raises when names or shapes do not fit the body."""
        body = self.compiled.body
        numbers = {body.slot_names[slot]: number for number, slot in enumerate(body.slots)}
        held = list(self.slots)
        places = {site.id: number for number, site in enumerate(body.sites, 1)}
        self._site = places[site_id]
        site = body.sites[self._site - 1]
        for slot in site.slots:
            if slot[0] == "s":
                held[self.compiled.numbers[slot]] = UNSET
        for name, value in slots.items():
            if name[0] == "r":
                name = "q" + name[1:]
                held[numbers[name]] = _fitting(name, range(*map(int, value.split())))
            elif type(value) is Projected and name[0] == "q":
                held[numbers[name]] = Rows(self.meter, value)
            elif type(value) is Projected and name[0] == "v":
                self._rebind(name[2:], numbers[name], value, held)
            else:
                held[numbers[name]] = _fitting(name, value)
        self.slots, self._args, self.ordinal, self._given = tuple(held), args, ordinal, dict(given)
        self._passed = dict(given)
        # It was paid for when it was asked the first time, perhaps within larger bounds.
        room = max(self.meter.limits.memory_bytes, _RESTORE_BYTES)
        free = Meter(Limits(fuel=2**62, memory_bytes=room))
        self.effect = Requests(free, self.run_id).effect(site, args, ordinal - 1)
        self.state = "waiting"

    def _rebind(self, name: str, number: int, value: Projected, held: list[Value]) -> None:
        """A projected binding of a frame: as the host binds it now, which must be the same content."""
        if name not in self.code.projected:
            raise ValueError(f"`{name}` holds a projected value")
        now = held[number]
        if now is UNSET:
            held[number] = value
        elif now != value:
            raise LangError(
                "projection_changed",
                f"`{name}` was {value.ref!r} when the run was parked, and is bound to something else now",
                name=name,
                ref=value.ref,
            )

    # --- running ---

    @property
    def printed(self) -> list[Value]:
        """What was printed so far."""
        return self.meter.printed

    @property
    def fuel_used(self) -> int:
        """Units of fuel spent so far."""
        return self.meter.limits.fuel - self.meter.fuel_left

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        return self.state not in ("ready", "waiting")

    def cancel(self) -> None:
        """Ask the run to stop; seen at its next slice of fuel, also from another thread."""
        self.meter.cancelled = True

    def advance(self, host: Perform) -> State:
        """Run until the program ends or `host` answers `LATER`.

        Raises:
            LangError: `not_ready` when the run has ended or waits for an answer. Errors of the program are not
                raised: see `state` and `error`. What `host` raises, other than `HostError`, is raised.
        """
        if self.state != "ready":
            raise LangError("not_ready", f"the run is {self.state}, it cannot advance")
        self._host = host
        self.meter.start_clock()
        self.meter.roots = generated_roots
        step = self.compiled.generated.step
        try:
            code, value, self.slots = step(self.meter, self._site, self._answer, self.slots, self._perform)
        except Left as left:
            self._take_over(left)
            self._reach(left.code, left.value)
        except (Fault, Halt, RecursionError, MemoryError) as error:
            self._fail(error)
        except Exception as error:
            trace = error.__traceback__
            if _raised_by_generated_code(trace):
                self._fail(error)
            else:
                raise
        else:
            self._reach(code, value)
        finally:
            self._host = None
            self.meter.roots = self._held
        return self.state

    def _reach(self, code: int, value: Value) -> None:
        """The body handed over: it waits at a site, or it has ended."""
        if code > 0:
            self._site, self.state = code, "waiting"
        else:
            self.state, self.value = _ENDS[code], value

    def _perform(self, number: int, *args: Value) -> Value:
        """Called by generated code at an effect."""
        site = self._sites[number - 1]
        meter = self.meter
        meter.fuel -= 1
        if meter.fuel < 0 or meter.cancelled:
            meter.work(0)
            meter.poll()
        receiver = site.receiver
        ordinal = self.ordinal
        effect: Effect | None
        if receiver is not None and len(args) == 1 and type(args[0]) is dict:
            # What `Requests.effect` would make, without the way there: most effects are of this form.
            effect = Effect(
                "operation", site.name, to_host(meter, args[0]), ordinal, site.id, self.run_id,
                site.host_operation, receiver.type_name, receiver.alias,
            )  # fmt: skip
        else:
            effect = self._requests.effect(site, args, ordinal)
            if effect is None:
                return self._requests.without_effect(site, args)
        self.ordinal = ordinal + 1
        host = self._host
        assert host is not None
        try:
            answer = host(effect)
        except HostError as error:
            answer = Failed(str(error))
        if type(answer) is Ok and site.kind == "operation":
            try:
                value = from_host(meter, answer.value)
            except Fault:
                return self._requests.wrapped(answer, "", fused=site.fused)
            return value if site.fused else {"ok": True, "value": value}
        if isinstance(answer, Unset):
            self.effect, self._args = effect, args
            if self.compiled.generated.large:
                raise Left(number, None)
            return PARK
        return self._requests.settle(site, args, effect, _outcomes(effect, answer))

    def answer(self, outcome: Outcome | Sequence[Outcome]) -> None:
        """Give the outcome of the pending effect (of each member, for a join); then `advance`.

        Raises:
            LangError: `not_waiting` when nothing is pending.
        """
        if self.state != "waiting" or self.effect is None:
            raise LangError("not_waiting", f"the run is {self.state}, it waits for no answer")
        site = self.compiled.body.sites[self._site - 1]
        try:
            self._answer = self._requests.settle(
                site, self._args, self.effect, _outcomes(self.effect, outcome)
            )
        except Fault as fault:
            self._answer = Failure(fault)
        except Halt as halt:
            self._restore_loops()
            self._stop(halt.code, halt.message, self.compiled.body.spans[site.at])
            return
        self.effect, self._args, self.state = None, (), "ready"

    def _held(self) -> list[Value]:
        """What the parked body holds, as the meter counts it."""
        return [v for slot, v in zip(self.compiled.body.slots, self.slots, strict=True) if slot[0] in "vtqs"]

    # --- endings ---

    def _fail(self, error: BaseException) -> None:
        """Take over what the stopped frames held, find the place, and let go of them."""
        code, message = _explain(error)
        place = None
        if self._take_over(error):
            for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
                if frame.f_code.co_filename == CODE_NAME and place is None:
                    place = self.compiled.generated.place(frame.f_code.co_name, line)
        self.meter.f = max(0, self.meter.f)
        self._restore_loops()
        self._stop(code, message, place)
        if error.__traceback__ is not None:
            traceback.clear_frames(error.__traceback__)
            error.__traceback__ = None

    def _take_over(self, error: BaseException) -> bool:
        """Take slots and slices from the frame of the body that `error` came out of, if it had begun."""
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename == CODE_NAME:
                names = frame.f_locals
                self.slots = tuple([names[slot] for slot in self.compiled.body.slots])
                if "f" in names:
                    self.meter.f, self.meter.m = max(0, names["f"]), names["m"]
                return True
        return False

    def _restore_loops(self) -> None:
        """A loop that a failure left gives its variable back (lashlang.md 3.2)."""
        slots = list(self.slots)
        numbers = self.compiled.numbers
        for saved, variable in reversed(self.compiled.body.restores):
            if slots[numbers[saved]] is not IDLE:
                slots[numbers[variable]] = slots[numbers[saved]]
                slots[numbers[saved]] = IDLE
        self.slots = tuple(slots)

    def _stop(self, code: str, message: str, place: tuple[int, int] | None) -> None:
        self.state, self.value = "error", None
        bound = zip(self.compiled.body.variables, self.slots, strict=False)
        known = [name for name, value in bound if value is not UNSET]
        self.error = self.code.error(code, message, place, known)


def _fitting(name: str, value: Value) -> Value:
    """`value` if a slot of this name can hold it; a frame that is not authenticated may hold anything."""
    allowed: dict[str, tuple[type, ...]] = {"o": (bool,), "i": (int,), "q": (list, range)}
    wanted = allowed.get(name[0])
    if (wanted is not None and type(value) not in wanted) or (wanted is None and type(value) is range):
        raise ValueError(f"slot `{name}` holds a {type(value).__name__}")
    if type(value) is range and len(value) > MAX_ITEMS:
        raise ValueError(f"slot `{name}` holds a range of too many numbers")
    return value


def _outcomes(effect: Effect, answer: Outcome | Sequence[Outcome]) -> tuple[Outcome, ...]:
    """The outcomes of an effect's members, or its own as the only one."""
    if effect.kind != "join":
        if type(answer) not in (Ok, Failed):
            raise LangError(
                "invalid_outcome", f"the host answered a {effect.kind} with a {type(answer).__name__}"
            )
        return (answer,)  # type: ignore[return-value]  # as tested
    outcomes = tuple(answer) if isinstance(answer, Sequence) else ()
    if len(outcomes) != len(effect.members) or any(type(each) not in (Ok, Failed) for each in outcomes):
        raise LangError("invalid_outcome", f"a join of {len(effect.members)} needs as many outcomes")
    return outcomes


def _explain(error: BaseException) -> tuple[str, str]:
    match error:
        case Fault() | Halt():
            return error.code, error.message
        case RecursionError():
            return "call_depth_exceeded", "the program needs more nested calls than there is room for"
        case MemoryError():
            return "memory_exhausted", "the process has no memory left for the program"
        case _:
            return (
                "internal_error",
                f"generated code failed with {type(error).__name__}; please report this program",
            )


def _raised_by_generated_code(trace: TracebackType | None) -> bool:
    """Whether an unforeseen exception came out of generated code or a helper of it, and not out of the host."""
    names = [frame.f_code for frame, _ in traceback.walk_tb(trace)]
    return bool(names) and Execution._perform.__code__ not in names
