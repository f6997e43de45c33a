"""A store's connections on one event loop: opened on it, used on it, and closed with it or with the store.

Knows event loops and tasks. Knows neither questions nor tables.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from guestpass.stores.engines import Engines

T = TypeVar("T")


class LoopPool:
    """The engines of one loop. To be made and used on it; `leave` may be called from anywhere.

    `closed` hears of the end.

    Nothing that is under way is ever cancelled together with who waits for it: a statement that is broken off costs
    its connection, and each ends by itself within the bounds of a question.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        engines: Engines,
        loop: asyncio.AbstractEventLoop,
        closed: Callable[["LoopPool"], object],
    ) -> None:
        self.engines = engines
        self._loop = loop
        self._closed = closed
        self._engine = engine
        self._under_way: set[asyncio.Task[Any]] = set()
        self._leaving = False
        self._connections: WeakSet[Any] = WeakSet()
        event.listen(engine.sync_engine, "connect", self._note)
        self._end_of_loop = self._wait_for_the_end()

    async def start(self) -> None:
        """Have the loop close the connections when it ends."""
        # By an asynchronous generator that is never gone through: a loop that ends closes those.
        await anext(self._end_of_loop)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to, which goes on to its end even where nobody waits for it any more."""
        task = self._loop.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def leave(self) -> None:
        """Close the connections, once what is under way has ended."""
        if self._loop.is_running():
            try:
                self._loop.call_soon_threadsafe(self._leave)
            except RuntimeError:
                self._close()  # the loop was closed at this very moment
        else:
            self._close()

    def _leave(self) -> None:
        self._leaving = True
        if not self._under_way:
            self._close()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # which nobody may be there to hear of
        if self._leaving and not self._under_way:
            self._close()

    def _note(self, _: object, record: Any) -> None:
        self._connections.add(record.driver_connection)

    def _close(self) -> None:
        # Each in one step: the pool's own way of closing takes a loop that is still running.
        for connection in tuple(self._connections):
            connection.pgconn.finish()
        self._engine.sync_engine.dispose(close=False)
        self._closed(self)

    async def _wait_for_the_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._close()
