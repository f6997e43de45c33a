"""Whom a key set tells how it fares, and what it has not told yet.

A set is often busy with its lock held when something happens, and who is told may ask it in turn; so events are noted
first, and told once the lock is free. Knows nothing of why keys are fetched.
"""

import math
from collections import deque
from dataclasses import replace
from typing import Final, Literal

from guestpass.events import KeySetEvent, Tell

SPENT_EVERY: Final = 30.0
"""Seconds between two events of a budget that is spent: a flood of tokens is one event."""

_KEPT: Final = 16


class KeySetEvents:
    """The observers of one key set."""

    def __init__(self) -> None:
        self._observers: tuple[tuple[str, Tell], ...] = ()
        self._noted: deque[KeySetEvent] = deque(maxlen=_KEPT)
        self._spent_at = -math.inf

    def add(self, issuer: str, tell: Tell, age: float | None) -> None:
        """Have `tell` told, as of the key set of `issuer`; at once of keys that were fetched `age` seconds ago."""
        if (issuer, tell) in self._observers:
            return
        self._observers = (*self._observers, (issuer, tell))
        if age is not None:
            tell(KeySetEvent("fetched", issuer, age=age))

    def note(
        self, name: Literal["fetched", "fetch_failed"], seconds: float | None, age: float | None, because: str = ""
    ) -> None:
        """Note what is to be told."""
        if self._observers:
            self._noted.append(KeySetEvent(name, "", seconds, age, because))

    def spent(self, now: float, because: str) -> None:
        """Tell of a budget that is spent at `now`, unless that was told just now."""
        if self._observers and now - self._spent_at >= SPENT_EVERY:
            self._spent_at = now
            self._noted.append(KeySetEvent("budget_spent", "", because=because))
            self.tell()

    def tell(self) -> None:
        """Tell what was noted. To be called without a lock."""
        while True:
            # Asked and taken at once, since another thread may be at it too.
            try:
                event = self._noted.popleft()
            except IndexError:
                return
            for issuer, tell in self._observers:
                tell(replace(event, issuer=issuer))
