"""Verified credentials, so that a second request need not prove anything again.

Bounded; every entry has its end. Keyed by the SHA-256 of the whole of what was presented. Entries leave in the
order they came, so that a hit writes nothing and needs no lock.
"""

import threading
from collections.abc import Callable

from guestpass.principal import Principal


class VerifiedCache:
    """At most `size` principals by digest, each good until its own instant (Unix seconds).

    `generation` counts what was forgotten on purpose: a look-up that began before a revocation must not write its
    verdict after it, so `put` takes the generation that was noted at its start.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[bytes, tuple[float, Principal]] = {}
        self._lock = threading.Lock()
        self.generation = 0

    def get(self, key: bytes, now: float) -> Principal | None:
        """The principal under `key`, None where there is none or its time is over."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and now < entry[0] else None

    def knew(self, key: bytes) -> bool:
        """Whether there is, or was until lately, a principal under `key`."""
        return key in self._entries

    def put(self, key: bytes, principal: Principal, until: float, generation: int) -> None:
        """Keep a verdict until `until`, unless something was forgotten since `generation` was read."""
        with self._lock:
            if generation != self.generation:
                return
            self._entries.pop(key, None)
            while len(self._entries) >= self._size:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = (until, principal)

    def forget(self, ended: Callable[[Principal], bool]) -> None:
        """Drop every principal for which `ended` is true."""
        with self._lock:
            self.generation += 1
            for key in [key for key, (_, principal) in self._entries.items() if ended(principal)]:
                del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)
