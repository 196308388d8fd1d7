"""Scripts that lock the same names go in the order in which they were handed in; nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from lash.backends.sql.engine.postgres.turnstile import Ticket, Turnstile


async def test_who_came_first_goes_first() -> None:
    turnstile, order = Turnstile(), []

    async def go(number: int) -> None:
        ticket = Ticket(turnstile)
        await ticket.take(["a", "b"])
        order.append(number)
        await asyncio.sleep(0)
        ticket.give_back()

    await asyncio.gather(*(go(number) for number in range(8)))
    assert order == list(range(8))


async def test_other_names_do_not_wait() -> None:
    turnstile = Turnstile()
    first, second = Ticket(turnstile), Ticket(turnstile)
    await first.take(["a"])
    await second.take(["b"])
    first.give_back()
    second.give_back()


async def test_names_taken_in_any_order_do_not_wait_for_each_other() -> None:
    turnstile = Turnstile()

    async def go(*names: str) -> None:
        ticket = Ticket(turnstile)
        await ticket.take(names)
        await asyncio.sleep(0)
        ticket.give_back()

    async with asyncio.timeout(90):
        await asyncio.gather(*(go(*names) for names in [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")]))


async def test_a_ticket_that_holds_names_takes_no_others() -> None:
    """It would wait while it holds: that is the server's business, which notices who waits for whom."""
    turnstile = Turnstile()
    holder, other = Ticket(turnstile), Ticket(turnstile)
    await holder.take(["a"])
    await other.take(["b"])
    await holder.take(["b"])
    other.give_back()
    holder.give_back()


async def test_one_that_gives_up_waiting_leaves_no_trace() -> None:
    turnstile = Turnstile()
    holder, other, last = Ticket(turnstile), Ticket(turnstile), Ticket(turnstile)
    await holder.take(["a"])
    waiting = asyncio.create_task(other.take(["a"]))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    holder.give_back()
    await last.take(["a"])
    last.give_back()
    assert turnstile._places == turnstile._interest == {}
