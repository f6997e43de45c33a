"""A store whose questions all go through its asynchronous half, so that one contract serves both."""

import asyncio
import threading
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from guestpass.inquiry import Question

T = TypeVar("T")


class BothHalves(Protocol):
    """A store that can also be asked on asyncio."""

    def answer(self, question: Question[T], /) -> T: ...

    def answer_async(self, question: Question[T], /) -> Awaitable[T]: ...

    def close(self) -> None: ...


class AsyncHalf:
    """Answers by the `answer_async` of `store`, on an event loop that runs in a thread of its own until `close`."""

    def __init__(self, store: BothHalves) -> None:
        self._store = store
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def answer(self, question: Question[T], /) -> T:
        """What the store's asynchronous half answers."""
        if self._loop.is_closed():
            return asyncio.run(self._ask(question))
        return asyncio.run_coroutine_threadsafe(self._ask(question), self._loop).result()

    def close(self) -> None:
        """Close the store, then end the loop. Closing twice is closing once."""
        self._store.close()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    async def _ask(self, question: Question[T]) -> T:
        return await self._store.answer_async(question)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
