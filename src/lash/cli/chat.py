"""`lash chat`: talk to an agent. Ctrl-C cancels the running turn, and leaves when none runs."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import signal
import sys

from lash.cli.options import add_agent, add_db, cli_agent
from lash.errors import LashError
from lash.values import ApprovalRequested


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash chat`."""
    add_db(parser)
    add_agent(parser)


def run(options: argparse.Namespace) -> int:
    """Read lines and answer them until the input ends."""
    sys.setswitchinterval(0.0005)  # an application may: the storage thread gets its turn sooner
    return asyncio.run(_chat(options))


async def _chat(options: argparse.Namespace) -> int:
    from lash.cli.streaming import show
    from lash.facade import Session, Turn
    from lash.facade import open as open_runtime

    running: list[Turn] = []
    cancels: set[asyncio.Task[object]] = set()
    leave = asyncio.Event()

    def interrupted() -> None:
        if not running:
            leave.set()
            return
        print("\n[cancelling; Ctrl-C again leaves]", file=sys.stderr)
        turn = running.pop()
        task: asyncio.Task[object] = asyncio.ensure_future(turn.cancel())
        cancels.add(task)
        task.add_done_callback(cancels.discard)

    async def ask(question: ApprovalRequested) -> None:
        """Ask the person at the terminal; no answer leaves the call waiting, to be answered from elsewhere."""
        print(f"{question.tool} {json.dumps(question.args, ensure_ascii=False)}", file=sys.stderr)
        line = await _read_line(leave, "run it? [y/N, or a reason] ")
        said = (line or "").strip()
        try:
            if said.lower() in ("y", "yes"):
                await runtime.approvals.approve(question.approval_id, by=getpass.getuser())
            elif line is not None:
                reason = "" if said.lower() in ("", "n", "no") else said
                await runtime.approvals.deny(question.approval_id, reason, by=getpass.getuser())
        except LashError as error:  # somebody else may have answered meanwhile
            print(f"[{error}]", file=sys.stderr)

    async def answer(session: Session, line: str) -> None:
        turn = session.turn(line)
        running.append(turn)
        try:
            await show(turn, ask)
            result = await turn
            if result.stop is not None:
                print(f"[the turn stopped: {result.stop}]", file=sys.stderr)
        except LashError as error:
            print(f"[{error}]", file=sys.stderr)
        finally:
            if turn in running:
                running.remove(turn)

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted)
    async with open_runtime(options.db, cli_agent(options)) as runtime:
        session = await runtime.session(options.session)
        print(f"session {session.id!r} on {options.db}; end with Ctrl-D", file=sys.stderr)
        while (line := await _read_line(leave)) is not None:
            if line.strip():
                await answer(session, line)
    return 0


async def _read_line(leave: asyncio.Event, prompt: str = "> ") -> str | None:
    """Return the next line, or None at the end of input or when the user leaves."""
    if sys.stdin.isatty():
        sys.stderr.write(prompt)
        sys.stderr.flush()
    reading = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    leaving = asyncio.ensure_future(leave.wait())
    await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
    if not reading.done():
        return None
    leaving.cancel()
    return reading.result() or None
