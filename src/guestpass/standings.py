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


def _reach(standing: Standing) -> object:
    """All that a rule looks at but the account that is named: whose it is makes no difference, only whether it is one
    account's."""
    grant = standing.grant
    whose = grant.accounts if standing.account is None else None
    return (standing.kind, whose, grant.components, grant.roles)


class Standings:
    """The standings of one guard; `close` spells a grant out in the names of its policy."""

    def __init__(self, close: Callable[[Grant], Grant], many: int = MANY) -> None:
        self._close = close
        self._many = many
        self._kept: dict[Standing, Standing] = {}
        self._admitted: dict[object, set[object]] = {}

    def of(self, proved: Standing) -> Standing:
        """The one that stands for `proved` here."""
        kept = self._kept.get(proved)
        if kept is None:
            if len(self._kept) >= self._many:
                self._kept.clear()
                self._admitted.clear()
            closed = replace(proved, grant=self._close(proved.grant))
            # Of two threads that meet the same at once both are right, and one stays.
            kept = self._kept[proved] = closed.sharing(self._admitted.setdefault(_reach(closed), set()))
        return kept

    def apart(self) -> "Standings":
        """Others, with the same names: for somebody who is to leave nothing behind."""
        return Standings(self._close, self._many)

    def __len__(self) -> int:
        return len(self._kept)
