"""What a guard has heard of endings: the lists of all stores that its credentials come from, as one.

Says whether a verdict still stands, from memory alone; only where a list cannot be trusted is somebody asked.
"""

import math
from collections.abc import Callable, Collection
from typing import Final

from guestpass.errors import StoreUnavailable
from guestpass.inquiry import Inquiry, ask
from guestpass.principal import SIGNED_TOKEN, Principal
from guestpass.records import FindCutoff
from guestpass.revocation.cutoff_list import KEYS, minted_ms, names_of
from guestpass.revocation.feed import AwaitList, RevocationFeed

Told = Callable[[frozenset[str] | None], object]


class Endings:
    """The lists of `feeds`, each good for `max_age` seconds after it was last known to be complete.

    `versions` is another object after any news, and `trusted_until` (Unix seconds) the instant until which all of
    them are good: what the cache of verdicts looks at. `told` hears of news.
    """

    def __init__(
        self, feeds: Collection[RevocationFeed], max_age: float, clock: Callable[[], float], told: Told
    ) -> None:
        self.feeds: Final = tuple(feeds)
        self.versions: tuple[int, ...] = ()
        self.trusted_until = -math.inf
        self._max_age = max_age
        self._clock = clock
        self._told = told
        self._look()
        for feed in self.feeds:
            feed.subscribe(self._heard)

    def stands(self, principal: Principal, since: tuple[int, ...]) -> bool:
        """Whether nothing that concerns `principal` has been heard since the versions `since`."""
        names = names_of(principal)
        return not any(feed.list.changed(names, then) for feed, then in zip(self.feeds, since, strict=True))

    def has_ended(self, principal: Principal) -> bool:
        """Whether a principal that was proved before has ended since, as far as the lists tell."""
        return self._listed(principal, None)

    def ended(
        self, principal: Principal, home: RevocationFeed | None, looked_up: bool, now: float
    ) -> bool | Inquiry[bool]:
        """Whether a principal that was just proved has ended; an inquiry where a list cannot be trusted.

        `home` is the feed of the store that its credential comes from; where its record was just `looked_up` there,
        that store can be asked in the list's place. A key's record says itself whether it has ended. The inquiry raises
        `StoreUnavailable` where nobody can tell.
        """
        if now < self.trusted_until:
            return self._listed(principal, home)
        if principal.standing.kind in KEYS:
            # Its record was just looked at; the lists may know more, after a store went back to an older copy.
            return self._listed(principal, home)
        return self._ask(principal, home, looked_up)

    def _ask(self, principal: Principal, home: RevocationFeed | None, looked_up: bool) -> Inquiry[bool]:
        names = names_of(principal)
        for feed in self.feeds:
            if self._trusts(feed):
                continue
            if looked_up and feed is home:
                feed.hasten()
                latest = yield from ask(feed.store, FindCutoff(names))
                if latest and minted_ms(principal) <= latest:
                    return True
                continue
            # Twice: one reading that is under way may have begun too long ago.
            for _ in range(2):
                if not self._trusts(feed):
                    yield from ask(feed, AwaitList())
            if not self._trusts(feed):
                raise StoreUnavailable("the list of revocations is out of reach")
        return self._listed(principal, home)

    def _listed(self, principal: Principal, home: RevocationFeed | None) -> bool:
        names: tuple[str, ...] = ()
        signed = principal.standing.kind == SIGNED_TOKEN
        for feed in self.feeds:
            # Where nothing was ended, there is nothing to look for by name.
            if not names and len(feed.list):
                names = names_of(principal)
            if feed.list.has_ended(principal, names, signed_here=signed and feed is home):
                return True
        return False

    def _trusts(self, feed: RevocationFeed) -> bool:
        # By two clocks: the one that verdicts are compared with, and one that nobody sets back.
        age = self._clock() - feed.complete_at
        return 0 <= age < self._max_age and feed.timer() - feed.complete_timer < self._max_age

    def _heard(self, names: frozenset[str] | None) -> None:
        self._look()
        if names is None or names:
            self._told(names)

    def _look(self) -> None:
        versions = tuple(feed.list.version for feed in self.feeds)
        if versions != self.versions:
            self.versions = versions
        trusted = all(self._trusts(feed) for feed in self.feeds)
        oldest = min((feed.complete_at for feed in self.feeds), default=math.inf)
        self.trusted_until = oldest + self._max_age if trusted else -math.inf
