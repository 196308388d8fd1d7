"""The seed's case of concurrent effects that are replayed by key (contract 2.B)."""

from __future__ import annotations

import asyncio

from lash.contracts import EffectHost, RuntimeEffectLocalExecutor
from lash.testing.conformance.case import Contract, case
from lash.testing.conformance.expectations import expect_equal, soon
from lash.testing.conformance.samples.effects import (
    NotingExecutor,
    code_envelope,
    expect_marker,
    final_failure,
    outcome_of,
)
from lash.testing.conformance.subjects import REPLAY_SCOPE, start_replay
from lash.testing.conformance.trial import Trial
from lash.values import RuntimeEffectEnvelope, RuntimeEffectOutcome


class _Crossing:
    """Two executors that must be inside at the same time, and end in the order fast, slow."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self._inside: set[str] = set()
        self._both = asyncio.Event()
        self._fast_ended = asyncio.Event()
        self.executor = RuntimeEffectLocalExecutor.of(self._run)

    async def _run(self, envelope: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        self._inside.add(envelope.effect_id)
        if len(self._inside) == 2:
            self._both.set()
        await self._both.wait()
        if envelope.effect_id == "effect-slow":
            await self._fast_ended.wait()
        self.ended.append(envelope.effect_id)
        self._fast_ended.set()
        return outcome_of(envelope.effect_id)


@case(Contract.RECORDED_EFFECTS, seed=True)
async def effect_controller_concurrent_replay_deterministic(trial: Trial[EffectHost]) -> None:
    """Two effects run at the same time, end in the other order, and replay by key without running again."""
    controller = trial.subject.scoped(REPLAY_SCOPE)
    slow, fast = code_envelope("effect-slow"), code_envelope("effect-fast")
    crossing = _Crossing()
    first = await soon(
        asyncio.gather(
            controller.execute_effect(slow, crossing.executor),
            controller.execute_effect(fast, crossing.executor),
        ),
        "both effects enter their executors at the same time",
    )
    expect_marker(first[0], "effect-slow", "the outcome of the slow effect")
    expect_marker(first[1], "effect-fast", "the outcome of the fast effect")
    expect_equal(crossing.ended, ["effect-fast", "effect-slow"], "the effects end in the other order")
    await start_replay(trial.subject)
    again = NotingExecutor(fails_with=final_failure("conformance_replay_local_executor_called"))
    replayed = await soon(
        asyncio.gather(
            controller.execute_effect(fast, again.executor),
            controller.execute_effect(slow, again.executor),
        ),
        "both effects are answered from the record",
    )
    expect_marker(replayed[0], "effect-fast", "the replayed outcome is that of the matching key")
    expect_marker(replayed[1], "effect-slow", "the replayed outcome is that of the matching key")
    expect_equal(again.ran, [], "a replay runs no executor")
