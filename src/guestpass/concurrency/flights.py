"""One errand at a time, however many wait for it: from threads and from event loops, all at once.

Knows how to start an errand in a thread of its own and how to wait for it. Knows nothing of what it brings.
An `asyncio.Lock` cannot do this, since it belongs to one loop; a `concurrent.futures.Future` belongs to
none.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future


class Flight:
    """One errand on its way. `began` is the instant that its owner gave it; `failed` is for the errand to
    clear."""

    __slots__ = ("_landed", "began", "failed")

    def __init__(self, began: float) -> None:
        self.began = began
        self.failed = True
        self._landed: Future[None] = Future()
        # A waiter that is cancelled must not cancel it for the others.
        self._landed.set_running_or_notify_cancel()

    def start(self, errand: Callable[[], None]) -> None:
        """Run `errand` in a daemon thread; the flight lands when it ends, however it ends.

        Raises `RuntimeError` where no thread can be had.
        """

        def run() -> None:
            try:
                errand()
            finally:
                self._landed.set_result(None)

        threading.Thread(target=run, name="guestpass-fetch", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait in this thread. Whether it landed within `seconds`."""
        try:
            self._landed.result(seconds)
        except TimeoutError:
            return False
        return True

    async def wait_async(self, seconds: float) -> bool:
        """Wait on asyncio. Whether it landed within `seconds`."""
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._landed)), seconds)
        except TimeoutError:
            return False
        return True
