"""Who of this process may use a database right now.

Knows threads and waiting. Knows nothing of databases.
"""

import threading
from types import TracebackType

from guestpass.errors import StoreUnavailable


class Gate:
    """Lets any number of threads in while it is open, and is shut only once the last one is out."""

    __slots__ = ("_changed", "_inside", "_lock", "_open")

    def __init__(self) -> None:
        # Entered by itself where nobody waits: by way of the condition, that takes twice as long.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._inside = 0
        self._open = True

    def __enter__(self) -> None:
        with self._lock:
            while not self._open:
                self._changed.wait()
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and not self._open:
                self._changed.notify_all()

    def shut(self, patience: float) -> bool:
        """Let nobody in, and wait up to `patience` seconds for those inside. Whether all of them are out."""
        with self._changed:
            self._open = False
            return self._changed.wait_for(lambda: not self._inside, patience)

    def open(self) -> None:
        """Let in whoever waits."""
        with self._changed:
            self._open = True
            self._changed.notify_all()


class Turn:
    """One thread after the other, each waiting up to `wait` seconds; StoreUnavailable after that.

    SQLite has one writer at a time, and who finds it locked tries again at growing intervals, with luck: a
    queue in front of it is quicker, and starves nobody.
    """

    __slots__ = ("_lock", "_wait")

    def __init__(self, wait: float) -> None:
        self._lock = threading.Lock()
        self._wait = wait

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._wait):
            raise StoreUnavailable("the store did not answer: other writers of this process are still at work")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
