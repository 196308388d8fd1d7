"""Whether a commit took place whose answer was lost: each one leaves a mark, and the mark is looked for.

The number of the transaction would not do. A server that crashes forgets the numbers that had not reached its
disk, and gives them to others.

Every session has a row of its own, so marks do not wait for each other. Looking for one waits for the session
that may still be writing it.
"""

from __future__ import annotations

from lash.backends.sql.engine.postgres.connections import Driver

MARK_TABLE = """
CREATE TABLE lash_mark (
    owner text NOT NULL,
    session bigint NOT NULL,
    number bigint NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (owner, session)
) WITH (fillfactor = 50);
"""
SET_MARK = """INSERT INTO lash_mark (owner, session, number, at_ms) VALUES ($1, $2, $3, lash_now())
    ON CONFLICT (owner, session) DO UPDATE SET number = excluded.number, at_ms = excluded.at_ms"""
_WAIT_FOR_FIRST = """INSERT INTO lash_mark (owner, session, number, at_ms) VALUES (%s, %s, 0, lash_now())
    ON CONFLICT (owner, session) DO NOTHING"""
_WAIT_AND_READ = "SELECT number FROM lash_mark WHERE owner = %s AND session = %s FOR UPDATE"
_REMOVE_OWN = "DELETE FROM lash_mark WHERE owner = %s"
_REMOVE_OLD = "DELETE FROM lash_mark WHERE at_ms < lash_now() - 3600000 AND NOT lash_owner_lives(owner)"


async def has_mark(driver: Driver, owner_id: str, session: int, number: int) -> bool:
    """Say whether a session's last commit is the one of that number, once it can write no more.

    Raises:
        psycopg.Error: The server was lost again.
    """
    async with driver.transaction(force_rollback=True):
        await driver.execute(_WAIT_FOR_FIRST, (owner_id, session))
        row = await (await driver.execute(_WAIT_AND_READ, (owner_id, session))).fetchone()
        return row is not None and row[0] == number


async def remove_marks(driver: Driver, owner_id: str) -> None:
    """Remove the marks of an owner that asks no more, and of those that are long gone.

    Raises:
        psycopg.Error: The server was lost; somebody else will do it.
    """
    await driver.execute(_REMOVE_OWN, (owner_id,))
    await driver.execute(_REMOVE_OLD)
