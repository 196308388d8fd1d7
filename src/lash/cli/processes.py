"""`lash processes`: background work, what it waits for, and what to say to it."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
from typing import Any

from lash.cli.options import add_db, add_json, existing, moment, print_json, print_table
from lash.errors import LashError
from lash.values import (
    FunctionInput,
    LashlangProcessInput,
    ProcessInput,
    ProcessRecord,
    SessionTurnInput,
    ToolCallInput,
)

_WAIT_CHARS = 60


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash processes`."""
    add_db(parser)
    add_json(parser)
    parser.add_argument("--session", help="only what this session sees")
    parser.add_argument("--all", action="store_true", help="those that are over as well")
    parser.add_argument("--limit", type=int, default=100, help="how many at most (default: 100)")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    cancel = _action(actions, "cancel", "ask a process to stop")
    cancel.add_argument("reason", nargs="?", default=None, metavar="REASON", help="why")
    signal = _action(actions, "signal", "send a process a signal")
    signal.add_argument("name", metavar="NAME", help="which signal")
    signal.add_argument("payload", nargs="?", default="null", metavar="JSON", help="its payload")
    signal.add_argument("--signal-id", default=None, help="an idempotency key")
    resolve = _action(actions, "resolve", "resolve what a process waits for by key")
    resolve.add_argument("key", metavar="KEY", help="the key of its ctx.wait")
    resolve.add_argument("payload", nargs="?", default="null", metavar="JSON", help="the value")
    abandon = _action(actions, "abandon", "give a process up once nobody runs it")
    abandon.add_argument("reason", metavar="REASON", help="why; it is kept with the process")


def _action(actions: Any, name: str, help_: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=help_, allow_abbrev=False)
    # `--db` and `--json` may stand behind the action too, without hiding one that stands before it.
    action.add_argument("--db", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    action.add_argument("id", metavar="ID", help="the process")
    return action


def run(options: argparse.Namespace) -> int:
    """List processes, or act on one."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        processes = runtime.processes
        match options.action:
            case "cancel":
                await processes.cancel(options.id, options.reason)
            case "signal":
                await processes.signal(
                    options.id, options.name, _json(options.payload), signal_id=options.signal_id
                )
            case "resolve":
                await processes.resolve(options.id, options.key, _json(options.payload))
            case "abandon":
                await processes.abandon(options.id, requested_by=getpass.getuser(), reason=options.reason)
            case _:
                found = await processes.list(
                    session=options.session, include_finished=options.all, limit=options.limit
                )
                waiting = await processes.parked_on([record.id for record in found])
                return _print_list(options, found, waiting)
        record = await processes.get(options.id)
    if options.json:
        print_json({"process": record})
    else:
        print(f"{record.id}: {_state(record, {})}")
    return 0


def _print_list(
    options: argparse.Namespace, found: list[ProcessRecord], waiting: dict[str, tuple[str, ...]]
) -> int:
    if options.json:
        print_json(
            {"processes": [{"process": record, "waits_for": waiting.get(record.id, ())} for record in found]}
        )
        return 0
    rows = [
        (
            record.id,
            _state(record, waiting),
            *_kind(record.input),
            record.provenance.owner_scope.session_id,
            str(record.attempts),
            moment(record.updated_at_ms),
            _short(", ".join(waiting.get(record.id, ()))),
        )
        for record in found
    ]
    header = ("PROCESS", "STATE", "KIND", "WHAT", "SESSION", "ATTEMPTS", "CHANGED", "WAITS FOR")
    print_table(header, rows)
    return 0


def _state(record: ProcessRecord, waiting: dict[str, tuple[str, ...]]) -> str:
    if record.terminal_state is not None:
        return record.terminal_state.value
    if record.cancel_requested:
        return "cancelling"
    return "waiting" if record.id in waiting else "running"


def _kind(work: ProcessInput) -> tuple[str, str]:
    match work:
        case FunctionInput(name=name):
            return "function", name
        case SessionTurnInput(create_request=request):
            return "agent", str(request.get("agent", ""))
        case ToolCallInput(call=call):
            return "tool", call.tool_name
        case LashlangProcessInput(process_name=name):
            return "program", name
        case _:
            return "external", ""


def _short(text: str) -> str:
    return text if len(text) <= _WAIT_CHARS else text[:_WAIT_CHARS] + "…"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as problem:
        raise LashError("invalid_argument", f"{text!r} is no JSON: {problem}; quote texts twice") from problem
