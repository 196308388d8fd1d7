"""`lash demo`: a turn is killed with SIGKILL and finished by the next process, and every claim is checked.

The demo runs itself as a child process. The child's at-most-once tool writes to its side-effect file and
then kills its own process, before the outcome can be recorded. A second child opens the same database and
finishes the turn. What ran how often is then counted in the tools' own log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lash.cli.demo_agent import ANNOUNCEMENT, PROMPT, DemoFolder, demo_agent, demo_script
from lash.cli.options import print_table

_SESSION = "release-1"
_TURN = "demo-turn"
_CHILD_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that the demo says, and whether it held."""

    text: str
    held: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash demo`."""
    parser.add_argument("--root", default=".", help="the folder whose files the agent reads (default: .)")
    parser.add_argument(
        "--dir", help="where to keep the database and the side effects (default: a new folder)"
    )
    parser.add_argument(
        "--model",
        default=_model_from_environment(),
        help='"scripted", or "provider:name" (default: scripted, unless MODEL or a key is set)',
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Run the demo; status 0 only if every claim held."""
    if options.child:
        return asyncio.run(_child(options))
    with tempfile.TemporaryDirectory(prefix="lash-demo-") as temporary:
        folder = DemoFolder(Path(options.dir or temporary))
        folder.path.mkdir(parents=True, exist_ok=True)
        return _demo(options, folder)


def _model_from_environment() -> str:
    chosen = os.environ.get("MODEL")
    if chosen:
        return "local:smollm2" if chosen == "local" else chosen
    if os.environ.get("OPENAI_API_KEY"):
        return "openai:gpt-5.4-mini"
    if os.environ.get("ANTHROPIC_API_KEY"):
        return "anthropic:claude-sonnet-5"
    return "scripted"


def _demo(options: argparse.Namespace, folder: DemoFolder) -> int:
    scripted = options.model == "scripted"
    print(
        f"model: {options.model}"
        + (" (a script stands in; set MODEL=local or a key for a real one)" if scripted else "")
    )
    folder.set_trap("announce_release" if scripted else "any")
    first = _run_child(options, folder)
    if first.returncode == -signal.SIGKILL:
        last = json.loads(folder.lines(folder.executions)[-1])["what"]
        print(f"process 1: killed with SIGKILL, after {last} had done its work and before that was recorded")
    else:
        print(
            f"process 1: ended by itself with status {first.returncode}; the model called no tool to be killed in"
        )
        sys.stderr.write(first.stderr)
    executions_before = folder.lines(folder.executions)
    second = _run_child(options, folder)
    if second.returncode != 0:
        sys.stderr.write(second.stderr)
        print(f"process 2: failed with status {second.returncode}")
        return 1
    report = json.loads(second.stdout.splitlines()[-1])
    found = (
        "found the turn committed, and ran nothing" if report["committed"] else "found the turn, finished it"
    )
    print(f"process 2: {found}\n\nanswer: {report['text']}\n")
    executions = [json.loads(line) for line in folder.lines(folder.executions)]
    _print_effects(report, executions)
    claims = _claims(report, executions, len(executions_before), folder, first.returncode, scripted=scripted)
    print(f"\n{folder.outbox.name}:")
    for line in folder.lines(folder.outbox):
        print(f"  {line}")
    print()
    for claim in claims:
        print(f"{'held' if claim.held else 'BROKEN':6}  {claim.text}")
    held = all(claim.held for claim in claims)
    print("\nevery claim held" if held else "\nNOT every claim held")
    return 0 if held else 1


def _run_child(options: argparse.Namespace, folder: DemoFolder) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lash.cli", "demo", "--child"]
    command += ["--dir", str(folder.path), "--root", options.root, "--model", options.model]
    return subprocess.run(command, capture_output=True, text=True, timeout=_CHILD_TIMEOUT_S, check=False)


async def _child(options: argparse.Namespace) -> int:
    """One operating-system process: open the database, run or finish the turn, print what happened."""
    from lash.cli.options import print_json
    from lash.facade import open as open_runtime

    folder = DemoFolder(Path(options.dir))
    model = demo_script(folder) if options.model == "scripted" else options.model
    agent = demo_agent(folder, Path(options.root), model)
    async with open_runtime(folder.database, agent) as runtime:
        session = await runtime.session(_SESSION)
        result = await session.turn(PROMPT, turn_id=_TURN)
        effects, _ = await runtime.effects.list(session_id=_SESSION)
        queue = await session.queue()
    print_json(
        {
            "text": result.text,
            "stop": result.stop,
            "usage": result.usage,
            "head_revision": result.head_revision,
            "committed": result.replayed,
            "queued": len(queue),
            "tool_calls": result.tool_calls,
            "replayed": result.replayed_effects,
            "effects": effects,
        }
    )
    return 0


def _print_effects(report: dict[str, Any], executions: list[dict[str, Any]]) -> None:
    """Print each effect: its state, how often it really ran, whether the second process replayed it."""
    ran = Counter(note["key"] for note in executions)
    models = [note for note in executions if note["what"] == "model"]
    rows = []
    answers = 0
    for effect in report["effects"]:
        identity = effect["identity"]
        if identity["kind"] == "llm_call":
            answers += 1
            name, count = f"model answer {answers}", ran.get(f"answer {answers}", 0) if models else 1
        elif identity["kind"] == "tool_call":
            name = identity["label"]
            count = sum(
                count
                for key, count in ran.items()
                if key and key in (_call_id(identity), _key_of(identity, ran))
            )
        else:
            continue
        replayed = report["committed"] or identity["replay_key"] in report["replayed"]
        rows.append(
            (
                name,
                effect.get("state", "done"),
                str(count or effect.get("runs", 1)),
                "replayed" if replayed else "ran" if effect.get("state") != "unknown" else "not repeated",
            )
        )
    print_table(("EFFECT", "STATE", "TIMES RUN", "IN PROCESS 2"), rows)


def _call_id(identity: dict[str, Any]) -> str:
    return str(identity["effect_id"]).partition(":")[2]


def _key_of(identity: dict[str, Any], ran: Counter[str]) -> str:
    """Return the idempotency key under which the tool's own log knows the call."""
    call_id = _call_id(identity)
    return next((key for key in ran if key.startswith("lash-tool:") and call_id in key), "")


def _claims(
    report: dict[str, Any],
    executions: list[dict[str, Any]],
    before: int,
    folder: DemoFolder,
    first_status: int,
    *,
    scripted: bool,
) -> list[Claim]:
    sent = folder.lines(folder.outbox)
    announced = Counter(note["key"] for note in executions if note["what"] == "announce_release")
    tickets = Counter(json.loads(line)["key"] for line in folder.lines(folder.tickets))
    asked = Counter(note["key"] for note in executions if note["what"] == "model")
    claims = [
        Claim(
            f"each at-most-once call ran at most once ({sum(announced.values())} run, {len(sent)} sent)",
            all(count == 1 for count in announced.values()) and len(sent) == sum(announced.values()),
        ),
        Claim("each idempotent call took effect once per key", all(n == 1 for n in tickets.values())),
        Claim("the turn was committed exactly once", report["head_revision"] == 1),
        Claim("nothing is left in the queue", report["queued"] == 0),
    ]
    if not scripted:
        return claims
    unknown = [effect for effect in report["effects"] if effect.get("state") == "unknown"]
    return [
        Claim("process 1 was killed with SIGKILL", first_status == -signal.SIGKILL),
        *claims,
        Claim("the announcement went out exactly once", sent == [ANNOUNCEMENT]),
        Claim(
            "the model was told that the outcome is unknown, and did not repeat the call", len(unknown) == 1
        ),
        Claim(
            f"no model answer that was recorded was asked for again ({len(asked)} answers)",
            all(count == 1 for count in asked.values()),
        ),
        Claim("process 2 replayed what process 1 had recorded", len(report["replayed"]) >= 4),
        Claim("process 2 did something of its own", len(executions) > before),
    ]
