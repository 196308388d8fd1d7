"""Running a program on an event loop.

Apart from `drivers` because importing asyncio costs more than the rest of the language.
"""

from __future__ import annotations

import asyncio

from lashlang.machine.drivers import AsyncHost, RunResult, park_all, result_of
from lashlang.machine.effects import Effect, Failed, HostError, Outcome
from lashlang.machine.execution import Execution


async def drive(run: Execution, host: AsyncHost, *, offload: bool | None = None) -> RunResult:
    """Drive a run on the event loop: effects are awaited, the members of a join together.

    Computing between two effects happens on a worker thread when the program has loops or functions (`offload` says
    otherwise), so that the loop stays free and a cancellation gets in: cancelling the task stops the program at its
    next slice of fuel and, as nothing else holds it, drops it.
    """
    body = run.compiled.body
    apart = (body.loops or body.calls_fn) if offload is None else offload
    if run.state == "waiting":
        await _answer(run, host)
    while run.state == "ready":
        if apart:
            await _advance_apart(run)
        else:
            run.advance(park_all)
        if run.effect is not None:
            await _answer(run, host)
    return result_of(run)


async def _advance_apart(run: Execution) -> None:
    """One stretch of computing on a thread; a cancellation waits for it to stop, which takes a slice of fuel."""
    task = asyncio.ensure_future(asyncio.to_thread(run.advance, park_all))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        run.cancel()
        await asyncio.wait([task])
        raise


async def _answer(run: Execution, host: AsyncHost) -> None:
    effect = run.effect
    assert effect is not None
    if effect.kind != "join":
        run.answer(await _awaited(host, effect))
        return
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_awaited(host, member)) for member in effect.members]
    run.answer([task.result() for task in tasks])


async def _awaited(host: AsyncHost, effect: Effect) -> Outcome:
    try:
        return await host(effect)
    except HostError as error:
        return Failed(str(error))
