"""`lash triggers`: who has subscribed to which events; emit one, cancel a subscription, see what became of events."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from lash.cli.options import add_db, add_json, existing, moment, print_json, print_table
from lash.errors import LashError
from lash.facade import Runtime
from lash.values import (
    FunctionTarget,
    TriggerDeliveryState,
    TriggerSubscriptionRecord,
    TurnTarget,
    target_work,
)

_ACTIONS = {
    "list": "list subscriptions (the default)",
    "deliveries": "show what became of events",
    "emit": "record an event and start what is subscribed to it",
    "cancel": "end a subscription",
}
_TEXT_CHARS = 48


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash triggers`."""
    add_db(parser)
    add_json(parser)
    parser.add_argument("--all", action="store_true", help="show cancelled ones as well")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, help_ in _ACTIONS.items():
        action = actions.add_parser(name, help=help_, allow_abbrev=False)
        # Behind the action, too, without hiding what stands before it.
        action.add_argument("--db", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        match name:
            case "list":
                action.add_argument(
                    "--all", action="store_true", default=argparse.SUPPRESS, help="cancelled, too"
                )
            case "deliveries":
                states = [state.value for state in TriggerDeliveryState]
                action.add_argument("--state", choices=states, default=None, help="only those in this state")
                action.add_argument("--limit", type=int, default=100, help="how many at most")
            case "cancel":
                action.add_argument("handle", metavar="HANDLE", help="the subscription, as the list shows it")
            case _:
                _configure_emit(action)


def _configure_emit(action: argparse.ArgumentParser) -> None:
    action.add_argument("type", metavar="TYPE", help="the type of the event, as shop.order")
    action.add_argument(
        "payload", nargs="?", default="null", metavar="JSON", help="what happened (default: null)"
    )
    action.add_argument("--key", required=True, help="names the event: the same key again is the same event")
    action.add_argument(
        "--source", default="null", metavar="JSON", help="which source of that type, by its value"
    )


def run(options: argparse.Namespace) -> int:
    """Do what was asked for."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        match options.action:
            case "emit":
                return await _emit(runtime, options)
            case "cancel":
                changed = await runtime.triggers.cancel(options.handle)
                if options.json:
                    print_json({"handle": options.handle, "cancelled": changed})
                else:
                    print("cancelled" if changed else "it was cancelled already")
                return 0
            case "deliveries":
                return await _print_deliveries(runtime, options)
            case _:
                return await _print_subscriptions(runtime, options)


async def _emit(runtime: Runtime, options: argparse.Namespace) -> int:
    from lash.runtime.events import EventSource

    source = EventSource(type=options.type, value=_json(options.source, "--source"))
    emitted = await runtime.emit(source, _json(options.payload, "JSON"), idempotency_key=options.key)
    if options.json:
        print_json(
            {
                "occurrence_id": emitted.occurrence_id,
                "replayed": emitted.replayed,
                "deliveries": [
                    {
                        "subscription_id": one.subscription_id,
                        "process_id": one.process_id,
                        "state": one.state.value,
                        "reason": one.reason,
                    }
                    for one in emitted.deliveries
                ],
            }
        )
        return 0
    print(f"{emitted.occurrence_id}{' (known already)' if emitted.replayed else ''}")
    rows = [
        (one.subscription_id, one.state.value, one.process_id, one.reason or "") for one in emitted.deliveries
    ]
    print_table(("SUBSCRIPTION", "STATE", "STARTS", "REASON"), rows)
    return 0


async def _print_subscriptions(runtime: Runtime, options: argparse.Namespace) -> int:
    found = await runtime.triggers.list(enabled=None if options.all else True)
    if options.json:
        print_json({"subscriptions": found})
        return 0
    rows = [
        (
            one.handle,
            one.session_id,
            one.name or "",
            one.source_type,
            _cut(json.dumps(one.source, ensure_ascii=False)),
            _starts(one),
            "" if one.enabled else "cancelled",
        )
        for one in found
    ]
    print_table(("HANDLE", "SESSION", "NAME", "EVENTS", "SOURCE", "STARTS", ""), rows)
    return 0


async def _print_deliveries(runtime: Runtime, options: argparse.Namespace) -> int:
    state = None if options.state is None else TriggerDeliveryState(options.state)
    found = await runtime.triggers.deliveries(state=state, limit=options.limit)
    if options.json:
        print_json({"deliveries": found})
        return 0
    rows = [
        (
            moment(one.reserved_at_ms),
            one.subscription_id,
            one.state.value,
            one.process_id,
            _cut(one.reason or ""),
        )
        for one in found
    ]
    print_table(("AT", "SUBSCRIPTION", "STATE", "STARTS", "REASON"), rows)
    return 0


def _starts(subscription: TriggerSubscriptionRecord) -> str:
    match target_work(subscription.target):
        case FunctionTarget(name=name):
            return f"process {name}"
        case TurnTarget(text=text):
            return f"turn {_cut(text)!r}" if text else "turn"
        case program:
            return f"program {program.process_name}"


def _json(text: str, option: str) -> Any:  # of the user's
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        raise LashError("invalid_argument", f"{option} is no JSON: {problem}") from problem


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_CHARS else text[: _TEXT_CHARS - 1] + "…"
