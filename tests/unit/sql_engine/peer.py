"""Another process on the same database, told by lines on its standard input what to do. Run, not imported."""

import asyncio
import os
import resource
import sys
from functools import partial

from lash.backends.sql.engine import Tx
from lash.backends.sql.engine.sqlite import Schema, SqliteEngine
from lash.errors import LashError
from lash.system import RandomIds, SystemClock

SCHEMA = Schema(
    application_id=0x1A5B,
    foreign_keys=True,
    migrations=(
        "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL);"
        "CREATE TABLE reply(note INTEGER NOT NULL REFERENCES note(id) DEFERRABLE INITIALLY DEFERRED);",
    ),
)


def say(text: object) -> None:
    os.write(1, f"{text}\n".encode())


async def note_and_reply(tx: Tx, text: str) -> int:
    note_id = await tx.fetch_one(int, "INSERT INTO note(text) VALUES(?) RETURNING id", text)
    await tx.write("INSERT INTO reply(note) VALUES(?)", note_id)
    return note_id or 0


async def count(tx: Tx) -> int:
    return await tx.fetch_one(int, "SELECT count(*) FROM note") or 0


async def notify(tx: Tx, topic: str) -> None:
    await tx.write("INSERT INTO note(text) VALUES(?)", topic)
    tx.notify(topic)


async def write_for_ever(engine: SqliteEngine) -> None:
    async def caller() -> None:
        while True:
            say(await engine.run(partial(note_and_reply, text="x")))

    await asyncio.gather(*(caller() for _ in range(20)))


async def write_many(engine: SqliteEngine, name: str, callers: int, each: int) -> None:
    async def caller(n: int) -> None:
        for turn in range(each):
            await engine.run(partial(note_and_reply, text=f"{name} {n} {turn}"))

    await asyncio.gather(*(caller(n) for n in range(callers)))


async def fill_up(engine: SqliteEngine, limit_bytes: int) -> str:
    """Write under a file size limit until it is met, then without it, and say what happened."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        for _ in range(10_000):
            await engine.run(partial(note_and_reply, text="x" * 3_000))
    except LashError as error:
        met = f"{error.code} {error.retryable}"
    else:
        met = "no limit met"
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await engine.run(partial(note_and_reply, text="after"))
    return met


def fork() -> None:
    if os.fork() == 0:
        say("forked")
        sys.stdin.readline()
        os._exit(0)


async def serve(engine: SqliteEngine) -> None:
    while line := (await asyncio.to_thread(sys.stdin.readline)).split():
        match line:
            case ["count"]:
                say(await engine.read(count))
            case ["visible", text]:
                say(await engine.run(partial(note_and_reply, text=text), durable=False))
            case ["notify", topic]:
                await engine.run(partial(notify, topic=topic))
            case ["many", name, callers, each]:
                await write_many(engine, name, int(callers), int(each))
                say("done")
            case ["for-ever"]:
                await write_for_ever(engine)
            case ["fill-up", limit_bytes]:
                say(await fill_up(engine, int(limit_bytes)))
            case ["fork"]:
                fork()
            case _:
                raise ValueError(line)


async def main() -> None:
    engine = SqliteEngine(sys.argv[1], clock=SystemClock(), ids=RandomIds())
    await engine.connect(SCHEMA)
    say(engine.owner_id)
    await serve(engine)
    await engine.close()


asyncio.run(main())
