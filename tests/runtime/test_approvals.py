"""Tool calls that wait for a person: addressed, answered from anywhere, run at most once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.contract.settable import SettableClock
from tests.runtime.conftest import scripted_agent

import lash
from lash.testing import call, reply
from lash.values import ApprovalAnswered, ApprovalRequested, EffectState, stable_hash

WITHIN_S = 60


class Payments:
    """A tool with an effect outside, and how often it took place."""

    def __init__(self, approval: Any = True) -> None:
        self.paid: list[tuple[str, int]] = []
        self.approval = approval

    def tools(self) -> list[Any]:
        @lash.tool(approval=self.approval)
        async def pay(to: str, amount: int) -> str:
            """Pay."""
            self.paid.append((to, amount))
            return f"paid {amount} to {to}"

        @lash.tool(effect="read_only")
        async def look() -> str:
            """Look."""
            return "seen"

        return [pay, look]


def told(request: Any) -> str:
    parts = [part for message in request.messages for part in message.parts]
    return " | ".join(str(part.content) for part in parts if hasattr(part, "content"))


def agent_of(payments: Payments, *asks: Any, **options: Any) -> lash.Agent:
    calls = asks or (call("pay", to="ann", amount=5),)
    return scripted_agent([reply(*calls), told], tools=payments.tools(), **options)


async def asked(runtime: lash.Runtime, count: int = 1) -> list[Any]:
    """Return the approvals that wait, once there are `count` and their turn is parked."""
    subscription = runtime.database.subscribe(["session:s"])
    try:
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = await runtime.approvals.list()
                parked = await runtime.database.turn_ingress.find_turn("s", "t1")
                if len(found) == count and parked.parked_on:
                    return found
                await subscription.wait(timeout_ms=50)
    finally:
        subscription.close()


async def finished(running: asyncio.Future[lash.TurnResult]) -> lash.TurnResult:
    async with asyncio.timeout(WITHIN_S):
        return await running


async def begin(runtime: lash.Runtime) -> asyncio.Future[lash.TurnResult]:
    session = await runtime.session("s")
    return asyncio.ensure_future(session.turn("go", turn_id="t1"))


async def test_call_waits_until_it_is_approved_and_then_runs_once(url: str) -> None:
    payments = Payments()
    async with lash.open(url, agent_of(payments)) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        assert payments.paid == []
        assert approval.id.startswith("approval:s:t1:")
        assert approval.state == "pending"
        assert approval.question.tool == "pay"
        assert approval.question.args == {"to": "ann", "amount": 5}
        assert approval.question.args_hash == stable_hash({"to": "ann", "amount": 5})
        answered = await runtime.approvals.approve(approval.id, by="eve")
        assert answered.state == "approved"
        result = await finished(running)
        assert result.text == "paid 5 to ann"
        assert payments.paid == [("ann", 5)]
        kept = await runtime.approvals.get(approval.id)
        assert kept.answer is not None
        assert kept.answer.by == "eve"
        assert kept.answered_at_ms is not None
        assert await runtime.approvals.list() == []
        assert [one.id for one in await runtime.approvals.list(pending_only=False)] == [approval.id]


async def test_model_is_told_of_a_denial_and_its_reason(url: str) -> None:
    payments = Payments()
    async with lash.open(url, agent_of(payments)) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        await runtime.approvals.deny(approval.id, "too much", by="eve")
        result = await finished(running)
    assert result.text == "Error (approval_denied): pay was not run: it was denied by eve: too much"
    assert payments.paid == []


async def test_edited_arguments_are_what_runs_and_the_model_is_told(url: str) -> None:
    payments = Payments()
    async with lash.open(url, agent_of(payments)) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        with pytest.raises(lash.LashError) as caught:
            await runtime.approvals.approve(approval.id, edited_args={"to": "ann", "amount": "much"})
        assert caught.value.code == "invalid_tool_args"
        await runtime.approvals.approve(approval.id, edited_args={"to": "ann", "amount": 3})
        result = await finished(running)
        kept = await runtime.approvals.get(approval.id)
    assert payments.paid == [("ann", 3)]
    assert '{"amount":3,"to":"ann"}' in result.text
    assert "paid 3 to ann" in result.text
    assert kept.answer is not None
    assert kept.answer.edited_args == {"to": "ann", "amount": 3}


async def test_several_calls_of_a_batch_are_answered_in_any_order(url: str) -> None:
    payments = Payments()
    agent = agent_of(payments, call("pay", to="ann", amount=1), call("look"), call("pay", to="bob", amount=2))
    async with lash.open(url, agent) as runtime:
        running = await begin(runtime)
        first, second = await asked(runtime, 2)
        await runtime.approvals.approve(second.id)
        (left,) = await asked(runtime, 1)
        assert left.id == first.id
        await runtime.approvals.deny(first.id)
        result = await finished(running)
    denied, approved = first.question.args, second.question.args
    assert payments.paid == [(approved["to"], approved["amount"])]
    by_to = {one.args.get("to"): one for one in result.tool_calls}
    assert by_to[denied["to"]].is_error
    assert not by_to[approved["to"]].is_error
    assert by_to[None].result == "seen"


async def test_only_what_the_callable_says_waits() -> None:
    payments = Payments(approval=lambda args: args["amount"] > 10)
    async with lash.open("memory:", agent_of(payments)) as runtime:
        result = await finished(await begin(runtime))
    assert result.text == "paid 5 to ann"
    assert payments.paid == [("ann", 5)]


async def test_first_answer_stands_and_the_same_answer_again_changes_nothing() -> None:
    payments = Payments()
    async with lash.open("memory:", agent_of(payments)) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        await runtime.approvals.deny(approval.id, "no", by="eve")
        again = await runtime.approvals.deny(approval.id, "no", by="eve")
        assert again.state == "denied"
        with pytest.raises(lash.LashError) as caught:
            await runtime.approvals.approve(approval.id)
        assert caught.value.code == "approval_answered"
        assert caught.value.facts["decision"] == "denied"
        await finished(running)
    assert payments.paid == []


async def test_answer_for_other_arguments_is_refused() -> None:
    payments = Payments()
    async with lash.open("memory:", agent_of(payments)) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        with pytest.raises(lash.LashError) as caught:
            await runtime.approvals.approve(approval.id, args_hash=stable_hash({"to": "ann", "amount": 4}))
        assert caught.value.code == "approval_stale"
        await runtime.approvals.approve(approval.id, args_hash=approval.question.args_hash)
        await finished(running)
    assert payments.paid == [("ann", 5)]


async def test_unknown_approval_is_named() -> None:
    async with lash.open("memory:", agent_of(Payments())) as runtime:
        with pytest.raises(lash.LashError) as caught:
            await runtime.approvals.approve("approval:s:t1:nothing")
    assert caught.value.code == "approval_unknown"


async def test_answers_come_days_later_over_a_restart(durable_url: str) -> None:
    settable = SettableClock()
    clock = None if durable_url.startswith("postgres") else settable  # a server has a clock of its own
    payments = Payments()
    async with lash.open(durable_url, agent_of(payments), clock=clock) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
    with pytest.raises(lash.LashError):
        await running
    settable.advance(2 * 24 * 60 * 60 * 1000)
    async with lash.open(durable_url, work=False, clock=clock) as elsewhere:
        await elsewhere.approvals.approve(approval.id, by="eve")
    async with lash.open(durable_url, agent_of(payments), clock=clock) as runtime:
        result = await finished(await begin(runtime))
    assert result.text == "paid 5 to ann"
    assert payments.paid == [("ann", 5)]


@pytest.mark.parametrize("policy", ["tell_model", "fail_turn"])
async def test_unanswered_call_expires(policy: Any) -> None:
    clock = SettableClock()
    payments = Payments()
    limits = lash.Limits(approval_expiry_ms=1000, on_approval_expiry=policy)
    async with lash.open("memory:", agent_of(payments, limits=limits), clock=clock) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        clock.advance(1001)
        await runtime.database.durable_waits.resolve_due()
        result = await finished(running)
        with pytest.raises(lash.LashError) as caught:
            await runtime.approvals.approve(approval.id)
    assert caught.value.code == "approval_expired"
    assert payments.paid == []
    if policy == "tell_model":
        assert result.text.startswith("Error (approval_expired)")
    else:
        assert result.stop == "tool_failure"


async def test_answer_after_the_deadline_is_refused_although_no_timer_ran() -> None:
    clock = SettableClock()
    payments = Payments()
    limits = lash.Limits(approval_expiry_ms=1000)
    async with lash.open("memory:", agent_of(payments, limits=limits), clock=clock) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        clock.advance(1000)
        with pytest.raises(lash.LashError) as caught:
            await runtime.approvals.approve(approval.id)
        assert caught.value.code == "approval_expired"
        await finished(running)
    assert payments.paid == []


async def test_approved_call_that_was_cut_is_unknown_and_not_run_again(durable_url: str) -> None:
    entered = asyncio.Event()
    runs = 0

    @lash.tool(approval=True)
    async def pay() -> str:
        """Pay."""
        nonlocal runs
        runs += 1
        entered.set()
        await asyncio.Event().wait()
        return "paid"

    agent = scripted_agent([reply(call("pay")), told], tools=[pay])
    async with lash.open(durable_url, agent) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        await runtime.approvals.approve(approval.id)
        async with asyncio.timeout(WITHIN_S):
            await entered.wait()
    with pytest.raises(lash.LashError):
        await running
    async with lash.open(durable_url, agent) as runtime:
        result = await finished(await begin(runtime))
        effects, _ = await runtime.effects.list(state=EffectState.UNKNOWN)
    assert runs == 1
    assert "Nobody knows" in result.text
    assert len(effects) == 1


async def test_question_and_answer_are_in_the_stream() -> None:
    payments = Payments()
    async with lash.open("memory:", agent_of(payments)) as runtime:
        session = await runtime.session("s")
        seen: list[Any] = []
        async with asyncio.timeout(WITHIN_S):
            async for event in session.turn("go", turn_id="t1").events():
                if isinstance(event.activity, ApprovalRequested):
                    seen.append(event.activity)
                    await runtime.approvals.approve(event.activity.approval_id, by="eve")
                elif isinstance(event.activity, ApprovalAnswered):
                    seen.append(event.activity)
    question, answer = seen
    assert question.args == {"to": "ann", "amount": 5}
    assert (answer.decision, answer.by, answer.approval_id) == ("approved", "eve", question.approval_id)


async def test_cancel_ends_a_turn_that_waits_for_a_person(url: str) -> None:
    payments = Payments()
    async with lash.open(url, agent_of(payments)) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        session = await runtime.session("s")
        assert await session.cancel("t1") == "requested"
        assert (await finished(running)).stop == "cancelled"
        withdrawn = await runtime.approvals.get(approval.id)
        assert await runtime.approvals.list() == []
    assert withdrawn.answer is not None
    assert (withdrawn.state, withdrawn.answer.reason) == ("denied", "the turn was ended")
    assert payments.paid == []


async def test_deleting_a_session_takes_its_approvals_along(url: str) -> None:
    payments = Payments()
    async with lash.open(url, agent_of(payments)) as runtime:
        running = await begin(runtime)
        (approval,) = await asked(runtime)
        await runtime.approvals.deny(approval.id)
        await finished(running)
        await runtime.delete_session("s")
        with pytest.raises(lash.LashError) as caught:
            await runtime.approvals.get(approval.id)
    assert caught.value.code == "approval_unknown"
