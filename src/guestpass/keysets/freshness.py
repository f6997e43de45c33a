"""The life of a fetched key set, as functions of `now`: fresh, stale, out of its window, cooling down.

Knows when a set is refreshed ahead, how long the last known good one serves, when a failure may be tried
again and how many fetches unknown kids may cause. Knows nothing of keys, threads or the network, and reads
no clock: `now` is in seconds of any clock that never goes back, `chance` is a number from 0 to 1.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

LIFETIME: Final = 600.0
SHORTEST: Final = 60.0
LONGEST: Final = 3600.0
LAST_KNOWN_GOOD: Final = 3600.0
WAIT: Final = 5.0
"""Seconds that anyone waits for a fetch, and that a fetch may take."""
LOST: Final = 6.0
"""Seconds after which a fetch that says nothing is given up: it hangs where no deadline reaches."""

BURST: Final = 2
REFILL: Final = 30.0
# Whoever floods with random kids spends the burst within a moment. Kept apart, its second fetch still sees
# a key that was rotated in after the first, and the token that brings it waits these seconds instead of
# thirty.
APART: Final = 2.0

_FIRST_BACKOFF, _LONGEST_BACKOFF = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Life:
    """Where a set stands. Instants are those of the clock that `now` comes from.

    It is fresh until `fresh_until`, is refreshed ahead at `refresh_at`, and serves, be it stale, until
    `serves_until`. After a failure nothing is tried before `retry_at`. `budget` is what unknown kids could
    spend at `counted_at`; `attempted_at` is when they last did.
    """

    loaded_at: float | None = None
    fresh_until: float = -math.inf
    refresh_at: float = -math.inf
    serves_until: float = -math.inf
    failures: int = 0
    retry_at: float = -math.inf
    last_error: str = ""
    budget: float = BURST
    counted_at: float = -math.inf
    attempted_at: float = -math.inf


def lifetime(max_age: float | None, longest: float = LONGEST) -> float:
    """How long a set is fresh, in seconds: what its server said (`Cache-Control: max-age` less `Age`),
    within 60 seconds and `longest`; ten minutes where it said nothing."""
    return min(max(LIFETIME if max_age is None else max_age, SHORTEST), max(longest, SHORTEST))


def seeded(now: float, last_known_good: float) -> Life:
    """A set that was given in code for the start: it serves at once, and is refreshed as soon as can be."""
    return Life(fresh_until=now + LIFETIME, refresh_at=now, serves_until=now + LIFETIME + last_known_good)


def loaded(life: Life, now: float, fresh_for: float, last_known_good: float, chance: float) -> Life:
    """After a successful fetch: fresh for `fresh_for` seconds, refreshed at 80 % of them, 10 % more or
    less."""
    return replace(
        life,
        loaded_at=now,
        fresh_until=now + fresh_for,
        refresh_at=now + fresh_for * 0.8 * (0.9 + 0.2 * chance),
        serves_until=now + fresh_for + last_known_good,
        failures=0,
        retry_at=-math.inf,
        last_error="",
    )


def failed(life: Life, now: float, reason: str, chance: float) -> Life:
    """After a failed one: nothing for up to 1 second, 2, 4 … 60, with full jitter. What the set is stays."""
    longest = min(_FIRST_BACKOFF * 2 ** min(life.failures, 10), _LONGEST_BACKOFF)
    return replace(life, failures=life.failures + 1, retry_at=now + longest * chance, last_error=reason)


def due(life: Life, now: float) -> bool:
    """Whether a set that has been asked for is to be refreshed in the background."""
    return now >= life.refresh_at and now >= life.retry_at


def held_up(life: Life, now: float) -> float:
    """Seconds until an unknown kid may cause another fetch: 0 where the budget has one left."""
    missing = 1 - (life.budget + (now - life.counted_at) / REFILL)
    return missing * REFILL if missing > 0 else 0.0


def spend(life: Life, now: float) -> tuple[Life, float]:
    """Spend one fetch on an unknown kid, where none is `held_up`: the life after it, and the seconds to wait before
    the fetch begins."""
    wait = max(0.0, life.attempted_at + APART - now)
    return replace(life, budget=_budget(life, now) - 1, counted_at=now, attempted_at=now + wait), wait


def _budget(life: Life, now: float) -> float:
    return min(life.budget + (now - life.counted_at) / REFILL, float(BURST))
