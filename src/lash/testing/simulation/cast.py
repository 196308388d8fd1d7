"""Who acts in a simulation: an agent that does what it is told, a helper, and a durable function that does, too.

What is to be done is written in the input: `#in-3 lookup:1+save:2 charge:3` are two answers of the model, the first
with two calls. The model reads it from the conversation, so it answers alike in every life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import lash
from lash.contracts import StreamSink
from lash.testing.script_steps import Reply, call, reply, steps_taken
from lash.testing.scripted import ScriptedModel
from lash.testing.simulation.incarnation import Incarnation
from lash.values import Message, ModelRequest, ModelResponse, TextPart, TokenUsage, stable_hash

if TYPE_CHECKING:
    from lash.testing.simulation.chance import Chance
    from lash.testing.simulation.world import World


class Outside:
    """The world outside of lash, as tools and steps reach it.

    Args:
        world: Keeps the books.
        chance: How long things take.
    """

    def __init__(self, world: World, chance: Chance) -> None:
        self.world = world
        self._chance = chance

    async def do(self, name: str, effect: str, key: str, token: str) -> None:
        """Have an effect, with points before and after it at which the worker may die."""
        life = Incarnation.current.get()
        assert life is not None, "tools run in a worker"
        await life.reach(f"{name}:before")
        if self._chance.happens(0.5):
            await asyncio.sleep(self._chance.number() * 2)
            await life.reach(f"{name}:begun")
        self.world.check_not_recorded(name, key)
        self.world.books.did(name, effect, key, token)
        self.world.trace.note(life.name, f"did {name} {key}")
        if self._chance.happens(0.3):
            await asyncio.sleep(self._chance.number())
        await life.reach(f"{name}:after")


@lash.tool(effect="read_only")
async def lookup(ctx: lash.ToolContext, outside: Outside, n: int) -> str:
    """Look something up."""
    await outside.do("lookup", "read_only", ctx.idempotency_key, f"{n}")
    return f"looked up {n}"


@lash.tool(effect="idempotent")
async def save(ctx: lash.ToolContext, outside: Outside, n: int) -> str:
    """Save something."""
    await outside.do("save", "idempotent", f"{ctx.turn_id}/{ctx.call_id}", ctx.idempotency_key)
    return f"saved {n}"


@lash.tool
async def charge(ctx: lash.ToolContext, outside: Outside, n: int) -> str:
    """Charge somebody."""
    await outside.do("charge", "at_most_once", ctx.idempotency_key, f"{n}")
    return f"charged {n}"


@lash.tool(approval=True)
async def pay(ctx: lash.ToolContext, outside: Outside, n: int) -> str:
    """Pay, once a person has agreed."""
    await outside.do("pay", "at_most_once", ctx.idempotency_key, f"{n}")
    return f"paid {n}"


@lash.process
async def job(ctx: lash.ProcessContext, outside: Outside, plan: list[str]) -> str:
    """Do what the plan says, operation by operation."""
    done = []
    for place, line in enumerate(plan):
        word, _, rest = line.partition(":")
        key = f"{ctx.process_id}/{place}"
        match word:
            case "read" | "keep" | "once":
                done.append(await _step(ctx, outside, word, key))
            case "pair":
                done += await asyncio.gather(
                    _step(ctx, outside, "keep", f"{key}a"), _step(ctx, outside, "once", f"{key}b")
                )
            case "sleep":
                await ctx.sleep(float(rest))
                done.append("slept")
            case "wait":
                outside.world.wanted.setdefault((ctx.process_id, rest), None)
                done.append(str(await ctx.wait(rest)))
            case "signal":
                outside.world.signals_wanted.setdefault(ctx.process_id, None)
                done.append(str(await ctx.signal("go")))
            case "wake":
                await ctx.wake(rest)
                done.append("woke")
            case "child":
                done.append(str(await ctx.start(job, rest.split(","))))
            case "ask":
                done.append(str(await ctx.run("helper", rest)))
            case _:
                done.append(line)
    return " ".join(done)


@lash.process
async def on_event(ctx: lash.ProcessContext, outside: Outside, event: dict[str, Any]) -> str:
    """Note an event or a tick."""
    await ctx.step(
        outside.do, "event", "idempotent", ctx.process_id, str(event), name="event", effect="idempotent"
    )
    return "noted"


_STEPS = {"read": "read_only", "keep": "idempotent", "once": "at_most_once"}


async def _step(ctx: lash.ProcessContext, outside: Outside, word: str, key: str) -> str:
    effect: Any = _STEPS[word]
    try:
        name = f"{word}-{key.rpartition('/')[2]}"
        await ctx.step(outside.do, word, effect, key, key, name=name, effect=effect)
    except lash.LashError as problem:
        if problem.code != "outcome_unknown":
            raise
        return f"{word}-unknown"
    return word


class ObedientModel(ScriptedModel):
    """A model that does what the input says, and takes its time."""

    def __init__(self, world: World, chance: Chance) -> None:
        super().__init__(_next_step, name="obedient")
        self._world = world
        self._chance = chance

    async def complete(self, request: ModelRequest, sink: StreamSink) -> ModelResponse:
        """Answer, with points at which the worker may die."""
        life = Incarnation.current.get()
        assert life is not None, "models are asked by workers"
        await life.reach("model:before")
        if self._chance.happens(0.5):
            await asyncio.sleep(self._chance.number())
            await life.reach("model:begun")
        response = await super().complete(request, sink)
        self._world.books.paid[self._world.session_of(request)][request.call_key] = response.usage
        await life.reach("model:after")
        return response


def cost_of(call_key: str) -> TokenUsage:
    """Return what a call of the model costs: a function of the call, so that repetitions cost the same."""
    return TokenUsage(input_tokens=int(stable_hash(call_key)[:4], 16) + 1, output_tokens=7)


def _next_step(request: ModelRequest) -> Reply:
    usage = cost_of(request.call_key)
    steps = [step for text in _own_texts(request.messages) for step in _steps(text)]
    taken = steps_taken(request)
    if taken < len(steps):
        return reply(*[_call(word) for word in steps[taken].split("+")], usage=usage)
    return reply(f"done after {taken}", usage=usage)


def _call(word: str) -> Any:
    name, _, rest = word.partition(":")
    if name == "helper":
        return call("helper", input=f"#{rest}")
    return call(name, n=int(rest or 0))


def _steps(text: str) -> list[str]:
    return text.split()[1:] if text.startswith("#") else []


def _own_texts(messages: Sequence[Message]) -> list[str]:
    """Return what the user has said in the running turn."""
    turn_id = ""
    texts: list[str] = []
    for message in reversed(messages):
        own, mark, _ = message.id.rpartition(":m")
        if not mark:
            continue
        turn_id = turn_id or own
        if own != turn_id:
            break
        if message.role == "user":
            texts[:0] = [part.text for part in message.parts if isinstance(part, TextPart)]
    return texts


def agents_of(world: World, chance: Chance) -> list[Any]:
    """Return the agents and functions of one life of a worker."""
    model = ObedientModel(world, chance)
    helper = lash.Agent("helper", model=model, tools=(lookup, save))
    desk = lash.Agent("desk", model=model, tools=(lookup, save, charge, pay, helper.as_tool()))
    return [desk, helper, job, on_event]
