"""From a text to a result: parse, link, compile (remembered), run.

`compile_program` is the only place that decides when compiled code may be reused: for the same text on an equal
surface with the same projected names. Everything below it is a function of its arguments.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Final

from lashlang.check import HostSurface, LinkedProgram, SurfaceBuilder, check
from lashlang.machine.code import Code
from lashlang.machine.drivers import AsyncHost, RunResult, each, refuse_effects, run_code
from lashlang.machine.effects import Effect, HostError, Ok, Outcome
from lashlang.machine.execution import Execution, Perform
from lashlang.machine.meter import Limits
from lashlang.machine.projection import Resolver
from lashlang.syntax import ProcessValue, Program, parse
from lashlang.syntax.traversal import walk

if TYPE_CHECKING:
    from lashlang.artifact import ModuleArtifact, SourceMap

Tool = Callable[[object], object]
"""A host operation as a plain function of its payload; `HostError` fails it with a text of its choice."""

_CACHE_ENTRIES: Final = 64
_lock = Lock()
_cache: OrderedDict[tuple[str, frozenset[str]], tuple[HostSurface, Code]] = OrderedDict()


def compile_program(
    program: str | Program | LinkedProgram | ModuleArtifact | Code,
    surface: HostSurface | None = None,
    *,
    projected: Iterable[str] = (),
    places: SourceMap | None = None,
) -> Code:
    """A program that can run.

    Args:
        program: text, a parsed or a linked program, a stored module; compiled code comes back as it is.
        surface: what names resolve to; without one every ability is on and there are no modules.
        projected: names of the host's read-only bindings.
        places: the side record of a stored module, so that its errors have places.

    Raises:
        ParseError, LinkError: with every finding.
    """
    names = frozenset(projected)
    if isinstance(program, str):
        return _remembered(program, surface if surface is not None else _everything_on(), names)
    if isinstance(program, Code):
        return program
    if isinstance(program, LinkedProgram):
        return _code(program, names)
    if isinstance(program, Program):
        return _code(check(program, surface if surface is not None else _everything_on()), names)
    from lashlang.artifact import placed

    tree = program.program if places is None else placed(program, places)
    return Code(tree, names, program.process_values())


@cache
def _everything_on() -> HostSurface:
    return HostSurface.with_everything_on()


def _remembered(source: str, surface: HostSurface, names: frozenset[str]) -> Code:
    """The code of a text, compiled once for each surface that it is used with last."""
    with _lock:
        known = _cache.get((source, names))
        if known is not None and (known[0] is surface or known[0] == surface):
            _cache.move_to_end((source, names))
            return known[1]
    code = _code(check(parse(source), surface), names)
    with _lock:
        _cache[source, names] = (surface, code)
        while len(_cache) > _CACHE_ENTRIES:
            _cache.popitem(last=False)
    return code


def _code(linked: LinkedProgram, projected: frozenset[str]) -> Code:
    values = {}
    if any(isinstance(node, ProcessValue) for node in walk(linked.program)):
        from lashlang.artifact import ModuleArtifact

        values = ModuleArtifact.from_program(linked).process_values()
    return Code(linked.program, projected, values)


def run(
    program: str | Program | LinkedProgram | ModuleArtifact | Code,
    host: Perform | Mapping[str, Tool] | None = None,
    *,
    surface: HostSurface | None = None,
    globals: Mapping[str, object] | None = None,
    projected: Mapping[str, object] | None = None,
    resolver: Resolver | None = None,
    limits: Limits | None = None,
    clock: Callable[[], int] | None = None,
    run_id: str = "run",
) -> RunResult:
    """Run a program's foreground on this thread.

    Args:
        program: text, or a program in any later form.
        host: answers effects: a function of an `Effect` that returns `Ok`, `Failed` or `LATER`, or a mapping of tool
            names to functions of the payload. Without one every effect fails.
        surface: what the program may name; a mapping of tools makes its own.
        globals: variables of the session; the result holds them afterwards, also after an error.
        projected: read-only bindings: data, or `Projected` for what stays with the host and is read through `resolver`.
        limits: fuel, memory, time; `clock` (milliseconds) is needed for the last.
        run_id: makes the effects' idempotency keys.

    Returns:
        How it ended. Errors of the running program are in the result, not raised.

    Raises:
        ParseError, LinkError: when the program cannot run at all. LangError: `nesting_too_deep` when it cannot be
        compiled, `invalid_host_value` when a variable is not plain data.
    """
    if isinstance(host, Mapping):
        surface = surface if surface is not None else surface_of_tools(host)
        host = host_of_tools(host)
    code = compile_program(program, surface, projected=projected or ())
    return run_code(
        code,
        host or refuse_effects,
        values=globals,
        projected=projected,
        resolver=resolver,
        limits=limits,
        clock=clock,
        run_id=run_id,
    )


async def run_async(
    program: str | Program | LinkedProgram | ModuleArtifact | Code,
    host: AsyncHost,
    *,
    surface: HostSurface | None = None,
    globals: Mapping[str, object] | None = None,
    projected: Mapping[str, object] | None = None,
    resolver: Resolver | None = None,
    limits: Limits | None = None,
    clock: Callable[[], int] | None = None,
    run_id: str = "run",
) -> RunResult:
    """`run` on an event loop: `host` is a coroutine function, the members of a join are awaited together."""
    from lashlang.machine.loop_driver import drive

    code = compile_program(program, surface, projected=projected or ())
    execution = Execution(
        code,
        values=globals,
        projected=projected,
        resolver=resolver,
        limits=limits,
        clock=clock,
        run_id=run_id,
    )
    return await drive(execution, host)


def surface_of_tools(tools: Iterable[str], *abilities: str) -> HostSurface:
    """A surface of untyped tools: `a.b.op` is `op` of module `a.b`, a plain name is one of `tools`."""
    builder = SurfaceBuilder().ability(*(abilities or ("sleep",)))
    for name in tools:
        builder.tool(name)
    return builder.build()


def host_of_tools(tools: Mapping[str, Tool]) -> Perform:
    """A host that calls plain functions; sleeps return at once, everything else fails."""

    def one(effect: Effect) -> Outcome:
        if effect.kind == "sleep":
            return Ok()
        path = f"{effect.alias}.{effect.name}"
        tool = tools.get(effect.host_operation or path) or tools.get(path.removeprefix("tools."))
        if effect.kind != "operation" or tool is None:
            raise HostError(f"there is no host for {effect.kind} `{effect.name}`")
        return Ok(tool(effect.payload))

    return each(one)
