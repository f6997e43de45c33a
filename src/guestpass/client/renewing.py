"""A short-lived credential that is renewed in time: one renewal at a time, however many threads and tasks need it.

Knows when a credential is due, who renews it and who waits. Knows nothing of HTTP, and reads the clock it is given. An
`asyncio.Lock` cannot do this, since it belongs to one loop; a `concurrent.futures.Future` belongs to none.
"""

import logging
import math
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from guestpass.client.bearers import Bearer, Renewed, as_bearer
from guestpass.client.settings import invalid
from guestpass.client_error import ClientError
from guestpass.concurrency.forking import begins_anew
from guestpass.principal import is_user_id

log: Final = logging.getLogger("guestpass")

AHEAD: Final = 300.0
"""Seconds before its end at which a credential is renewed."""
SHORT: Final = 1500.0
"""Seconds; a lifetime below this is renewed once `SHARE` of it has passed, since `AHEAD` would be too much of it."""
SHARE: Final = 0.8
APART: Final = 30.0
"""Seconds between two early renewals; and for which renewing is given up where a new credential was refused too."""
WAIT: Final = 30.0
"""Seconds that anyone waits for a renewal."""

Refresh: TypeAlias = Callable[[str | None], Renewed | Awaitable[Renewed]]
"""Asks for a new credential; called with the entity id, None where there is none yet."""


def renew_after(lifetime: float) -> float:
    """The seconds from receipt after which a credential of this lifetime is to be renewed."""
    return lifetime * SHARE if lifetime < SHORT else lifetime - AHEAD


@dataclass(frozen=True, slots=True)
class Held:
    """A credential in use. Both instants are the monotonic clock's; infinite where its end is not known."""

    text: str = field(repr=False)
    renew_at: float
    ends_at: float

    @classmethod
    def of(cls, bearer: Bearer, now: float) -> "Held":
        """A credential received `now`, unless it says when."""
        if bearer.expires_in is None:
            return cls(bearer.text, math.inf, math.inf)
        received = now if bearer.received_at is None else bearer.received_at
        return cls(bearer.text, received + renew_after(bearer.expires_in), received + bearer.expires_in)


class Flight:
    """One renewal on its way, and what came of it: a credential, a problem, or neither where it was abandoned."""

    __slots__ = ("held", "landed", "problem")

    def __init__(self) -> None:
        self.held: Held | None = None
        self.problem: Exception | None = None
        self.landed: Future[None] = Future()
        # A waiter that is cancelled must not cancel it for the others.
        self.landed.set_running_or_notify_cancel()


@dataclass(frozen=True, slots=True)
class _Renew:
    """To be renewed by whoever is told so; `spare` will do where that fails."""

    flight: Flight
    spare: Held | None


class Way(Protocol):
    """How the callback is called, and a flight waited for: in a thread, or on an event loop."""

    async def call(self, refresh: Refresh, entity_id: str | None, seconds: float, /) -> object: ...

    async def wait(self, landed: Future[None], seconds: float, /) -> bool: ...


_inside: ContextVar[frozenset[Flight]] = ContextVar("guestpass_renewals", default=frozenset())


class Renewals:
    """The credential of one identity. `wait` is in seconds; `clock` is monotonic."""

    def __init__(
        self,
        refresh: Refresh,
        *,
        initial: Renewed | None,
        entity_id: str | None,
        wait: float,
        clock: Callable[[], float],
    ) -> None:
        self._refresh = refresh
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._early_at = -math.inf
        self._vain = ("", -math.inf)
        self.entity_id = None if entity_id is None else _as_written(entity_id)
        self._held: Held | None = None if initial is None else self._read(initial)
        begins_anew(self)

    async def obtain(self, way: Way, refused: Held | None = None) -> Held:
        """A credential to send now; another one than `refused`, which a 401 came back for.

        Raises `ClientError` (``REFRESH_FAILED``) where none can be had.
        """
        while True:
            with self._lock:
                step = self._decide(refused)
            if isinstance(step, Held):
                return step
            if isinstance(step, _Renew):
                return await self._renew(way, step.flight, step.spare)
            flight = step
            if flight in _inside.get():
                raise invalid(
                    "the refresh callback uses the very credential that it is to renew: give it another client"
                )
            if not await way.wait(flight.landed, self._wait):
                self._give_up(flight)
                raise _failed(f"it has not answered within {self._wait:g} s")
            if flight.held is not None:
                return flight.held
            if flight.problem is not None:
                raise _failed("it raised an error") from flight.problem
            # Abandoned: whoever renewed was cancelled. One of those who waited renews instead.

    def in_vain(self, held: Held) -> None:
        """Note that a credential was refused though it had just been renewed: another would be as well."""
        with self._lock:
            self._vain = (held.text, self._clock())

    def is_vain(self, held: Held) -> bool:
        """Whether renewing this one has just been of no use."""
        text, since = self._vain
        return text == held.text and self._clock() < since + APART

    def after_fork(self) -> None:
        """Whoever renewed stayed behind, and so did whoever held the lock; the credential is good here too."""
        self._lock = threading.Lock()
        self._flight = None

    def _decide(self, refused: Held | None) -> "Held | Flight | _Renew":
        """What to use, what to wait for, or what to do."""
        now, held = self._clock(), self._held
        if held is not None and now < held.ends_at and (refused is None or held.text != refused.text):
            if now < held.renew_at or self._flight is not None or now < self._early_at + APART:
                return held
            self._early_at = now
            return self._take_off(held)
        return self._flight or self._take_off(None)

    def _take_off(self, spare: Held | None) -> "_Renew":
        self._flight = Flight()
        return _Renew(self._flight, spare)

    async def _renew(self, way: Way, flight: Flight, spare: Held | None) -> Held:
        inside = _inside.set(_inside.get() | {flight})
        try:
            held = self._read(await way.call(self._refresh, self.entity_id, self._wait))
        except Exception as problem:
            self._land(flight, problem=problem)
            if spare is not None and self._clock() < spare.ends_at:
                # Not its text, which may be anything.
                log.warning("an early renewal failed (%s); the old credential is still good", type(problem).__name__)
                return spare
            raise _failed("it raised an error") from problem
        except BaseException:
            self._land(flight)
            raise
        finally:
            _inside.reset(inside)
        self._land(flight, held=held)
        return held

    def _land(self, flight: Flight, held: Held | None = None, problem: Exception | None = None) -> None:
        with self._lock:
            flight.held, flight.problem = held, problem
            # One that was given up is late: what came after it stays.
            if self._flight is flight:
                self._flight = None
                self._held = held or self._held
        flight.landed.set_result(None)

    def _give_up(self, flight: Flight) -> None:
        # Its thread hangs, or stayed behind in the process that this one was forked from.
        with self._lock:
            if self._flight is flight:
                self._flight = None

    def _read(self, renewed: object) -> Held:
        bearer = as_bearer(renewed)
        if bearer.entity_id is not None:
            given = _as_written(bearer.entity_id)
            if self.entity_id is not None and given != self.entity_id:
                raise invalid("the new token is of another entity id: the refresh callback must pass on the one given")
            self.entity_id = given
        return Held.of(bearer, self._clock())


def _as_written(entity_id: str) -> str:
    """An entity id to be compared: a UUID may be written in either case, a subject of another issuer is exact."""
    lowered = entity_id.lower()
    return lowered if is_user_id(lowered) else entity_id


def _failed(what: str) -> ClientError:
    return ClientError(
        "REFRESH_FAILED", f"no new credential: {what}. See what the refresh callback asks, and its cause"
    )
