"""A store in PostgreSQL: what the SQL store does, and on asyncio without a thread.

Knows which event loop has which connections. Everything else it has from `guestpass.stores.sql`.
"""

import asyncio
import logging
from typing import Final, TypeVar, cast

from sqlalchemy import URL, Connection, func, select
from sqlalchemy.util import greenlet_spawn

from guestpass.errors import ConfigurationError, StoreUnavailable
from guestpass.inquiry import Question
from guestpass.stores import engines
from guestpass.stores.deadlines import Within
from guestpass.stores.loops import LoopPool
from guestpass.stores.psycopg_connections import ARRIVED, async_engine, is_fit
from guestpass.stores.sql import InOurWords, SqlStore

T = TypeVar("T")

log = logging.getLogger("guestpass")

# Connections of a process that forked: its child may neither use nor close them.
_inherited: Final[list[object]] = []


class PostgresStore(SqlStore):
    """Answers every question of `guestpass.records` from the PostgreSQL database at a URL.

    Each event loop has connections of its own, as many as all threads together have. When who waits for
    `answer_async` is cancelled, the question itself goes on to its end: what it changes may be kept.
    """

    def __init__(self, url: str | URL, *, wait: float = 1.0) -> None:
        self._url = engines.parsed(url)
        self._pools: dict[asyncio.AbstractEventLoop, LoopPool] = {}
        super().__init__(url, wait=wait)

    async def answer_async(self, question: Question[T], /) -> T:
        """`answer`, on asyncio; it never holds up the event loop."""
        if self._over:
            raise StoreUnavailable(self._over)
        pool = self._pools.get(asyncio.get_running_loop()) or await self._new_pool()
        return await pool.run(self._ask_async(pool, question))

    async def _ask_async(self, pool: LoopPool, question: Question[T]) -> T:
        with InOurWords(question), Within(self._wait):
            # The statements are functions of a connection; each runs in a greenlet, which stands still for the loop
            # while its connection waits.
            return cast("T", await greenlet_spawn(self._ask, pool.engines, question))

    async def _new_pool(self) -> LoopPool:
        for loop, old in tuple(self._pools.items()):
            if loop.is_closed():
                old.leave()
        engine = async_engine(self._url, self._wait)
        loop = asyncio.get_running_loop()
        pool = self._pools[loop] = LoopPool(engine, engines.of_postgres(engine.sync_engine, is_fit), loop, self._forget)
        await pool.start()
        return pool

    def _forget(self, pool: LoopPool) -> None:
        if self._pools.get(pool.loop) is pool:
            del self._pools[pool.loop]

    def close(self) -> None:
        """Let the questions under way end, and close the connections of every thread and event loop."""
        super().close()
        for pool in tuple(self._pools.values()):
            pool.leave()

    def after_fork_in_child(self) -> None:
        """Go on with connections of one's own."""
        _inherited.append(self._pools)
        self._pools = {}
        super().after_fork_in_child()

    def _look_at(self, connection: Connection) -> None:
        arrived = connection.scalar(select(func.current_setting(ARRIVED, True)))
        if arrived != "yes" and "prepare_threshold" not in self._url.query:
            # Statements prepared by one client would be executed for another.
            raise ConfigurationError(
                "a pooler stands between the store and PostgreSQL: add ?prepare_threshold=none to the store's URL"
            )
        settings = ("fsync", "synchronous_commit")
        for setting in settings:
            if connection.scalar(select(func.current_setting(setting))) == "off":
                log.warning("PostgreSQL has %s = off: what a store acknowledges may be lost with its machine", setting)
