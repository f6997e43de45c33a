"""What a key set holds at one instant, how it tells of that, and what is asked of it and set of it.

Knows keys (`guestpass.jwks`) and their life (`guestpass.keysets.freshness`) side by side. Knows nothing of fetching,
threads or locks: everything here is a value that is replaced as a whole.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypedDict, TypeVar

from guestpass.concurrency.upkeep import Upkeep
from guestpass.errors import ConfigurationError, KeysUnavailable
from guestpass.inquiry import Question
from guestpass.jwks import ParsedKeys, VerificationKey, parse_jwks
from guestpass.keysets.freshness import Life, held_up

T = TypeVar("T")

NO_KEYS: Final = ParsedKeys((), frozenset(), {})

NO_FETCH_LEFT: Final = "no fetch is left for an unknown kid"


@dataclass(frozen=True, slots=True)
class FindVerificationKey(Question[VerificationKey | None]):
    """The key for a token whose header names this algorithm and kid; None where the issuer has no such
    key."""

    alg: str
    kid: str | None


@dataclass(frozen=True, slots=True)
class KeySetState:
    """Where a key set stands, to look at. Durations are in seconds.

    `freshness` is ``given`` for a set given in code; ``empty`` before the first keys; ``fresh``; ``stale``
    past its lifetime, when the last known good keys still serve; ``expired`` past that too. `age` is
    counted from the last successful fetch, None where there was none. `serves_for` is what is left of the
    whole window. `skipped` says which keys of the document were left out, and why. `generation` counts the
    times that a key has left.
    """

    freshness: Literal["given", "empty", "fresh", "stale", "expired"]
    age: float | None
    fresh_for: float
    serves_for: float
    retry_after: float
    last_error: str
    kids: tuple[str, ...]
    skipped: tuple[str, ...]
    generation: int


class Settings(TypedDict, total=False):
    """What can be set of any `KeySet` that is fetched. Seconds, all of them.

    `longest_lifetime`: what of the server's `max-age` is believed, 3,600. `last_known_good`: for how long
    the old keys serve when refreshing fails, 3,600; 0 for not at all. The clock (never going back), chance
    (0 to 1) and pause are there for tests, `upkeep` for those who run background work themselves.
    """

    longest_lifetime: float
    last_known_good: float
    clock: Callable[[], float]
    chance: Callable[[], float]
    pause: Callable[[float], object]
    upkeep: Upkeep


@dataclass(frozen=True, slots=True)
class Held:
    """Everything that a hit reads, replaced as a whole: a reader sees the old set or the new one.

    Before `asks_at` a hit has nothing to see to; both instants are those of a set given in code, if left out.
    """

    keys: ParsedKeys
    life: Life
    asks_at: float = math.inf
    serves_until: float = math.inf

    @classmethod
    def fetched(cls, keys: ParsedKeys, life: Life) -> "Held":
        """The same of a set whose keys come over the network."""
        return cls(keys, life, max(life.refresh_at, life.retry_at), life.serves_until)

    @property
    def names(self) -> frozenset[tuple[str | None, str, frozenset[str]]]:
        """What tells one key from another, its material included."""
        return frozenset((key.kid, key.key_id, frozenset(key.algorithms)) for key in self.keys.keys)

    def loaded(self, now: float) -> bool:
        """Whether keys that were fetched serve at `now`. Those of a seed only serve until then."""
        return self.life.loaded_at is not None and now < self.serves_until

    def held_up(self, now: float) -> float:
        """Seconds from `now` for which nothing may be fetched for an unknown kid: the last fetch has just failed, or
        unknown kids have spent what they may. 0 where it may."""
        if now < self.life.retry_at:
            return self.life.retry_at - now
        return held_up(self.life, now) if self.loaded(now) else 0.0

    def unaskable(self, now: float, held_up: float) -> KeysUnavailable:
        """What is raised while it is held up for so many seconds."""
        if now < self.life.retry_at:
            return self.unavailable(now)
        return KeysUnavailable(NO_FETCH_LEFT, retry_after=max(1.0, held_up))

    def unavailable(self, now: float) -> KeysUnavailable:
        """What is raised where the keys could not be fetched."""
        why = f" ({self.life.last_error})" if self.life.last_error else ""
        return KeysUnavailable(f"the keys cannot be had right now{why}", retry_after=max(1.0, self.life.retry_at - now))

    def state(self, now: float, generation: int, *, networked: bool) -> KeySetState:
        """Where the set stands at `now`."""
        life = self.life
        return KeySetState(
            freshness=self._freshness(now) if networked else "given",
            age=None if life.loaded_at is None else now - life.loaded_at,
            fresh_for=max(0.0, life.fresh_until - now) if networked else math.inf,
            serves_for=max(0.0, self.serves_until - now),
            retry_after=max(0.0, life.retry_at - now),
            last_error=life.last_error,
            kids=tuple(sorted(self.keys.kids)),
            skipped=self.keys.skipped,
            generation=generation,
        )

    def _freshness(self, now: float) -> Literal["empty", "fresh", "stale", "expired"]:
        if now < self.life.fresh_until:
            return "fresh"
        if now < self.life.serves_until:
            return "stale"
        return "empty" if self.life.serves_until == -math.inf else "expired"


def given_keys(name: str, jwks: Mapping[str, object], *, symmetric: bool) -> ParsedKeys:
    """The keys that the argument `name` gives in code. Raises `ConfigurationError` where there are none."""
    try:
        return parse_jwks(jwks, symmetric=symmetric)
    except ValueError as problem:
        raise ConfigurationError(f"{name}=…: {problem}") from None


def understood(question: Question[T]) -> FindVerificationKey:
    """The one question that a key set answers. Raises `TypeError` for any other."""
    if not isinstance(question, FindVerificationKey):
        raise TypeError(f"a key set answers FindVerificationKey, not {type(question).__name__}")
    return question
