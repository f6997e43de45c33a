"""Dropping what has ended and is no longer told about, a little at a time, so that nobody waits for it."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from guestpass.errors import Unavailable
from guestpass.inquiry import Answers
from guestpass.records import Purge

KEPT: Final = 86_400
"""Seconds for which a session that ended is still told apart from one that never was."""

EVERY: Final = 60.0
"""Seconds between two rounds."""

BATCHES: Final = 200
"""At most so many batches a round; what is left waits for the next."""

log = logging.getLogger("guestpass")


class Purger:
    """Purges one store. `work` is a job of the upkeep; it starts a thread, since a store may take its time."""

    def __init__(self, store: Answers, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._busy = threading.Lock()

    def work(self) -> None:
        """Start a round, unless one is still under way."""
        threading.Thread(target=self.run, name="guestpass-purge", daemon=True).start()

    def run(self) -> int:
        """One round: batch after batch until nothing is left. Answers how many records went."""
        if not self._busy.acquire(blocking=False):
            return 0
        try:
            now, gone = self._clock(), 0
            for _ in range(BATCHES):
                dropped = self._store.answer(Purge(now, ended_before=now - KEPT))
                gone += dropped
                if not dropped:
                    break
        except Unavailable as problem:
            log.warning("purging waits for the next round: %s", problem)
            return 0
        else:
            return gone
        finally:
            self._busy.release()
