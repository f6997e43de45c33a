"""Warnings that a crowd of requests has the same cause for: one line a second for each cause, with a count."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from guestpass.concurrency.forking import begins_anew

EVERY: Final = 1.0
"""Seconds between two lines of one cause."""

CAUSES: Final = 128
"""Causes that are told apart; there are hardly ever more than a few."""


class SparseLog:
    """Called as ``log.warning`` is, it writes a line for one text at most once in `EVERY` seconds; the next one says
    how many there were meanwhile."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self.after_fork()
        begins_anew(self)

    def after_fork(self) -> None:
        """In a forked child: another thread of the parent's may have held it; and the child speaks for itself."""
        self._lock = threading.Lock()
        self._written: dict[str, tuple[float, int]] = {}

    def __call__(self, message: str, *parts: object, exc_info: bool = False) -> None:
        """Write a warning, or count it."""
        text, now = message % parts, self._clock()
        with self._lock:
            last, left_out = self._written.get(text, (-EVERY, 0))
            if 0 <= now - last < EVERY and text in self._written:
                self._written[text] = last, left_out + 1
                return
            if len(self._written) >= CAUSES:
                self._written.clear()
            self._written[text] = now, 0
        more = f" ({left_out} more like it since the last line)" if left_out else ""
        self._log.warning("%s%s", text, more, exc_info=exc_info)
