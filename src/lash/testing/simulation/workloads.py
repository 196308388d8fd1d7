"""What clients want of lash: each workload is a client, or several, that keep at it until they have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import lash
from lash.errors import LashError
from lash.facade.runtime import Runtime
from lash.testing.simulation.books import OnBusy, SentInput
from lash.testing.simulation.cast import job, on_event
from lash.testing.simulation.chance import Chance
from lash.testing.simulation.world import World
from lash.values import Approval, TriggerSubscriptionRecord

_OVER: Final = frozenset(
    {"process_already_terminal", "process_terminal", "approval_answered", "approval_expired"}
)


async def _pause(chance: Chance, longest_s: float) -> None:
    await asyncio.sleep(chance.number() * longest_s)


# ---- turns


def turns(world: World, chance: Chance) -> None:
    """Conversations: inputs that queue or enter a running turn, some of them cancelled, some waited for."""
    for number in range(chance.between(1, 3)):
        world.client(f"chat {number}", _chat(world, f"s{number}", chance.of(f"chat{number}"), _plan))


def approvals(world: World, chance: Chance) -> None:
    """Calls that wait for a person, who answers some time later."""
    for number in range(chance.between(1, 2)):
        world.client(f"payer {number}", _chat(world, f"p{number}", chance.of(f"pay{number}"), _paying))


def subagents(world: World, chance: Chance) -> None:
    """An agent that asks another one."""
    world.client("chief", _chat(world, "chief", chance.of("chief"), _asking))


async def _chat(world: World, session_id: str, chance: Chance, plan: Callable[[Chance], str]) -> None:
    for number in range(chance.between(1, 4)):
        await _pause(chance, chance.one_of((0.1, 2, 8)))
        on_busy: OnBusy = "inject" if chance.happens(0.3) else "queue"
        sent = SentInput(
            session_id=session_id,
            turn_id=f"{session_id}-in{number}",
            text=f"#{session_id}-in{number} {plan(chance)}".strip(),
            on_busy=on_busy,
        )
        world.books.inputs[sent.turn_id] = sent
        await _send(world, sent, chance)
        if chance.happens(0.15):
            world.client(f"cancel {sent.turn_id}", _cancel(world, sent, chance.of(f"cancel{number}")))
        elif chance.happens(0.4):
            world.client(f"await {sent.turn_id}", _await(world, sent, chance.of(f"await{number}")))


async def _send(world: World, sent: SentInput, chance: Chance) -> None:
    async def send(runtime: Runtime) -> None:
        session = await runtime.session(sent.session_id, "desk")
        await session.send(sent.text, idempotency_key=sent.turn_id, on_busy=sent.on_busy)

    await world.ask(send, chance)
    sent.accepted = True
    world.trace.note("client", f"accepted {sent.turn_id}")


async def _await(world: World, sent: SentInput, chance: Chance) -> None:
    async def result(runtime: Runtime) -> str:
        session = await runtime.session(sent.session_id, "desk")
        found = await session.turn(sent.text, turn_id=sent.turn_id, on_busy=sent.on_busy)
        return found.text

    sent.answer = await world.ask(result, chance)
    world.trace.note("client", f"answer to {sent.turn_id}: {sent.answer}")


async def _cancel(world: World, sent: SentInput, chance: Chance) -> None:
    await _pause(chance, 4)
    sent.cancel_asked = True

    async def cancel(runtime: Runtime) -> str:
        return await runtime.cancel_turn(sent.session_id, sent.turn_id)

    answer = await world.ask(cancel, chance)
    world.trace.note("client", f"cancel of {sent.turn_id}: {answer}")


def _calls(chance: Chance, names: tuple[str, ...]) -> str:
    words = (f"{chance.one_of(names)}:{chance.below(100)}" for _ in range(chance.one_of((1, 1, 2, 3))))
    return "+".join(words)


def _plan(chance: Chance) -> str:
    return " ".join(_calls(chance, ("lookup", "save", "charge")) for _ in range(chance.below(4)))


def _paying(chance: Chance) -> str:
    return " ".join(_calls(chance, ("pay", "pay", "lookup")) for _ in range(chance.between(1, 2)))


def _asking(chance: Chance) -> str:
    return " ".join(_calls(chance, ("helper", "save")) for _ in range(chance.between(1, 2)))


# ---- processes


def processes(world: World, chance: Chance) -> None:
    """Durable functions with steps, sleeps, waits, signals, children, agents and wakes; some are cancelled."""
    for number in range(chance.between(1, 3)):
        world.client(f"boss {number}", _boss(world, f"job{number}", chance.of(f"boss{number}")))


async def _boss(world: World, process_id: str, chance: Chance) -> None:
    await _pause(chance, 5)
    session_id = f"b{chance.below(2)}"
    plan = _work(process_id, chance)
    world.books.processes[process_id] = session_id
    world.books.plans[process_id] = plan
    for line in plan:
        if line.startswith("wake:"):
            world.books.wakes[line.partition(":")[2]] = (process_id, session_id)

    async def start(runtime: Runtime) -> None:
        session = await runtime.session(session_id, "desk")
        await runtime.processes.start(job, plan, id=process_id, session=session.id)

    await world.ask(start, chance)
    world.trace.note("client", f"started {process_id}: {plan}")
    if chance.happens(0.2):
        await _pause(chance, 10)
        await _cancel_process(world, process_id, chance)

    async def result(runtime: Runtime) -> str:
        return str(await runtime.processes.wait(process_id))

    try:
        world.books.results[process_id] = await world.ask(result, chance)
    except LashError as problem:
        world.books.results[process_id] = problem.code
    world.trace.note("client", f"result of {process_id}: {world.books.results[process_id]}")


async def _cancel_process(world: World, process_id: str, chance: Chance) -> None:
    world.books.process_cancels.add(process_id)

    async def cancel(runtime: Runtime) -> None:
        await runtime.processes.cancel(process_id)

    try:
        await world.ask(cancel, chance)
    except LashError as problem:
        if problem.code not in _OVER:
            raise
    world.trace.note("client", f"cancelled {process_id}")


def _work(process_id: str, chance: Chance) -> list[str]:
    plan: list[str] = []
    for place in range(chance.between(1, 5)):
        word = chance.one_of(
            ("read", "keep", "once", "once", "pair", "sleep", "wait", "signal", "wake", "child", "ask")
        )
        match word:
            case "sleep":
                plan.append(f"sleep:{chance.one_of((0.05, 1.5, 7, 25))}")
            case "wait":
                plan.append(f"wait:k{place}")
            case "signal":
                plan += [] if "signal" in plan else ["signal"]
            case "wake":
                plan.append(f"wake:wake-{process_id}-{place}")
            case "child":
                plan.append(f"child:{chance.one_of(('once', 'keep,sleep:2', 'pair,once'))}")
            case "ask":
                plan.append(f"ask:#{process_id}-{place} {chance.one_of(('', 'lookup:1', 'save:2 lookup:3'))}")
            case _:
                plan.append(word)
    return plan


# ---- events


def events(world: World, chance: Chance) -> None:
    """Events that are told twice, and the ticks of a schedule, each of which starts a function."""
    world.client("ringer", _ringer(world, chance.of("ringer")))
    if chance.happens(0.6):
        world.client("schedule", _schedule(world, chance.of("schedule")))


async def _subscribe(
    world: World, source: lash.EventSource | str, name: str, chance: Chance
) -> TriggerSubscriptionRecord:
    async def subscribe(runtime: Runtime) -> TriggerSubscriptionRecord:
        session = await runtime.session("e0", "desk")
        return await runtime.triggers.subscribe(session, source, on_event, name=name)

    return await world.ask(subscribe, chance)


async def _ringer(world: World, chance: Chance) -> None:
    await _subscribe(world, "bell", "bell", chance)
    for number in range(chance.between(1, 4)):
        await _pause(chance, 5)
        key = f"ring-{number}"

        async def emit(runtime: Runtime, key: str = key) -> None:
            await runtime.emit("bell", {"key": key}, idempotency_key=key)

        for _ in range(chance.one_of((1, 1, 2))):  # a webhook is delivered at least once
            await world.ask(emit, chance)
        world.books.emitted[key] = "bell"


async def _schedule(world: World, chance: Chance) -> None:
    made = await _subscribe(world, lash.interval(seconds=chance.one_of((2, 5))), "ticks", chance)
    await _pause(chance, 15)

    async def cancel(runtime: Runtime) -> None:
        await runtime.triggers.cancel(made)

    await world.ask(cancel, chance)
    world.trace.note("client", "cancelled the schedule")


# ---- branches


def forks(world: World, chance: Chance) -> None:
    """A session that is forked while it is worked on, and goes on in both branches."""
    world.client("forker", _forker(world, chance.of("forker")))


async def _forker(world: World, chance: Chance) -> None:
    await _chat(world, "f0", chance.of("before"), _plan)
    await _pause(chance, 10)

    async def fork(runtime: Runtime) -> tuple[str, ...]:
        session = await runtime.session("f0", "desk")
        try:
            branch = await session.fork(id="f1")
        except LashError as problem:
            if problem.code != "idempotency_conflict":
                raise
            branch = await runtime.session(
                "f1"
            )  # made by a call that was not answered, before the other one grew
        return tuple(message.id for message in await branch.history())

    try:
        shared = await world.ask(fork, chance)
    except LashError as problem:
        if problem.code != "fork_point_unknown":
            raise
        return  # nothing was committed yet
    world.books.forks["f1"] = ("f0", shared)
    world.client("branch", _chat(world, "f1", chance.of("branch"), _plan))
    world.client("trunk", _chat_on(world, chance.of("trunk")))


async def _chat_on(world: World, chance: Chance) -> None:
    sent = SentInput(session_id="f0", turn_id="f0-late", text="#f0-late save:1", on_busy="queue")
    world.books.inputs[sent.turn_id] = sent
    await _send(world, sent, chance)


# ---- those who answer: they go on until everything is over


async def answer_people(world: World, chance: Chance) -> None:
    """Approve and deny what is asked, in any order."""
    while True:
        await asyncio.sleep(1 + chance.number() * 5)

        async def pending(runtime: Runtime) -> list[Approval]:
            return await runtime.approvals.list()

        for approval in await world.ask(pending, chance):
            if chance.happens(0.3):
                continue
            await _answer(world, approval.id, chance)


async def _answer(world: World, approval_id: str, chance: Chance) -> None:
    approves = chance.happens(0.7)

    async def answer(runtime: Runtime) -> None:
        if approves:
            await runtime.approvals.approve(approval_id, by="sim")
        else:
            await runtime.approvals.deny(approval_id, "no", by="sim")

    try:
        await world.ask(answer, chance)
    except LashError as problem:
        if problem.code not in (*_OVER, "approval_unknown"):
            raise
    world.trace.note("person", f"{'approves' if approves else 'denies'} {approval_id}")


async def answer_processes(world: World, chance: Chance) -> None:
    """Resolve the waits of processes and send them the signals that they wait for."""
    done: set[object] = set()
    while True:
        await asyncio.sleep(0.5 + chance.number() * 3)
        for process_id, key in [one for one in world.wanted if one not in done]:
            done.add((process_id, key))
            await _resolve(world, process_id, key, chance)
        for process_id in [one for one in world.signals_wanted if one not in done]:
            done.add(process_id)
            await _signal(world, process_id, chance)


async def _resolve(world: World, process_id: str, key: str, chance: Chance) -> None:
    async def resolve(runtime: Runtime) -> None:
        await runtime.processes.resolve(process_id, key, f"v-{key}")

    await _unless_over(world, resolve, chance)


async def _signal(world: World, process_id: str, chance: Chance) -> None:
    async def send(runtime: Runtime) -> None:
        await runtime.processes.signal(process_id, "go", "gone", signal_id=f"{process_id}-go")

    await _unless_over(world, send, chance)


async def _unless_over(world: World, work: Callable[[Runtime], object], chance: Chance) -> None:
    try:
        await world.ask(work, chance)  # type: ignore[arg-type]  # an async function
    except LashError as problem:
        if problem.code not in _OVER:
            raise


WORKLOADS: Final[dict[str, Callable[[World, Chance], None]]] = {
    "turns": turns,
    "processes": processes,
    "approvals": approvals,
    "subagents": subagents,
    "events": events,
    "forks": forks,
}
