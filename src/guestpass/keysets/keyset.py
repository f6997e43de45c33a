"""Key sets that are fetched, kept and refreshed: `KeySet`.

Knows how the life of a set (`guestpass.keysets.freshness`), its keys (`guestpass.jwks`) and the fetching of it
(`guestpass.stores.http`) go together, from many threads and event loops at once. A key that is known never
waits, not for a lock either. Knows nothing of tokens beyond the two names in a header that choose a key.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from ssl import SSLContext
from typing import Final, TypeVar, Unpack, cast

from cachetools import TTLCache

from guestpass.concurrency.flights import Flight
from guestpass.concurrency.forking import begins_anew
from guestpass.concurrency.upkeep import UPKEEP, Upkeep
from guestpass.errors import ConfigurationError, KeysUnavailable
from guestpass.events import Tell
from guestpass.inquiry import Question
from guestpass.jwks import ParsedKeys, VerificationKey, parse_jwks
from guestpass.keysets import freshness
from guestpass.keysets.discovery import Discovery
from guestpass.keysets.events import KeySetEvents
from guestpass.keysets.freshness import Life
from guestpass.keysets.state import (
    NO_FETCH_LEFT,
    NO_KEYS,
    FindVerificationKey,
    Held,
    KeySetState,
    Settings,
    given_keys,
    understood,
)
from guestpass.stores.http import Document, check_url, fetch
from guestpass.strict_json import decode_object

__all__ = ["UNKNOWN_KIDS", "UNKNOWN_SECONDS", "FindVerificationKey", "KeySet", "KeySetState", "Settings"]

log: Final = logging.getLogger("guestpass")

T = TypeVar("T")

UNKNOWN_KIDS: Final = 128
UNKNOWN_SECONDS: Final = 30.0


class KeySet:
    """The keys of one issuer. Make it with `from_url`, `from_discovery` or `from_jwks`; one serves a whole
    process.

    It is fetched at the first token, or starts with `seed`. It is fresh for ten minutes, or what the server
    says within 60 seconds and an hour, and refreshed ahead at 80 % of that. Should refreshing fail, the
    last known good keys serve for one hour more. There is one fetch at a time, whoever waits, and nobody
    waits longer than five seconds. `Settings` has what of this can be set.

    `read` fetches a document and may block; None for keys `given` in code.
    """

    single_flight: Final = True
    """Who waits for a fetch takes up nobody's place: see `guestpass.inquiry.Answers`."""

    def __init__(
        self,
        read: Callable[[], Document] | None,
        *,
        given: ParsedKeys | None = None,
        longest_lifetime: float = freshness.LONGEST,
        last_known_good: float = freshness.LAST_KNOWN_GOOD,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        pause: Callable[[float], object] = time.sleep,
        upkeep: Upkeep = UPKEEP,
    ) -> None:
        if not (longest_lifetime >= freshness.SHORTEST and 0 <= last_known_good < math.inf):
            raise ConfigurationError(
                f"longest_lifetime={longest_lifetime!r}, last_known_good={last_known_good!r}: "
                "seconds, of at least 60 and at least 0"
            )
        self.generation = 0
        """Counts the times that a key has left the set."""
        self._read = read
        self._longest_lifetime, self._last_known_good = longest_lifetime, last_known_good
        self._clock, self._chance, self._pause, self._upkeep = clock, chance, pause, upkeep
        self._flight: Flight | None = None
        self._unknown: TTLCache[str, bool] = TTLCache(UNKNOWN_KIDS, UNKNOWN_SECONDS, timer=clock)
        self._callbacks: tuple[Callable[[], object], ...] = ()
        self._enlisted = False
        self._events = KeySetEvents()
        if read is None:
            self._current = Held(given or NO_KEYS, Life())
        else:
            life = Life() if given is None else freshness.seeded(clock(), last_known_good)
            self._current = Held.fetched(given or NO_KEYS, life)
        begins_anew(self)

    @classmethod
    def from_jwks(cls, jwks: Mapping[str, object]) -> "KeySet":
        """Keys given in code, symmetric ones too; nothing is ever fetched.

        Raises `ConfigurationError` where none of them can be used.
        """
        return cls(None, given=given_keys("jwks", jwks, symmetric=True))

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        seed: Mapping[str, object] | None = None,
        tls: SSLContext | None = None,
        **settings: Unpack[Settings],
    ) -> "KeySet":
        """The JWK Set at an https URL (http for loopback). `seed` is a first set, for the time before the
        first fetch. Fetches nothing yet. Raises `ConfigurationError`."""
        check_url(url)
        given = None if seed is None else given_keys("seed", seed, symmetric=False)
        return cls(lambda: fetch(url, tls=tls), given=given, **settings)

    @classmethod
    def from_discovery(
        cls,
        issuer: str,
        *,
        seed: Mapping[str, object] | None = None,
        tls: SSLContext | None = None,
        **settings: Unpack[Settings],
    ) -> "KeySet":
        """The JWK Set that an issuer's own metadata names: OpenID Connect Discovery 1.0, else RFC 8414.

        The metadata is read at the first fetch, and its `issuer` must equal `issuer` exactly. Otherwise as
        `from_url`.
        """
        given = None if seed is None else given_keys("seed", seed, symmetric=False)
        return cls(Discovery(issuer, tls=tls).read, given=given, **settings)

    @property
    def networked(self) -> bool:
        """Whether the keys come over the network; False where they were given in code."""
        return self._read is not None

    @property
    def state(self) -> KeySetState:
        """Where the set stands now."""
        return self._current.state(self._clock(), self.generation, networked=self.networked)

    def subscribe(self, callback: Callable[[], object]) -> None:
        """Have `callback` called, with nothing and from any thread, each time a key has left the set.

        Whatever was cached on the word of the old set ends then. Keys that join change no verdict and call
        nobody.
        """
        self._callbacks = (*self._callbacks, callback)

    def observe(self, issuer: str, tell: Tell) -> None:
        """Have `tell` told of each fetch, and of unknown kids that have spent their budget, as of the keys of `issuer`
        (`guestpass.events.KeySetEvent`). From any thread."""
        self._events.add(issuer, tell, self.state.age)

    def known(self, alg: str, kid: str | None) -> VerificationKey | None:
        """The key for such a header if it is at hand. Never waits: None where it is not, or must be asked
        for."""
        current = self._current
        if self._read is not None:
            now = self._clock()
            if now >= current.asks_at:
                if now >= current.serves_until:
                    return None
                self._refresh_ahead(now)
        return current.keys.fitting.get((kid, alg))

    def worth_asking(self, kid: str | None) -> bool:
        """Whether asking for a key that is not `known` could bring it. Never waits.

        It could not where the keys were given in code; where the kid is known, for other algorithms; where no kid is
        given and not exactly one key fits; and where the kid was looked for in vain within the last 30 seconds.

        Raises `KeysUnavailable` where it could but nobody can be asked now: the budget for unknown kids is spent, or
        the last fetch has just failed. So a flood of such tokens ends here, for the price of their headers. Whatever
        else may be wrong with one, such as that it has expired, is not looked for: without the key nobody can tell
        whether it is a token at all, and 503 is the truth about each of them.
        """
        if self._read is None:
            return False
        now, current = self._clock(), self._current
        # The memory is read without the lock: who only looks changes nothing in it.
        if current.loaded(now) and (kid is None or kid in current.keys.kids or kid in self._unknown):
            return False
        held_up = current.held_up(now) if self._flight is None else 0.0
        if held_up > 0:
            if now >= current.life.retry_at:
                self._events.spent(now, NO_FETCH_LEFT)
            raise current.unaskable(now, held_up)
        return True

    def answer(self, question: Question[T], /) -> T:
        """Answer `FindVerificationKey`, waiting for a fetch where that is needed: at most five seconds.

        Raises `KeysUnavailable` where nobody can tell: the keys cannot be had, or this kid cannot be looked
        for before `retry_after`.
        """
        asked = understood(question)
        found = self._ask(asked)
        if isinstance(found, Flight):
            found = self._after(found, asked, found.wait(self._patience(found)))
        return cast("T", found)

    async def answer_async(self, question: Question[T], /) -> T:
        """As `answer`, on asyncio, without a thread for the waiting."""
        asked = understood(question)
        found = self._ask(asked)
        if isinstance(found, Flight):
            found = self._after(found, asked, await found.wait_async(self._patience(found)))
        return cast("T", found)

    def reload(self) -> None:
        """Fetch the set now, whatever its age and whatever failed before, or wait for a fetch that is on
        its way.

        Raises `KeysUnavailable` where that fails. Does nothing for keys given in code.
        """
        if self._read is None:
            return
        with self._lock:
            flight = self._under_way() or self._depart(self._clock())
        if not flight.wait(self._patience(flight)) or flight.failed:
            raise self._unavailable()

    def _ask(self, asked: FindVerificationKey) -> VerificationKey | Flight | None:
        key = self.known(asked.alg, asked.kid)
        if key is not None or not self.worth_asking(asked.kid):
            return key
        with self._lock:
            now, flight, current = self._clock(), self._under_way(), self._current
            key = current.keys.fitting.get((asked.kid, asked.alg)) if now < current.serves_until else None
            if key is not None:
                return key  # It came while this thread waited for the lock.
            if flight is not None:
                return flight
            held_up = current.held_up(now)
            if held_up > 0:
                raise current.unaskable(now, held_up)
            if not current.loaded(now):
                return self._depart(now)
            life, wait = freshness.spend(current.life, now)
            self._current = replace(current, life=life)
            return self._depart(now, wait)

    def _after(self, flight: Flight, asked: FindVerificationKey, in_time: bool) -> VerificationKey | None:
        with self._lock:
            current = self._current
            serving = self._clock() < current.serves_until
            key = current.keys.fitting.get((asked.kid, asked.alg))
            if serving and key is not None:
                return key
            if not in_time or flight.failed or not serving:
                raise self._unavailable()
            if asked.kid is not None and asked.kid not in current.keys.kids:
                self._unknown[asked.kid] = True
            return None

    def _refresh_ahead(self, now: float) -> None:
        # Whoever holds the lock is seeing to it; a hit waits for nobody.
        if self._lock.acquire(blocking=False):
            try:
                if self._under_way() is None and freshness.due(self._current.life, now):
                    self._depart(now)
            except KeysUnavailable:
                pass  # There is no thread to be had. The set serves on.
            finally:
                self._lock.release()

    def _tend(self) -> None:
        # The upkeep's job: refresh ahead where no request comes, and end what has outlived its whole window.
        self._events.tell()
        now, current = self._clock(), self._current
        if now >= current.serves_until and current.keys.keys:
            with self._lock:
                ended = self._current is current
                if ended:
                    self._current = replace(current, keys=NO_KEYS)
                    self.generation += 1
            if ended:
                self._tell()
        if current.life.serves_until > -math.inf and now >= current.asks_at:
            self._refresh_ahead(now)

    # What follows, up to _fly, is called with the lock held.

    def _under_way(self) -> Flight | None:
        flight = self._flight
        if flight is not None and self._clock() >= flight.began + freshness.LOST:
            began, self._flight, flight = flight.began, None, None
            self._fail("no answer in time", began)
        return flight

    def _depart(self, now: float, wait: float = 0.0) -> Flight:
        flight = Flight(now + wait)
        try:
            flight.start(lambda: self._fly(flight, wait))
        except RuntimeError:
            self._fail("no thread to fetch in")
            raise self._unavailable() from None
        self._flight = flight
        if not self._enlisted:
            self._enlisted = True
            self._upkeep.every(1.0, self._tend)
        self._upkeep.start()
        return flight

    def _fail(self, reason: str, began: float | None = None) -> None:
        life = freshness.failed(self._current.life, self._clock(), reason, self._chance())
        self._current = Held.fetched(self._current.keys, life)
        log.warning("a key set could not be fetched: %s", reason)
        age = None if life.loaded_at is None else self._clock() - life.loaded_at
        self._events.note("fetch_failed", None if began is None else self._clock() - began, age, reason)

    def _fly(self, flight: Flight, wait: float) -> None:
        try:
            self._bring(flight, wait)
        finally:
            self._events.tell()

    def _bring(self, flight: Flight, wait: float) -> None:
        if wait:
            self._pause(wait)
        keys, fresh_for, problem = NO_KEYS, 0.0, ""
        try:
            keys, fresh_for = self._fetch()
        except Exception as failure:  # noqa: BLE001 - whatever it is, the old keys stay
            problem = f"{type(failure).__name__}: {failure}"
        with self._lock:
            if self._flight is not flight:
                return  # It was given up; another one may have brought newer keys.
            self._flight = None
            if problem:
                self._fail(problem, flight.began)
                return
            flight.failed = False
            before = self._current
            life = freshness.loaded(before.life, self._clock(), fresh_for, self._last_known_good, self._chance())
            self._current = Held.fetched(keys, life)
            self._events.note("fetched", self._clock() - flight.began, 0.0)
            had, has = before.names, self._current.names
            if had != has:
                self._unknown.clear()
            if had - has:
                self.generation += 1
        if had - has:
            self._tell()

    def _fetch(self) -> tuple[ParsedKeys, float]:
        assert self._read is not None  # noqa: S101 - nothing departs from keys given in code
        document = self._read()
        keys = parse_jwks(decode_object(document.content), symmetric=False)
        return keys, freshness.lifetime(document.max_age, self._longest_lifetime)

    def _unavailable(self) -> KeysUnavailable:
        return self._current.unavailable(self._clock())

    def _patience(self, flight: Flight) -> float:
        return max(0.0, min(freshness.WAIT, flight.began + freshness.WAIT - self._clock()))

    def _tell(self) -> None:
        for callback in self._callbacks:
            try:
                callback()
            except Exception:
                log.exception("a callback of a key set failed")

    @property
    def _lock(self) -> threading.Lock:
        # Made at first use, so that gevent has patched by then; setdefault is atomic.
        return cast("threading.Lock", self.__dict__.setdefault("_made_lock", threading.Lock()))

    def after_fork(self) -> None:
        """In a forked child: what was on its way in the parent is not on its way here."""
        self.__dict__.pop("_made_lock", None)
        self._flight = None
