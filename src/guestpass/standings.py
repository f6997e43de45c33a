"""What the credentials in a guard's memory have in common, kept once.

A standing is spelled out in the policy's names when it is first met, and every credential of the same origin shares it
from then on. Bounded: with too many of them, all begin anew, and those that are in use stay with who holds them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from guestpass.grants import Grant
from guestpass.principal import Standing

MANY: Final = 16_384


class Standings:
    """The standings of one guard; `close` spells a grant out in the names of its policy."""

    def __init__(self, close: Callable[[Grant], Grant], many: int = MANY) -> None:
        self._close = close
        self._many = many
        self._kept: dict[Standing, Standing] = {}

    def of(self, proved: Standing) -> Standing:
        """The one that stands for `proved` here."""
        kept = self._kept.get(proved)
        if kept is None:
            if len(self._kept) >= self._many:
                self._kept.clear()
            # Of two threads that meet the same at once both are right, and one stays.
            kept = self._kept[proved] = replace(proved, grant=self._close(proved.grant))
        return kept

    def __len__(self) -> int:
        return len(self._kept)
