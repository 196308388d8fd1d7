"""A parked run as bytes.

A frame names everything by what it means: the code by its hash, the position by its site, slots by variable names and
tree paths. Layout: magic, format version, authentication byte (0 none, 1 keyed), body, and with a key 32 bytes of
keyed BLAKE2b over all that precedes. Equal states have equal bytes.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from lashlang.errors import LangError
from lashlang.machine.code import Code
from lashlang.machine.codec import decode_values, encode_values
from lashlang.machine.effects import Failed, Ok, Outcome
from lashlang.machine.execution import Execution
from lashlang.machine.fault import Fault, Halt
from lashlang.machine.meter import Limits
from lashlang.machine.projection import Resolver, Rows
from lashlang.machine.values import Unset, Value

MAGIC: Final = b"lashF"
VERSION: Final = 2
_MAC_BYTES: Final = 32
_HEAD: Final = len(MAGIC) + 2


class Frame(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything that a waiting run is.

    Its values share their containers, so that no tree of theirs is bounded: compare and store a frame as bytes.

    Attributes:
        code_ref: which program, exactly.
        entry: `main`, or `process:NAME`.
        run_id: the run, and with `ordinal` the key of the effect it waits for.
        site: where it waits.
        ordinal: how many effects it asked for, the pending one included.
        args: the evaluated arguments of the pending effect.
        slots: what is bound, by stable name.
        meter: fuel outside the slice and in it, memory until the next count outside the slice and in it, and the bytes
            that were printed.
        outcomes: of a join, what has arrived so far, by member.
        given: session variables that the program does not name and only passes on.
    """

    code_ref: str
    entry: str
    run_id: str
    site: str
    ordinal: int
    args: tuple[Value, ...]
    slots: dict[str, Value]
    meter: tuple[int, int, int, int, int]
    outcomes: dict[int, Outcome] = {}
    given: dict[str, Value] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash((self.run_id, self.ordinal, self.site))

    def __repr__(self) -> str:
        return f"<Frame of {self.run_id!r} at {self.site!r}, effect {self.ordinal}>"

    @classmethod
    def of(cls, run: Execution, outcomes: Mapping[int, Outcome] | None = None) -> Frame:
        """The frame of a waiting run.

        Raises:
            LangError: `not_waiting`.
        """
        site, args = run.waiting_at()
        held = run.slots
        slots: dict[str, Value] = {}
        for number, name in run.compiled.plan(site, run.code.projected):
            value = held[number]
            t = type(value)
            if t is Unset or (value is False and name[0] == "o"):
                continue
            if t is Rows:
                slots[name] = value.source
            elif t is range:
                slots["r" + name[1:]] = f"{value.start} {value.stop} {value.step}"
            else:
                slots[name] = value
        if run.code.projected:
            slots.update(run.bindings())
        return cls(
            code_ref=run.code.code_ref,
            entry=run.entry,
            run_id=run.run_id,
            site=site.id,
            ordinal=run.ordinal,
            args=args,
            slots=slots,
            meter=run.meter.state(),
            outcomes=dict(outcomes or {}),
            given=run.passed_on(),
        )

    def to_bytes(self, key: bytes | None = None) -> bytes:
        """The canonical bytes; with `key` (up to 64 bytes) they are authenticated.

        Raises:
            LangError: `value_too_large` for a value nested deeper than 64 levels.
        """
        head = (
            self.code_ref, self.entry, self.run_id, self.site, self.ordinal, *self.meter,
            len(self.args), len(self.slots), len(self.given), *self.slots, *self.given,
        )  # fmt: skip
        values: list[Value] = [*self.slots.values(), *self.given.values(), *self.args]
        for index, outcome in sorted(self.outcomes.items()):
            good = type(outcome) is Ok
            values += [index, good, outcome.value if good else outcome.error]  # type: ignore[union-attr]  # as tested
        data = MAGIC + bytes((VERSION, key is not None)) + encode_values(values, head)
        return data if key is None else data + _mac(key, data)

    @classmethod
    def from_bytes(cls, data: bytes, key: bytes | None = None) -> Frame:
        """The frame in `data`.

        Raises:
            LangError: `frame_codec` for bytes that are no frame, `frame_version` for another format, `frame_key` when
                the key is missing, wrong, or the bytes were changed.
        """
        return cls._from_values(decode_values(_opened(data, key)))

    @classmethod
    def _from_values(cls, values: list[Value]) -> Frame:
        if len(values) < 13 or [type(value) for value in values[:13]] != [str] * 4 + [int] * 9:
            raise LangError("frame_codec", "the frame's head is damaged")
        code_ref, entry, run_id, site, ordinal = values[:5]
        args, slots, given = values[10:13]
        rest = _Rest(values[13:])
        names, others = rest.names(slots), rest.names(given)
        bound = dict(zip(names, rest.take(slots), strict=True))
        passed = dict(zip(others, rest.take(given), strict=True))
        return cls(
            code_ref=code_ref,
            entry=entry,
            run_id=run_id,
            site=site,
            ordinal=ordinal,
            meter=tuple(values[5:10]),
            slots=bound,
            given=passed,
            args=tuple(rest.take(args)),
            outcomes=rest.outcomes(),
        )

    def resume(
        self,
        code: Code,
        *,
        limits: Limits | None = None,
        clock: Callable[[], int] | None = None,
        projected: Mapping[str, object] | None = None,
        resolver: Resolver | None = None,
    ) -> Execution:
        """The waiting run that this frame is, ready for `answer` and `advance`.

        `Projected` bindings come back by their references when `projected` leaves them out.

        Raises:
            LangError: `frame_code_mismatch` when `code` is another program, `frame_stale` when the frame does not fit
                it although the hash does (it was not made by this runtime), `projection_changed` when a binding is
                not what it was.
        """
        if code.code_ref != self.code_ref:
            raise LangError(
                "frame_code_mismatch",
                f"the frame belongs to code {self.code_ref[:12]}…, not to {code.code_ref[:12]}…; "
                "resume it with the program that it was made by",
                frame=self.code_ref,
                code_ref=code.code_ref,
            )
        try:
            run = Execution(
                code,
                self.entry,
                values=self._arguments(code),
                projected=projected,
                resolver=resolver,
                limits=limits,
                clock=clock,
                run_id=self.run_id,
            )
            run.meter.restore(self.meter)
            run.restore(self.site, self.ordinal, self.args, self.slots, self.given)
        except (
            LangError,
            Fault,
            Halt,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
        ) as error:
            if isinstance(error, LangError) and error.code in ("invalid_host_value", "projection_changed"):
                raise  # the host's own bindings, not the frame
            raise LangError("frame_stale", f"the frame does not fit its program: {error}") from None
        return run

    def _arguments(self, code: Code) -> dict[str, Value]:
        if self.entry == "main":
            return {}
        return {name: self.slots.get(f"v:{name}") for name in code.entry(self.entry).body.params}


class _Rest:
    """What follows the head of a frame, taken in order; damage is `frame_codec`."""

    def __init__(self, values: list[Value]) -> None:
        self._values = values
        self._at = 0

    def take(self, count: int) -> list[Value]:
        """The next `count` values."""
        if not 0 <= count <= len(self._values) - self._at:
            raise LangError("frame_codec", "the frame is shorter than it says")
        self._at += count
        return self._values[self._at - count : self._at]

    def names(self, count: int) -> list[str]:
        """The next `count` values, which must be texts."""
        names = self.take(count)
        if not all(type(name) is str for name in names):
            raise LangError("frame_codec", "a name in the frame is not text")
        return names

    def outcomes(self) -> dict[int, Outcome]:
        """Everything that is left, as triples of member, success and content."""
        found: dict[int, Outcome] = {}
        while self._at < len(self._values):
            index, good, content = self.take(3)
            if type(index) is not int or type(good) is not bool or not (good or type(content) is str):
                raise LangError("frame_codec", "an outcome in the frame is damaged")
            found[index] = Ok(content) if good else Failed(content)
        return found


def _opened(data: bytes, key: bytes | None) -> memoryview:
    """The body of authenticated or plain bytes, after every check that needs no decoding."""
    if data[: len(MAGIC)] != MAGIC or len(data) < _HEAD:
        raise LangError("frame_codec", "these bytes are not a lashlang frame")
    version, keyed = data[len(MAGIC)], data[len(MAGIC) + 1]
    if version != VERSION:
        raise LangError(
            "frame_version",
            f"the frame has format {version}, this runtime reads format {VERSION}",
            version=version,
            supported=VERSION,
        )
    if keyed != (key is not None):
        need = "is authenticated: give its key" if keyed else "is not authenticated, but a key was given"
        raise LangError("frame_key", f"the frame {need}")
    if key is not None:
        data, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, _mac(key, data)):
            raise LangError("frame_key", "the frame was written with another key, or was changed since")
    return memoryview(data)[_HEAD:]


def _mac(key: bytes, data: bytes) -> bytes:
    return blake2b(data, digest_size=_MAC_BYTES, key=key).digest()


def pack_values(values: Mapping[str, Value], key: bytes | None = None) -> bytes:
    """Session variables as bytes, by the same means as a frame."""
    data = MAGIC + bytes((VERSION, key is not None)) + encode_values([len(values), *values, *values.values()])
    return data if key is None else data + _mac(key, data)


def unpack_values(data: bytes, key: bytes | None = None) -> dict[str, Value]:
    """The session variables of `pack_values`.

    Raises:
        LangError: as `Frame.from_bytes`.
    """
    body = _opened(data, key)
    values = decode_values(body)
    count = values[0] if values else 0
    if type(count) is not int or len(values) != 1 + 2 * count:
        raise LangError("frame_codec", "the variables are shorter than they say")
    names = values[1 : 1 + count]
    if any(type(name) is not str for name in names):
        raise LangError("frame_codec", "a variable's name is not text")
    return dict(zip(names, values[1 + count :], strict=True))
