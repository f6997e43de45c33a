"""What the store in memory keeps things in: records that end, and the list of cut-offs with its order.

Knows heaps and positions. Knows no question, no clock and no lock: who uses it holds one.
"""

import heapq
import math
from bisect import bisect_right
from collections.abc import Callable
from operator import itemgetter
from typing import Generic, TypeVar

from guestpass.records import Cutoff, CutoffPage, Epoch
from guestpass.stores.sessions import ended_by, later

K = TypeVar("K")
R = TypeVar("R")


class Mortal(Generic[K, R]):
    """Records that end, by key; a purge looks at no record that is not due, however many there are."""

    def __init__(self, ends_at: Callable[[R], float]) -> None:
        self.records: dict[K, R] = {}
        self._ends_at = ends_at
        # When to look at which record: each that ends is in this heap at or before its end, at least once.
        self._due: list[tuple[float, K]] = []

    def put(self, key: K, record: R) -> None:
        """Keep `record` under `key`, in the place of what was there."""
        old = self.records.get(key)
        self.records[key] = record
        if old is None or self._ends_at(record) < self._ends_at(old):
            self._look_again(key, record)

    def purge(self, before: float, limit: int) -> list[R]:
        """Drop at most `limit` of those that ended before `before`, and answer them."""
        gone: list[R] = []
        while len(gone) < limit and self._due and self._due[0][0] < before:
            _, key = heapq.heappop(self._due)
            record = self.records.get(key)
            if record is None:
                continue
            if self._ends_at(record) < before:
                gone.append(self.records.pop(key))
            else:
                self._look_again(key, record)
        return gone

    def _look_again(self, key: K, record: R) -> None:
        ends_at = self._ends_at(record)
        if ends_at < math.inf:
            heapq.heappush(self._due, (ends_at, key))


class CutoffList:
    """Cut-offs by name, and the order in which they were added or moved."""

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch
        self._cutoffs: Mortal[str, Cutoff] = Mortal(lambda cutoff: cutoff.expires_at)
        self._positions: dict[str, int] = {}
        self._position = 0
        # Positions count up, so this is sorted by them; a name that moved on stands at its old places too.
        self._order: list[tuple[int, str]] = []

    def put(self, cutoff: Cutoff) -> Cutoff:
        """Keep `cutoff`, merged with what has its name, at the end of the list. Answers what is kept."""
        kept = later(self._cutoffs.records.get(cutoff.name), cutoff)
        self._cutoffs.put(kept.name, kept)
        self._position += 1
        self._positions[kept.name] = self._position
        self._order.append((self._position, kept.name))
        if len(self._order) > 2 * len(self._positions) + 64:
            self._order = [place for place in self._order if self._is_current(*place)]
        return kept

    def latest(self, names: tuple[str, ...]) -> int | None:
        """The latest instant among `names`, with what the epoch has to say about it."""
        cutoffs = self._cutoffs.records
        found = max((cutoffs[name].at_ms for name in names if name in cutoffs), default=None)
        return ended_by(found, self.epoch)

    def page(self, after: int, limit: int) -> CutoffPage:
        """At most `limit` of those after the position `after`."""
        cutoffs: list[Cutoff] = []
        reached = after
        for index in range(bisect_right(self._order, after, key=itemgetter(0)), len(self._order)):
            position, name = self._order[index]
            if not self._is_current(position, name):
                continue
            if len(cutoffs) == limit:
                return CutoffPage(self.epoch, self._position, reached, tuple(cutoffs))
            cutoffs.append(self._cutoffs.records[name])
            reached = position
        return CutoffPage(self.epoch, self._position, self._position, tuple(cutoffs))

    def purge(self, before: float, limit: int) -> int:
        """Drop at most `limit` of those whose time is over before `before`, and count them."""
        gone = self._cutoffs.purge(before, limit)
        for cutoff in gone:
            del self._positions[cutoff.name]
        return len(gone)

    def _is_current(self, position: int, name: str) -> bool:
        return self._positions.get(name) == position
