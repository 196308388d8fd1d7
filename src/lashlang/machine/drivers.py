"""Ways to run a program on this thread: at once, against a recording, and while making one.

All of them (and `loop_driver`) drive the same `Execution` over the same compiled code; they differ in who answers the
effects. Nothing here decides what a program means.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from lashlang.errors import LangError
from lashlang.hashing import content_hash
from lashlang.machine.code import Code
from lashlang.machine.effects import LATER, Effect, Failed, HostError, Ok, Outcome
from lashlang.machine.execution import Execution, Perform, State
from lashlang.machine.frame import Frame
from lashlang.machine.meter import Limits
from lashlang.machine.projection import Resolver
from lashlang.machine.values import Unset, Value

AsyncHost = Callable[[Effect], Awaitable[Outcome]]


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended, or where it waits.

    Attributes:
        state: `finished` (`submit`, `finish`), `continued` (reached its end), `failed` (`fail`), `error`, `waiting`.
        value: what it submitted, finished or failed with, as JSON data.
        error: the error, for `error`; its place is in it.
        printed: what it printed, as JSON data.
        globals: the foreground's variables, for the next block.
        lost: variables that are too large to be kept, see `Execution.lost`.
        fuel_used: units of fuel.
        effects: how many effects it asked for.
        frame: for `waiting`, the run as data.
    """

    state: State
    value: Value = None
    error: LangError | None = None
    printed: tuple[Value, ...] = ()
    globals: dict[str, Value] = {}
    lost: tuple[str, ...] = ()
    fuel_used: int = 0
    effects: int = 0
    frame: Frame | None = None

    def unwrap(self) -> Value:
        """The value, or the error raised."""
        if self.error is not None:
            raise self.error
        return self.value


def result_of(run: Execution) -> RunResult:
    """The result of a run that has ended or waits."""
    kept, lost = run.variables() if run.entry == "main" else ({}, ())
    return RunResult(
        state=run.state,
        value=run.value,
        error=run.error,
        printed=tuple(run.printed),
        globals=kept,
        lost=lost,
        fuel_used=run.fuel_used,
        effects=run.ordinal,
        frame=Frame.of(run) if run.state == "waiting" else None,
    )


def refuse_effects(effect: Effect) -> Outcome:
    """The host of a program that has none: every effect fails."""
    raise HostError(f"there is no host for {effect.kind} `{effect.name}`")


def run_code(
    code: Code,
    host: Perform = refuse_effects,
    *,
    entry: str = "main",
    values: Mapping[str, object] | None = None,
    projected: Mapping[str, object] | None = None,
    resolver: Resolver | None = None,
    limits: Limits | None = None,
    clock: Callable[[], int] | None = None,
    run_id: str = "run",
) -> RunResult:
    """Run a program on this thread; `host` answers each effect, or says `LATER` to have it parked.

    A `join` is answered by a sequence of outcomes; a host that only knows single effects is wrapped in `each`.
    """
    run = Execution(
        code,
        entry,
        values=values,
        projected=projected,
        resolver=resolver,
        limits=limits,
        clock=clock,
        run_id=run_id,
    )
    if run.state == "ready":
        run.advance(host)
    return result_of(run)


def each(host: Callable[[Effect], Outcome]) -> Perform:
    """A host for joins made of a host for single effects: members one after the other, in program order."""

    def perform(effect: Effect) -> Outcome | Sequence[Outcome]:
        return [_one(host, member) for member in effect.members] if effect.kind == "join" else host(effect)

    return perform


def _one(host: Callable[[Effect], Outcome], effect: Effect) -> Outcome:
    try:
        return host(effect)
    except HostError as error:
        return Failed(str(error))


def park_all(effect: Effect) -> Unset:
    """The host that has no answer yet, to anything: each effect parks the program."""
    return LATER


class Recorded(msgspec.Struct, frozen=True):
    """One line of a recording: which effect, and what came of it."""

    ordinal: int
    site: str
    kind: str
    asked: str
    outcomes: tuple[Outcome, ...]


def fingerprint(effect: Effect) -> str:
    """What an effect asked for, as a hash: kind, names and payload of it and its members."""
    return content_hash(_asked(effect))


def _asked(effect: Effect) -> list[object]:
    head = [effect.kind, effect.name, effect.host_operation or "", effect.alias, effect.payload]
    return [*head, [_asked(member) for member in effect.members]]


class Recorder:
    """A host that passes effects on and writes down what happened, for `Replay`."""

    def __init__(self, host: Perform) -> None:
        self._host = host
        self.records: list[Recorded] = []

    def __call__(self, effect: Effect) -> Outcome | Sequence[Outcome] | Unset:
        """Answer as the wrapped host does."""
        try:
            answer = self._host(effect)
        except HostError as error:
            answer = Failed(str(error))
        if not isinstance(answer, Unset):
            outcomes = (answer,) if isinstance(answer, Ok | Failed) else tuple(answer)
            line = Recorded(effect.ordinal, effect.site, effect.kind, fingerprint(effect), outcomes)
            self.records.append(line)
        return answer


class Replay:
    """A host that answers from a recording, and goes on with `then` (default: `LATER`) when it ends.

    Raises (from the run): LangError `replay_mismatch` when the program asks for something else than it did; the
    facts say where, what was recorded and what is asked now.
    """

    def __init__(self, records: Sequence[Recorded], then: Perform = park_all) -> None:
        self._records = {record.ordinal: record for record in records}
        self._then = then

    def __call__(self, effect: Effect) -> Outcome | Sequence[Outcome] | Unset:
        """The recorded outcome of this very effect."""
        record = self._records.get(effect.ordinal)
        if record is None:
            return self._then(effect)
        asked = fingerprint(effect)
        if (record.site, record.kind, record.asked) != (effect.site, effect.kind, asked):
            raise LangError(
                "replay_mismatch",
                f"effect {effect.ordinal} was {record.kind} at {record.site}, "
                f"the program now asks for {effect.kind} `{effect.name}` at {effect.site}"
                + (
                    ""
                    if record.site != effect.site or record.kind != effect.kind
                    else " with other arguments"
                ),
                ordinal=effect.ordinal,
                recorded_site=record.site,
                site=effect.site,
                recorded_kind=record.kind,
                kind=effect.kind,
            )
        return record.outcomes if effect.kind == "join" else record.outcomes[0]
