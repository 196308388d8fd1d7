"""One program, run in different ways over the same scripted host, each told in the same terms."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from lashlang.check import HostSurface
from lashlang.machine.border import keepable
from lashlang.machine.code import Code
from lashlang.machine.codegen import PARK
from lashlang.machine.drivers import Recorder, Replay
from lashlang.machine.effects import LATER, Effect, Failed, HostError
from lashlang.machine.execution import Execution, _outcomes
from lashlang.machine.fault import Fault, Halt
from lashlang.machine.frame import Frame
from lashlang.machine.interpreter import Interpreter
from lashlang.machine.meter import Limits, Meter
from lashlang.machine.requests import Requests
from lashlang.machine.scripted_host import ScriptedHost
from lashlang.machine.values import IDLE, UNSET, kind
from lashlang.running import compile_program


@dataclass(frozen=True)
class Story:
    """Everything that can be observed about a run."""

    state: str
    value: Any
    code: str | None
    message: str | None
    span: tuple[int, int] | None
    printed: tuple[Any, ...]
    effects: tuple[Any, ...]
    variables: str
    lost: tuple[str, ...]
    fuel: int
    memory: int


def compiled(source: str, host: dict[str, Any]) -> Code:
    return compile_program(source, HostSurface.from_host(host))


def _host(code: Code, host: dict[str, Any], limits: Limits) -> tuple[ScriptedHost, Callable[[Effect], Any]]:
    surface = HostSurface.from_host(host)
    operations = {
        (path, name): target
        for path, module in surface.modules.items()
        for name, target in module.operations.items()
    }
    scripted = ScriptedHost(host.get("tools"), operations, limits=limits)
    return scripted, scripted.attach(code)


def _told(effects: list[Effect]) -> tuple[Any, ...]:
    return tuple(
        (e.kind, e.name, e.host_operation, e.alias, e.key, e.site, plain(e.payload)) for e in effects
    )


_READABLE = 40
"""A value of at most so many parts is told in full, a larger one by its digest."""


def plain(value: Any, known: dict[int, tuple[str, int]] | None = None) -> str:
    """A value so that `==` tells everything apart that a program can: NaN equals NaN, 1 is not true.

    Takes time linear in what is there, however often it is shared: a program can build trees of any size.
    """
    return _plain(value, {} if known is None else known)[0]


def _plain(value: Any, known: dict[int, tuple[str, int]]) -> tuple[str, int]:
    if not isinstance(value, (list, dict)):
        exact = value if isinstance(value, (int, str, bool, type(None))) else None
        told = f"{kind(value)} {type(value).__name__} {exact if exact is not None else repr(value)!r}"
        return (told, 1) if len(told) < 200 else (_digest(told), 1)
    found = known.get(id(value))
    if found is None:
        if isinstance(value, list):
            pairs = [_plain(item, known) for item in value]
            text = "[" + ", ".join(told for told, _ in pairs) + "]"
        else:
            pairs = [_plain(item, known) for item in value.values()]
            text = (
                "{" + ", ".join(f"{key!r}: {told}" for key, (told, _) in zip(value, pairs, strict=True)) + "}"
            )
        parts = 1 + sum(count for _, count in pairs)
        found = known[id(value)] = (text, parts) if parts <= _READABLE else (_digest(text), _READABLE)
    return found


def _digest(text: str) -> str:
    return f"<{text[:60]}… {sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}>"


def direct(code: Code, host: dict[str, Any], limits: Limits) -> Story:
    """Generated code, the host answering at once."""
    scripted, perform = _host(code, host, limits)
    run = Execution(code, limits=limits)
    run.advance(perform)
    return _of(run, run.printed, scripted.effects)


def parked(code: Code, host: dict[str, Any], limits: Limits, *, key: bytes | None = None) -> Story:
    """Generated code, turned into bytes and back at every effect."""
    scripted, perform = _host(code, host, limits)
    run = Execution(code, limits=limits)
    printed: list[Any] = []
    while run.state == "ready":
        run.advance(lambda _: LATER)
        printed += run.printed
        if run.state != "waiting":
            break
        data = Frame.of(run).to_bytes(key)
        again = Frame.from_bytes(data, key).to_bytes(key)
        assert again == data
        run = Frame.from_bytes(data, key).resume(code, limits=limits)
        assert run.effect is not None
        try:
            outcome = perform(run.effect)
        except HostError as error:
            outcome = Failed(str(error))
        run.answer(outcome)
    return _of(run, printed, scripted.effects)


def _of(run: Execution, printed: list[Any], effects: list[Effect]) -> Story:
    error = run.error
    kept, lost = run.variables()
    return Story(
        run.state,
        plain(run.value),
        error.code if error else None,
        error.message if error else None,
        error.span if error else None,
        tuple(map(plain, printed)),
        _told(effects),
        plain(kept),
        lost,
        run.meter.fuel_left,
        run.meter.mem + run.meter.m,
    )


def oracle(code: Code, host: dict[str, Any], limits: Limits) -> Story:
    """The plain interpreter."""
    scripted, perform = _host(code, host, limits)
    meter = Meter(limits)
    requests = Requests(meter, "run")
    body = code.entry().body
    ordinal = 0

    def effect(number: int, *args: Any) -> Any:
        nonlocal ordinal
        site = body.sites[number - 1]
        meter.fuel -= 1
        if meter.fuel < 0:
            meter.work(0)
        asked = requests.effect(site, args, ordinal)
        if asked is None:
            return requests.without_effect(site, args)
        ordinal += 1
        try:
            answer = perform(asked)
        except HostError as error:
            answer = Failed(str(error))
        assert answer is not PARK
        return requests.settle(site, args, asked, _outcomes(asked, answer))

    run = Interpreter(meter, body, code.functions, effect, {})
    state, value, error = "", None, None
    try:
        how, value = run.run()
        state = {"finish": "finished", "end": "continued", "fail": "failed"}[how]
    except (Fault, Halt) as stop:
        state, value, error = "error", None, code.error(stop.code, stop.message, run.place)
        meter.f = max(0, meter.f)
        for saved, variable in reversed(body.restores):
            if run.slots[saved] is not IDLE:
                run.slots[variable] = run.slots[saved]
    variables = {
        name: run.slots[f"v{n}"] for n, name in enumerate(body.variables) if run.slots[f"v{n}"] is not UNSET
    }
    kept = keepable(variables, limits.memory_bytes)
    lost = tuple(name for name in variables if name not in kept)
    variables = {name: value for name, value in variables.items() if name in kept}
    return Story(
        state,
        plain(value),
        error.code if error else None,
        error.message if error else None,
        error.span if error else None,
        tuple(map(plain, meter.printed)),
        _told(scripted.effects),
        plain(variables),
        lost,
        meter.fuel_left,
        meter.mem + meter.m,
    )


WORKER = """
import pickle, sys
sys.path[:0] = pickle.load(sys.stdin.buffer)
from lashlang import LATER, Execution, Frame
from tests.unit.lashlang.machine.engines import _of, compiled
while True:
    try:
        source, host, limits, data, outcome = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    code = compiled(source, host)
    if data is None:
        run = Execution(code, limits=limits)
    else:
        run = Frame.from_bytes(data, b"key").resume(code, limits=limits)
        run.answer(outcome)
    if run.state == "ready":
        run.advance(lambda _: LATER)
    printed = run.printed
    frame = Frame.of(run).to_bytes(b"key") if run.state == "waiting" else None
    pickle.dump((printed, frame, None if frame else _of(run, [], [])), sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""


class Pool:
    """Fresh interpreters that each do one stretch of a run, in turn."""

    def __init__(self, size: int) -> None:
        self._children = [self._fresh() for _ in range(size)]
        self._turn = 0

    def _fresh(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._send(child, sys.path)
        return child

    def renew(self, *, kill: bool = False) -> None:
        """A fresh interpreter instead of the next one, which ends or, with `kill`, is killed while it works."""
        place = self._turn % len(self._children)
        if kill:
            self._children[place].kill()
        self._children[place].communicate()
        self._children[place] = self._fresh()

    def _send(self, child: subprocess.Popen[bytes], message: Any) -> None:
        assert child.stdin is not None
        pickle.dump(message, child.stdin)
        child.stdin.flush()

    def stretch(self, *message: Any) -> tuple[list[Any], bytes | None, Story | None]:
        """One stretch of computing, in the next interpreter: what was printed, and a frame or the story."""
        child = self._children[self._turn % len(self._children)]
        self._turn += 1
        self._send(child, message)
        assert child.stdout is not None
        return pickle.load(child.stdout)  # type: ignore[no-any-return]  # what the worker dumped

    def close(self) -> None:
        """End the interpreters."""
        for child in self._children:
            child.communicate()


class Killed(Exception):
    """The process of a run ends here."""


def replayed(code: Code, host: dict[str, Any], limits: Limits, at: int) -> tuple[Story, list[str]]:
    """A run that dies when effect `at` has been done and its outcome recorded, and is made again from the record.

    Returns its story, and the key of every effect that the host really did.
    """
    scripted, perform = _host(code, host, limits)
    recorder = Recorder(perform)

    def mortal(effect: Effect) -> Any:
        answer = recorder(effect)
        if effect.ordinal == at:
            raise Killed
        return answer

    run = Execution(code, limits=limits)
    with suppress(Killed):
        run.advance(mortal)
    again = Execution(code, limits=limits)
    again.advance(Replay(recorder.records, recorder))
    return _of(again, again.printed, scripted.effects), [effect.key for effect in scripted.effects]


def elsewhere(
    source: str, host: dict[str, Any], limits: Limits, pool: Pool, before: Callable[[], None] = lambda: None
) -> Story:
    """Generated code, each stretch between two effects in another operating-system process.

    `before` is called before each stretch and may exchange interpreters.
    """
    code = compiled(source, host)
    scripted, perform = _host(code, host, limits)
    told, data, story = pool.stretch(source, host, limits, None, None)
    printed = list(told)
    while data is not None:
        effect = Frame.from_bytes(data, b"key").resume(code, limits=limits).effect
        assert effect is not None
        try:
            outcome = perform(effect)
        except HostError as error:
            outcome = Failed(str(error))
        before()
        told, data, story = pool.stretch(source, host, limits, data, outcome)
        printed += told
    assert story is not None
    return replace(story, printed=tuple(map(plain, printed)), effects=_told(scripted.effects))
