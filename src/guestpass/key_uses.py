"""When each API key was last used, written down at most once a minute for each, and never by a request."""

import logging
import threading
from typing import Final

from guestpass.errors import Unavailable
from guestpass.inquiry import Answers
from guestpass.records import KeyRecord, NoteUses

WRITTEN_EVERY: Final = 5.0
"""Seconds between two writings of what was noted since."""

AS_GOOD_AS_NEW: Final = 60.0
"""Seconds for which what is written of a key need not be written anew."""

log = logging.getLogger("guestpass")


class KeyUses:
    """Gathers uses; `work` is a job of the upkeep, and writes them in a thread, since a store may take its time."""

    def __init__(self, store: Answers) -> None:
        self._store = store
        self._noted: dict[str, float] = {}

    def note(self, key: KeyRecord, now: float) -> None:
        """A key was used at `now` (Unix seconds), and the store said of it what is in `key`."""
        if key.last_used_at is None or now - key.last_used_at >= AS_GOOD_AS_NEW:
            self._noted[key.id] = now

    def work(self) -> None:
        """Start writing, where there is anything to write."""
        if self._noted:
            threading.Thread(target=self.write, name="guestpass-uses", daemon=True).start()

    def write(self) -> None:
        """Write what was noted. What the store does not take is noted again at the key's next use."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            self._store.answer(NoteUses(dict(noted)))
        except Unavailable as problem:
            log.warning("when keys were last used was not written: %s", problem)
