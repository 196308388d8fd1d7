"""Wrong waits, wrong parking, and wrong ends of what was parked."""

from __future__ import annotations

from typing import Any

from lash.errors import LashError

from .mutant import answers, async_skipped, mutant, recoded, skipped, value

WAITS = "lash.backends.memory.waits"
INGRESS = "lash.backends.memory.ingress"
READINESS = "lash.backends.memory.process_readiness"
LOG = "lash.backends.memory.process_log"
W = f"{WAITS}:MemoryDurableWaits"
REGISTRY = "lash.backends.memory.process_registry:InMemoryProcessRegistry"


def _later_deadline(original: Any) -> Any:
    def opened(stored: Any, draft: Any, now_ms: int) -> Any:
        wait = original(stored, draft, now_ms)
        return wait.replace(deadline_ms=draft.deadline_ms, on_timeout=draft.on_timeout)

    return opened


mutant(
    "a later opening moves the deadline",
    "the_first_opening_of_a_wait_stands",
    (f"{WAITS}:opened_wait", _later_deadline),
)
mutant(
    "opening a wait forgets its resolution",
    "an_early_resolution_is_kept_for_the_opener",
    (f"{WAITS}:opened_wait", lambda original: lambda stored, draft, now_ms: original(None, draft, now_ms)),
)


def _any_token(original: Any) -> Any:
    async def find(self: Any, token: str) -> Any:
        try:
            return await original(self, token)
        except LashError:
            waits = self._tables.waits.after(None)
            if not token.strip() or not waits:
                raise
            return waits[0]

    return find


mutant(
    "any token opens the oldest wait",
    "tokens_resolve_their_own_wait_only",
    (f"{W}.find_wait_by_token", _any_token),
)
mutant(
    "waits time out with nothing",
    "due_waits_time_out_once_and_in_order",
    (f"{W}.resolve_due", answers(lambda due, *_: [one.replace(value=None) for one in due])),
)


def _from_the_start(original: Any) -> Any:
    async def listed(self: Any, *, after: Any = None, **where: Any) -> Any:
        return await original(self, **where)

    return listed


mutant(
    "every page of waits is the first",
    "open_waits_are_listed_by_page",
    (f"{W}.list_waits", _from_the_start),
)


def _prunes_owned(original: Any) -> Any:
    async def prune(self: Any, *, resolved_before_ms: int, limit: int = 1000) -> int:
        return int(
            self._tables.waits.remove(
                lambda wait: wait.resolved_at_ms is not None and wait.resolved_at_ms < resolved_before_ms,
                limit,
            )
        )

    return prune


mutant(
    "waits of a scope are pruned by age",
    "waits_that_nobody_owns_are_pruned",
    (f"{W}.prune_waits", _prunes_owned),
)


def _never_parked(original: Any) -> Any:
    def turn(rows: Any, *, is_parked: bool = False, **facts: Any) -> Any:
        return original(rows, is_parked=False, **facts)

    return turn


mutant(
    "a parked turn is handed out",
    "a_parked_turn_waits_for_one_of_its_keys",
    ("lash.backends.memory.turn_claims:next_turn", _never_parked),
)


def _counts(original: Any) -> Any:
    def give_back(self: Any, batches: Any, *, as_parked: bool = False, **how: Any) -> None:
        original(self, batches, **how)

    return give_back


mutant(
    "taking up a parked turn is counted as a restart",
    "taking_up_a_parked_turn_is_no_restart",
    ("lash.backends.memory.queue_table:QueueTable.give_back", _counts),
)
mutant(
    "turns are parked on what is resolved",
    "no_turn_is_parked_on_what_is_resolved",
    (f"{INGRESS}:is_ready", value(lambda *_: False)),
)
mutant(
    "a cancel leaves a parked turn parked", "a_cancel_wakes_a_parked_turn", (f"{INGRESS}:make_ready", skipped)
)


def _due_wakes_nobody(original: Any) -> Any:
    def resolve(tables: Any, key: str, given: Any, *, timed_out: bool = False, **how: Any) -> Any:
        parked = tables.parking.on(key) if timed_out else []
        keys = {one: tables.parking.keys_of(one) for one in parked}
        answer = original(tables, key, given, timed_out=timed_out, **how)
        for one, on in keys.items():
            tables.parking.park(one, on)
        return answer

    return resolve


mutant(
    "a deadline wakes nobody",
    "a_deadline_wakes_a_parked_turn",
    (f"{WAITS}:resolve_key", _due_wakes_nobody),
)


def _without_frame(original: Any) -> Any:
    async def park(self: Any, lease: Any, wait_keys: Any, *, frame: Any = None) -> Any:
        return await original(self, lease, wait_keys)

    return park


mutant(
    "a parked process loses its frame",
    "a_parked_process_comes_back_with_its_frame",
    (f"{REGISTRY}.park_process", _without_frame),
)


def _forgets_attempt(original: Any) -> Any:
    async def park(self: Any, lease: Any, wait_keys: Any, **how: Any) -> Any:
        parked = await original(self, lease, wait_keys, **how)
        self._tables.processes.resumable.clear()
        return parked

    return park


mutant(
    "every start is a new attempt", "a_parked_attempt_goes_on", (f"{REGISTRY}.park_process", _forgets_attempt)
)
mutant(
    "processes are parked on what is over",
    "no_process_is_parked_on_what_is_over",
    (f"{READINESS}:is_ready", value(lambda *_: False)),
)


def _ends_unheard(original: Any) -> Any:
    def end(tables: Any, record: Any) -> None:
        key = f"process:{record.id}"
        waiting = {one: tables.parking.keys_of(one) for one in tables.parking.on(key)}
        original(tables, record)
        for one, on in waiting.items():
            tables.parking.park(one, on)

    return end


mutant(
    "the end of a process wakes nobody",
    "the_end_of_a_process_wakes_who_waits_for_it",
    (f"{LOG}:resolve_end", _ends_unheard),
)
mutant(
    "a request to end leaves a process parked",
    "a_request_to_end_wakes_a_parked_process",
    (f"{LOG}:make_ready", skipped),
)


def _first_page(original: Any) -> Any:
    async def ready(self: Any, *, host_profiles: Any, after: Any = None, limit: int = 100) -> Any:
        return await original(self, host_profiles=host_profiles, limit=limit)

    return ready


mutant(
    "every page of ready processes is the first",
    "ready_processes_are_listed_by_profile_and_page",
    (f"{REGISTRY}.list_ready_processes", _first_page),
)
mutant(
    "who stops watching goes on watching",
    "watching_a_process_gives_no_right",
    (f"{REGISTRY}.unobserve_process", async_skipped),
)
mutant(
    "a pruned process was never there",
    "pruned_processes_are_known_to_be_gone",
    (
        "lash.backends.memory.process_table:ProcessTable.check_known",
        recoded("process_no_longer_retained", "process_unknown"),
    ),
)
mutant(
    "lost wakes are not reported",
    "discarded_wakes_are_reported_and_sent_again",
    (f"{REGISTRY}.list_discarded_wakes", answers(lambda *_: [])),
)


def _keeps_waits(original: Any) -> Any:
    def end(tables: Any, record: Any) -> None:
        kept = [wait for wait in tables.waits.after(None) if wait.scope_key]
        original(tables, record)
        for wait in kept:
            tables.waits.put(wait)

    return end


mutant(
    "waits outlive their process",
    "the_waits_of_a_process_go_with_its_end",
    (f"{LOG}:resolve_end", _keeps_waits),
)
