"""A store's connections on one event loop: opened on it, used on it, and closed with it or with the store.

Knows event loops and tasks. Knows neither questions nor tables.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
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
        self.loop = loop
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
        answer: asyncio.Future[T] = self.loop.create_future()
        task = self.loop.create_task(_settle(answer, work))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        # Whoever is cancelled here takes along the future, and not the task.
        return await answer

    def leave(self) -> None:
        """Close the connections, once what is under way has ended."""
        self._leaving = True
        if self.loop.is_running():
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._leave)
                return
        # It stands still, or was closed at this very moment.
        self._close()

    def _leave(self) -> None:
        if not self._under_way:
            self._close()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
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


async def _settle(answer: asyncio.Future[T], work: Coroutine[Any, Any, T]) -> None:
    """Tell `answer` what `work` comes to, if somebody still waits for it."""
    try:
        result = await work
    except asyncio.CancelledError:
        answer.cancel()  # the loop ends
        raise
    except Exception as problem:  # noqa: BLE001 - it is raised where the answer is waited for
        if not answer.done():
            answer.set_exception(problem)
            answer.exception()  # who waits for it may be cancelled at this very moment
    else:
        if not answer.done():
            answer.set_result(result)
