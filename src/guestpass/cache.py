"""Verified credentials, so that a second request need not prove anything again.

Bounded; every entry has its end. Keyed by the SHA-256 of the whole of what was presented. Entries leave in the
order they came, so that a hit writes nothing and needs no lock.
"""

import threading
from collections.abc import Callable
from itertools import islice

from guestpass.concurrency.forking import begins_anew
from guestpass.principal import Principal, Remembered


class VerifiedCache:
    """At most `size` verdicts by digest; `get` has the one under a key, also one whose time is over.

    `generation` counts what was forgotten on purpose: a look-up that began before a revocation must not write its
    verdict after it, so `put` takes the generation that was noted at its start.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._at_once = max(1, size // 64)
        self._entries: dict[bytes, Remembered] = {}
        self.get = self._entries.get
        self._lock = threading.Lock()
        self.generation = 0
        begins_anew(self)

    def knew(self, key: bytes) -> bool:
        """Whether there is, or was until lately, a principal under `key`."""
        return key in self._entries

    def put(self, key: bytes, entry: Remembered, generation: int) -> None:
        """Keep a verdict, unless something was forgotten since `generation` was read."""
        with self._lock:
            if generation != self.generation:
                return
            self._entries.pop(key, None)
            if len(self._entries) >= self._size:
                # Several at once: each look for the oldest passes over all that left before, until the table is remade.
                for oldest in list(islice(self._entries, self._at_once)):
                    del self._entries[oldest]
            self._entries[key] = entry

    def forget(self, ended: Callable[[Principal], bool]) -> None:
        """Drop every principal for which `ended` is true."""
        with self._lock:
            self.generation += 1
            for key in [key for key, principal in self._entries.items() if ended(principal)]:
                del self._entries[key]

    def after_fork(self) -> None:
        """In a forked child: nothing is remembered of what others have heard."""
        self._lock = threading.Lock()
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
