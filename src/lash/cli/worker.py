"""`lash worker`: drives the work of a database (turns, processes, timers, triggers) until it is told to stop.

Several may run on one database, on one machine or many. SIGTERM drains: nothing new is taken up, what runs may end
for a while, and what is left is given back to the others.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from lash.agents import Agent, ProcessDefinition
from lash.errors import LashError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash worker`."""
    parser.add_argument("url", metavar="URL", help="the database: a path or a URL")
    parser.add_argument(
        "work",
        nargs="+",
        metavar="MODULE:ATTR",
        help="an agent, a @lash.process, a list of them, or a function that returns one; "
        "MODULE alone means all that it holds",
    )
    parser.add_argument(
        "--resources", metavar="MODULE:ATTR", help="live objects for tools, or what makes them"
    )
    parser.add_argument("--turns", type=int, default=256, help="turns at the same time (default: 256)")
    parser.add_argument(
        "--processes", type=int, default=256, help="processes at the same time (default: 256)"
    )
    parser.add_argument(
        "--drain",
        type=float,
        default=20.0,
        metavar="S",
        help="seconds that SIGTERM lets work end (default: 20)",
    )


def run(options: argparse.Namespace) -> int:
    """Work until a signal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import open as open_runtime

    work = [one for name in options.work for one in found_work(name)]
    resources = None if options.resources is None else _made(_attribute(options.resources))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stop)
    async with open_runtime(
        options.url,
        *work,
        resources=resources,
        max_concurrent_turns=options.turns,
        max_concurrent_processes=options.processes,
    ) as runtime:
        names = ", ".join(one.name for one in work)
        print(f"lash worker: working for {names}", file=sys.stderr, flush=True)
        await stop.wait()
        print(f"lash worker: draining for {options.drain:g} s", file=sys.stderr, flush=True)
        left = await runtime.drain(timeout=options.drain)
    print(f"lash worker: done; {left} pieces of work were given back", file=sys.stderr, flush=True)
    return 0


def _stop(stop: asyncio.Event) -> None:
    """Drain at the first signal; the second one means now."""
    if stop.is_set():
        os._exit(1)
    stop.set()


def found_work(name: str) -> list[Agent | ProcessDefinition[Any]]:
    """Return the agents and processes that `MODULE:ATTR` names.

    Raises:
        LashError: `worker_target_invalid`.
    """
    found = list(_work_in(_attribute(name)))
    if not found:
        raise LashError("worker_target_invalid", f"{name!r} holds neither an agent nor a @lash.process")
    return found


def _work_in(value: Any) -> Iterator[Agent | ProcessDefinition[Any]]:
    match value:
        case Agent() | ProcessDefinition():
            yield value
        case list() | tuple():
            for one in value:
                yield from _work_in(one)
        case type():
            return
        case _ if hasattr(value, "__path__") or type(value).__name__ == "module":
            seen: dict[int, Any] = {id(one): one for one in vars(value).values()}
            yield from (one for one in seen.values() if isinstance(one, Agent | ProcessDefinition))
        case _ if callable(value):
            yield from _work_in(value())


def _made(value: Any) -> Any:
    return value() if callable(value) else value


def _attribute(name: str) -> Any:
    module_name, _, path = name.partition(":")
    try:
        value: Any = import_module(module_name)
    except ModuleNotFoundError as problem:
        raise LashError(
            "worker_target_invalid", f"{name!r}: {problem}; run it where the module can be imported"
        ) from problem
    for part in filter(None, path.split(".")):
        if not hasattr(value, part):
            raise LashError("worker_target_invalid", f"{name!r}: {module_name} has no {part!r}")
        value = getattr(value, part)
    return value
