"""A process that stores attachments in a folder and is killed at it: `python writer.py DATABASE FOLDER JOB`."""

from __future__ import annotations

import asyncio
import sys
from itertools import count

import lash
from lash.backends.files import FileAttachmentStore
from lash.testing import ScriptedModel


def say(text: str) -> None:
    print(text, flush=True)


async def attach_and_wait(session: lash.Session) -> None:
    """Store an attachment; the turn that would commit to it never comes."""
    say((await session.attach(b"abc", "text/plain")).id)
    await asyncio.Event().wait()


async def attach_for_ever(session: lash.Session) -> None:
    """Store attachments of a megabyte, one after the other; say each once it is acknowledged."""
    for number in count():
        say((await session.attach(f"{number:07}".encode() * 150_000, "text/plain")).id)


async def main(database: str, folder: str, job: str) -> None:
    agent = lash.Agent("helper", model=ScriptedModel([]))
    async with lash.open(database, agent, attachments=FileAttachmentStore(folder)) as runtime:
        await globals()[job](await runtime.session("s", agent))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
