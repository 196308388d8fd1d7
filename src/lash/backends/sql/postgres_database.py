"""`PostgresDatabase`: every contract over one database of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec

from lash.backends.sql.database import SqlDatabase
from lash.backends.sql.engine import Query, Tx, Value
from lash.backends.sql.engine.postgres import PostgresEngine, PostgresSettings, PostgresTx
from lash.backends.sql.postgres_dialect import postgres_statement
from lash.backends.sql.postgres_schema import POSTGRES_SCHEMA
from lash.backends.sql.store import Store, json_list
from lash.system import RandomIds, SystemClock
from lash.values import Clock, IdSource

_IS_DEAD = "EXISTS (SELECT 1 FROM owner o WHERE o.owner_id = h.id) AND NOT lash_owner_lives(h.id)"
HOLDERS_AMONG = "SELECT jsonb_array_elements_text(?::jsonb)"


class HolderLife(msgspec.Struct, frozen=True, gc=False):
    """Whether somebody who holds something is known to be dead."""

    owner_id: str
    is_dead: bool


class PostgresStore(Store):
    """The door to a PostgreSQL engine, where the dead are found by a statement."""

    def __init__(self, engine: PostgresEngine, ids: IdSource) -> None:
        super().__init__(engine, lambda: engine.connect(POSTGRES_SCHEMA), ids)
        self._postgres = engine

    @property
    def shows_life(self) -> bool:
        return self._postgres.shows_life

    async def dead_among(self, tx: Tx, owner_ids: Iterable[str | None]) -> frozenset[str]:
        """Return those of the owners that made themselves known here and hold no sign of life any more."""
        asked = {owner_id for owner_id in owner_ids if owner_id is not None} - {self._postgres.owner_id}
        if not asked:
            return frozenset()
        assert isinstance(tx, PostgresTx)  # this store's engine makes no other
        lives = {life.owner_id: life.is_dead for life in tx.foreseen if isinstance(life, HolderLife)}
        others = asked - lives.keys()
        if others:
            rows = await tx.fetch_all(
                HolderLife, holder_lives(HOLDERS_AMONG), json_list(sorted(others)), self._postgres.owner_id
            )
            lives |= {life.owner_id: life.is_dead for life in rows}
        dead = frozenset(owner_id for owner_id in asked if lives.get(owner_id))
        self._postgres.note_dead(dead)
        return dead

    def foresee_owners(self, tx: Tx, holders: str, *params: Value) -> None:
        """Ask for the lives of these holders in the flight of the script's next read."""
        assert isinstance(tx, PostgresTx)  # this store's engine makes no other
        tx.foretell(Query(HolderLife, holder_lives(holders), *params, self._postgres.owner_id))


class PostgresDatabase(SqlDatabase):
    """See `Database` for the contract. Opened when it is first used; many processes may share it."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        test_clock: Clock | None = None,
        settings: PostgresSettings | None = None,
    ) -> None:
        """Name the database; nothing is opened before `connect` or the first operation.

        Args:
            url: `postgresql://[USER[:PASSWORD]@][HOST[:PORT]]/DATABASE[?…]`, or `postgres://`, with the
                parameters of libpq and those of lash, which `PostgresSettings` describes.
            clock: This machine's time, which is corrected to the server's.
            ids: Where ids come from; random by default.
            test_clock: A clock that a test sets. It stands for the server's.
            settings: The numbers that the engine works by.

        Raises:
            LashError: `invalid_argument` for a parameter of the URL that cannot be.
        """
        source = ids or RandomIds()
        engine = PostgresEngine(
            url,
            postgres_statement,
            clock=clock or SystemClock(),
            ids=source,
            test_clock=test_clock,
            settings=settings,
        )
        super().__init__(engine, PostgresStore(engine, source), url=engine.shown_url, clock=engine.clock)


@cache
def holder_lives(holders: str) -> str:
    """Return the select that says of each holder but one, the last parameter, whether it is known to be dead.

    Args:
        holders: A select of owner ids (see `holders`).
    """
    return f"SELECT h.id, {_IS_DEAD} FROM ({holders}) AS h (id) WHERE h.id <> ?"  # noqa: S608  # constants only
