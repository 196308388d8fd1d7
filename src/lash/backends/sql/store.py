"""What every port shares: the engine, opened when it is first needed, fresh ids, and who is known to be dead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from lash.backends.sql.engine import Engine, Script, Tx, Value
from lash.values import IdSource, encode_record

T = TypeVar("T")


class Store:
    """The door to one engine. Scripts go through `run` and `read`, which connect at the first use."""

    def __init__(self, engine: Engine, connect: Callable[[], Awaitable[None]], ids: IdSource) -> None:
        self.engine = engine
        self.new_id = ids.new
        self._connect = connect
        self._connecting: asyncio.Future[None] | None = None
        self._is_connected = False

    async def connect(self) -> None:
        """Open the database once, whoever asks, and make this owner known to the others.

        Raises:
            LashError: see `Database.connect`; asking again tries again.
        """
        if self._is_connected:
            return
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._open())
        try:
            await asyncio.shield(self._connecting)
        except Exception:
            self._connecting = None
            raise

    async def run(self, script: Script[T], *, durable: bool = True) -> T:
        """Run a script that writes; see `Engine.run`."""
        if not self._is_connected:
            await self.connect()
        return await self.engine.run(script, durable=durable)

    async def read(self, script: Script[T]) -> T:
        """Run a script that only reads; see `Engine.read`."""
        if not self._is_connected:
            await self.connect()
        return await self.engine.read(script)

    @property
    def shows_life(self) -> bool:
        """Whether others can see that this owner lives; if they cannot, nobody may take it for dead."""
        return True

    async def dead_among(self, tx: Tx, owner_ids: Iterable[str | None]) -> frozenset[str]:
        """Return those of the owners that are known to be gone.

        Only engines that made themselves known here can be: any other name (a worker elsewhere, an
        operator) is only as dead as its time to live says.
        """
        asked = {owner_id for owner_id in owner_ids if owner_id is not None} - {self.engine.owner_id}
        if not asked:
            return frozenset()
        known = await tx.fetch_all(str, FIND_OWNERS, json_list(asked))
        return frozenset(self.engine.dead_owners(known)) if known else frozenset()

    def foresee_owners(self, tx: Tx, holders: str, *params: Value) -> None:
        """Say whom a script will ask about by `dead_among`, before its first read.

        On a database in this process there is nothing to gain. Across a network the answer comes with the read.

        Args:
            tx: The script's transaction.
            holders: One of the statements of `holders`: a select of owner ids.
            params: Its parameters.
        """

    async def _open(self) -> None:
        await self._connect()
        if self.shows_life:
            await self._introduce()
        self._is_connected = True

    async def _introduce(self) -> None:
        owner_id = self.engine.owner_id

        async def script(tx: Tx) -> None:
            await tx.write(ADD_OWNER, owner_id, tx.now_ms)

        await self.engine.run(script, durable=False)


def json_list(values: Iterable[str] | Iterable[int]) -> str:
    """Return a list as the one text that statements unpack with `json_each`."""
    return encode_record(list(values)).decode()


FIND_OWNERS = "SELECT owner_id FROM owner WHERE owner_id IN (SELECT value FROM json_each(?))"
LIST_OWNERS = "SELECT owner_id FROM owner"
ADD_OWNER = "INSERT INTO owner (owner_id, opened_at_ms) VALUES (?, ?) ON CONFLICT (owner_id) DO NOTHING"
REMOVE_OWNERS = "DELETE FROM owner WHERE owner_id IN (SELECT value FROM json_each(?))"
