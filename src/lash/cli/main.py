"""Parses the command line and runs one command.

Exit status: 0 when the work was done, 1 when it failed, 2 for a command line that makes no sense. With
`--json` one JSON object goes to standard output and nothing else; errors go to standard error with their code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from lash.errors import LashError

# Command -> the module that has `configure(parser)` and `run(options) -> int`, and its one-line help.
_COMMANDS = {
    "run": ("lash.cli.run", "run one durable turn"),
    "chat": ("lash.cli.chat", "talk to an agent; Ctrl-C cancels the running turn"),
    "sessions": ("lash.cli.sessions", "list sessions"),
    "show": ("lash.cli.show", "show the history of a session"),
    "queue": ("lash.cli.queue", "show accepted input that is not committed yet"),
    "effects": ("lash.cli.effects", "show the ledger of effects: done, failed, unknown"),
    "approvals": ("lash.cli.approvals", "show the tool calls that wait for a person, and answer them"),
    "processes": ("lash.cli.processes", "show background work, and act on it"),
    "events": ("lash.cli.events", "show what a process has reported; --follow goes on"),
    "triggers": ("lash.cli.triggers", "show subscriptions to events; emit one, cancel one"),
    "worker": ("lash.cli.worker", "drive the work of a database until SIGTERM"),
    "settle": ("lash.cli.settle", "say how an effect ended that nobody knows the end of"),
    "doctor": ("lash.cli.doctor", "say what is durable here and why, what is unserved, what is stuck"),
    "model": ("lash.cli.model", "fetch a local model"),
    "lang": ("lash.cli.lang", "check, format and run lashlang programs"),
    "conformance": ("lash.cli.conformance", "hold a backend to the contracts, case by case"),
    "trace": ("lash.cli.trace", "make a page of a trace"),
    "demo": ("lash.cli.demo", "kill a turn with SIGKILL and watch it being finished"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="lash", description="A durable runtime for LLM agents.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, help_) in _COMMANDS.items():
        command = commands.add_parser(name, help=help_, allow_abbrev=False)
        if arguments[:1] == [name]:
            import_module(module).configure(command)
    options = parser.parse_args(arguments)
    try:
        return int(import_module(_COMMANDS[options.command][0]).run(options))
    except LashError as error:
        print(f"lash: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130


def _version() -> str:
    from lash import __version__

    return f"lash {__version__}"
