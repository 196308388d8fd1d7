"""`lash approvals`: the tool calls that wait for a person, and the answer to one of them."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
from typing import Any

from lash.cli.options import add_db, add_json, existing, moment, print_json, print_table
from lash.errors import LashError
from lash.values import Approval

_ARGS_CHARS = 60
_ACTIONS = {
    "list": "list what waits (the default)",
    "approve": "let a call run",
    "deny": "refuse it; the model is told the reason",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash approvals`."""
    add_db(parser)
    add_json(parser)
    parser.add_argument("--all", action="store_true", help="show answered ones as well")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, help_ in _ACTIONS.items():
        action = actions.add_parser(name, help=help_, allow_abbrev=False)
        _add_common(action)
        if name == "list":
            action.add_argument(
                "--all", action="store_true", default=argparse.SUPPRESS, help="answered ones as well"
            )
            continue
        action.add_argument("id", metavar="ID", help="the approval, as the list shows it")
        action.add_argument("--by", default=None, help="who says so (default: the user's name)")
        action.add_argument(
            "--hash", default=None, metavar="HASH", help="refuse unless these arguments are asked for"
        )
        if name == "approve":
            action.add_argument(
                "--args", default=None, metavar="JSON", help="run it with these arguments instead"
            )
        else:
            action.add_argument(
                "reason", nargs="?", default="", metavar="REASON", help="what the model is told"
            )


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Let `--db` and `--json` stand behind the action too, without hiding one that stands before it."""
    parser.add_argument("--db", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """List approvals, or answer one."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from lash.facade import open as open_runtime

    async with open_runtime(existing(options.db), work=False) as runtime:
        match options.action:
            case "approve":
                approval = await runtime.approvals.approve(
                    options.id,
                    edited_args=_edited(options.args),
                    by=options.by or getpass.getuser(),
                    args_hash=options.hash,
                )
                return _print_one(options, approval)
            case "deny":
                approval = await runtime.approvals.deny(
                    options.id, options.reason, by=options.by or getpass.getuser(), args_hash=options.hash
                )
                return _print_one(options, approval)
            case _:
                approvals: list[Approval] = []
                while page := await runtime.approvals.list(
                    pending_only=not options.all, after=approvals[-1].id if approvals else None, limit=200
                ):
                    approvals += page
                return _print_list(options, approvals)


def _edited(text: str | None) -> dict[str, Any] | None:  # JSON of the user's
    if text is None:
        return None
    try:
        edited = json.loads(text)
    except json.JSONDecodeError as problem:
        raise LashError("invalid_argument", f"--args is no JSON: {problem}") from problem
    if not isinstance(edited, dict):
        raise LashError("invalid_argument", "--args must be a JSON object: the arguments by name")
    return edited


def _print_one(options: argparse.Namespace, approval: Approval) -> int:
    if options.json:
        print_json({"approval": approval})
    else:
        print(f"{approval.id} is {approval.state}")
    return 0


def _print_list(options: argparse.Namespace, approvals: list[Approval]) -> int:
    if options.json:
        print_json({"approvals": approvals})
        return 0
    rows = [
        (
            one.id,
            one.state,
            one.question.tool,
            _shortened(json.dumps(one.question.args, ensure_ascii=False)),
            moment(one.requested_at_ms),
            moment(one.expires_at_ms),
        )
        for one in approvals
    ]
    print_table(("ID", "STATE", "TOOL", "ARGUMENTS", "ASKED", "EXPIRES"), rows)
    return 0


def _shortened(text: str) -> str:
    return text if len(text) <= _ARGS_CHARS else text[:_ARGS_CHARS] + "…"
