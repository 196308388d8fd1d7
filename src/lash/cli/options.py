"""Options that several commands share, and the agent that the command line runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lash.agents import Agent
from lash.errors import LashError

CLI_AGENT = "cli"
DEFAULT_DB = "lash.db"

INSTRUCTIONS = "You answer questions about the files below the root. Use the tools to look before you answer."


def add_db(parser: argparse.ArgumentParser) -> None:
    """Add `--db`."""
    parser.add_argument(
        "--db",
        default=os.environ.get("LASH_DB", DEFAULT_DB),
        help="the database: a path or a URL (default: $LASH_DB, else lash.db)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_agent(parser: argparse.ArgumentParser) -> None:
    """Add what describes the agent of the command line."""
    parser.add_argument("--session", default="default", help="the session's id (default: default)")
    parser.add_argument(
        "--model",
        default=os.environ.get("LASH_MODEL"),
        help='"provider:name", such as openai:gpt-5.4-mini, anthropic:claude-sonnet-5 or local:smollm2 '
        "(default: $LASH_MODEL)",
    )
    parser.add_argument(
        "--agent",
        metavar="MODULE:ATTR",
        help="an agent of yours instead of the command line's own; the options below are not for it",
    )
    parser.add_argument("--root", default=".", help="the folder whose files the tools may read (default: .)")
    parser.add_argument("--instructions", default=INSTRUCTIONS, help="the system text")


def cli_agent(options: argparse.Namespace) -> Agent:
    """Return the agent that was named; else that of the command line: a model, and tools that read files.

    Raises:
        LashError: `worker_target_invalid` for a name that names no agent; `model_missing` when no model was
            named; what `file_tools` raises for a bad root.
    """
    from lash.tools import file_tools

    if options.agent:
        from lash.cli.worker import found_work

        agents = [one for one in found_work(options.agent) if isinstance(one, Agent)]
        if len(agents) != 1:
            raise LashError(
                "worker_target_invalid",
                f"{options.agent!r} holds {len(agents)} agents; name the one to talk to",
            )
        return agents[0].with_model(options.model) if options.model else agents[0]
    if not options.model:
        raise LashError(
            "model_missing",
            'no model: give --model "provider:name" or set LASH_MODEL (local:smollm2 runs offline)',
        )
    return Agent(
        CLI_AGENT, model=options.model, tools=file_tools(options.root), instructions=options.instructions
    )


def existing(db: str) -> str:
    """Return a database's URL if there is one; a command that only looks creates none.

    Raises:
        LashError: `database_missing`.
    """
    path = db.removeprefix("sqlite:///")
    if "://" not in path and path != "memory:" and not Path(path).exists():
        raise LashError("database_missing", f"there is no database at {path}; give --db", path=path)
    return db


def print_json(value: Any) -> None:
    """Print one JSON object."""
    import msgspec

    sys.stdout.write(json.dumps(msgspec.to_builtins(value), ensure_ascii=False) + "\n")


def print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under a header, columns aligned."""
    widths = [max(len(row[at]) for row in [header, *rows]) for at in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def moment(at_ms: int | None) -> str:
    """Return a time as people read it, in UTC."""
    from datetime import UTC, datetime

    if at_ms is None:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
