"""How a process learns of what was ended elsewhere: it keeps a copy of a store's list of cut-offs.

Read once whole, then what is new twice a second, by upkeep and never by a request; a request waits for the first
reading alone. Knows when the copy was last complete, and what a list that shrank means. Knows nothing of who is
concerned.
"""

import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, cast

from guestpass.concurrency.flights import Flight
from guestpass.concurrency.forking import begins_anew
from guestpass.concurrency.upkeep import UPKEEP, Upkeep
from guestpass.errors import StoreUnavailable, Unavailable
from guestpass.inquiry import Answers, Question
from guestpass.records import AddCutoff, BeginEpoch, Cutoff, CutoffPage, Ending, Epoch, ReadCutoffs
from guestpass.revocation.cutoff_list import RevocationList

T = TypeVar("T")

POLL: Final = 0.5
"""Seconds between two readings: what is ended counts everywhere within twice that."""

PATIENCE: Final = 2.0
"""Seconds that a request waits for the first reading at most, and that a failure is answered with at once."""

RESTARTS: Final = 3
"""How many epochs one reading goes through before it gives up."""

WORTH_TELLING: Final = 2
"""Readings that fail in a row before anybody is told: one may fall into a store's being closed, or restarted."""

TIDY: Final = 60.0
"""Seconds between two droppings of what need not be remembered."""

log = logging.getLogger("guestpass")
security_log = logging.getLogger("guestpass.security")

Heard: TypeAlias = Callable[[frozenset[str] | None], object]
"""Told after every reading, with the names that have news; None where everything may have changed."""


@dataclass(frozen=True, slots=True)
class AwaitList(Question[None]):
    """Wait until the list has been read, or could not be."""


class RevocationFeed:
    """One process's copy of one store's list; `feed_of` has it. Safe to use from any thread, and across `os.fork`."""

    single_flight: Final = True

    def __init__(
        self,
        store: Answers,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        upkeep: Upkeep = UPKEEP,
    ) -> None:
        self.store: Final = store
        self.list = RevocationList()
        self.complete_at = -math.inf
        """When the copy was last known to be complete: Unix seconds, and of a clock that never goes back."""
        self.complete_timer = -math.inf
        self._clock = clock
        self.timer: Final = timer
        self._reached = 0
        self._owed: list[Cutoff] = []
        self._flight: Flight | None = None
        self._failures = 0
        self._failed_at = -math.inf
        self._tidied_at = -math.inf
        self._hearers: tuple[weakref.WeakMethod[Heard], ...] = ()
        upkeep.every(POLL, self.poll)
        begins_anew(self)

    def subscribe(self, heard: Heard) -> None:
        """Have a bound method called after every reading and every `note`; its object is not kept alive for it."""
        with self._lock:
            self._hearers = (*(held for held in self._hearers if held() is not None), weakref.WeakMethod(heard))

    def poll(self) -> None:
        """Read what is new, in a thread of its own, unless that is going on. A job of the upkeep."""
        self._tell(frozenset())
        with self._lock:
            self._depart()

    def hasten(self) -> None:
        """Have the list read soon, unless that has just failed. Waits for nobody."""
        with self._lock:
            if not self._has_just_failed():
                self._depart()

    def read(self) -> None:
        """Read what is new, in this thread, one after the other. Raises `Unavailable`."""
        with self._reading:
            self._read()

    def _read(self) -> None:
        began, began_timer = self._clock(), self.timer()
        restarts = 0
        self._put_back()
        while True:
            page = self.store.answer(ReadCutoffs(self._reached))
            if self._is_another_list(page):
                restarts += 1
                if restarts > RESTARTS:
                    raise StoreUnavailable("the list of revocations keeps changing its epoch")
                self._start_over(page.epoch)
                continue
            self._take_in(page)
            if page.reached >= page.position:
                break
        self.complete_at, self.complete_timer = began, began_timer
        if began >= self._tidied_at + TIDY:
            self._tidied_at = began
            with self._lock:
                self.list.drop(began)
        self._tell(frozenset())

    def note(self, *cutoffs: Cutoff) -> None:
        """Take in what this process itself has just ended, without waiting for the next reading."""
        with self._lock:
            news = self.list.note(cutoffs)
        if news:
            self._tell(news)

    def answer(self, question: Question[T], /) -> T:
        """Answer `AwaitList`, in this thread."""
        flight = self._join(question)
        if flight is not None:
            flight.wait(PATIENCE)
        return cast("T", None)

    async def answer_async(self, question: Question[T], /) -> T:
        """Answer `AwaitList`, on asyncio."""
        flight = self._join(question)
        if flight is not None:
            await flight.wait_async(PATIENCE)
        return cast("T", None)

    def _join(self, question: Question[T]) -> Flight | None:
        if not isinstance(question, AwaitList):
            raise TypeError(f"cannot answer {question!r}")
        with self._lock:
            return None if self._has_just_failed() else self._depart()

    def _has_just_failed(self) -> bool:
        return 0 <= self.timer() - self._failed_at < PATIENCE

    def _depart(self) -> Flight | None:
        if self._flight is None:
            flight = Flight(self.timer())
            self._flight = flight
            try:
                flight.start(lambda: self._fly(flight))
            except RuntimeError:
                self._flight = None
        return self._flight

    def _fly(self, flight: Flight) -> None:
        try:
            self.read()
        except Exception as problem:  # noqa: BLE001 - told below, and tried again
            self._fail(problem)
        else:
            if self._failures >= WORTH_TELLING:
                log.info("the list of revocations can be read again")
            self._failures, self._failed_at = 0, -math.inf
        finally:
            with self._lock:
                if self._flight is flight:
                    self._flight = None

    def _fail(self, problem: Exception) -> None:
        self._failures += 1
        self._failed_at = self.timer()
        if not isinstance(problem, Unavailable):
            log.error("the list of revocations could not be read", exc_info=problem)
        elif self._failures == WORTH_TELLING:
            log.warning("the list of revocations could not be read: %s", problem)

    def _is_another_list(self, page: CutoffPage) -> bool:
        known = self.list.epoch
        return known is not None and (page.epoch.id != known.id or page.position < self._reached)

    def _start_over(self, epoch: Epoch) -> None:
        known = self.list.epoch
        # Begun by another process, unless it is no later than the one known: then an older copy has come back.
        if not epoch.after_loss or (known is not None and epoch.started_ms <= known.started_ms):
            security_log.critical(
                "revocations_lost: the store lost its list of revocations, or went back to an older one;"
                " what was minted before this instant is refused"
            )
            epoch = self.store.answer(BeginEpoch(epoch.id))
        self._owed = self.list.lasting()
        with self._lock:
            self.list.begin(epoch)
            self._reached = 0
            self.complete_at = self.complete_timer = -math.inf
        self._tell(None)
        self._put_back()

    def _put_back(self) -> None:
        """Tell the store what it has lost and no epoch ends by itself: one process may know what no other does."""
        while self._owed:
            cutoff = self._owed[-1]
            self.store.answer(AddCutoff(Ending(cutoff.name, cutoff.at_ms, cutoff.expires_at)))
            self._owed.pop()

    def _take_in(self, page: CutoffPage) -> None:
        with self._lock:
            if self.list.epoch is None:
                self.list.begin(page.epoch)
            news = self.list.note(page.cutoffs)
            self._reached = page.reached
        if news:
            self._tell(news)

    def _tell(self, names: frozenset[str] | None) -> None:
        for held in self._hearers:
            heard = held()
            if heard is not None:
                try:
                    heard(names)
                except Exception:
                    log.exception("a hearer of the list of revocations failed")

    @property
    def _reading(self) -> threading.Lock:
        return cast("threading.Lock", self.__dict__.setdefault("_made_turn", threading.Lock()))

    @property
    def _lock(self) -> threading.Lock:
        # Made at first use, so that gevent has patched by then; setdefault is atomic.
        return cast("threading.Lock", self.__dict__.setdefault("_made_lock", threading.Lock()))

    def after_fork(self) -> None:
        """In a forked child: what was on its way in the parent is not on its way here."""
        self.__dict__.pop("_made_lock", None)
        self.__dict__.pop("_made_turn", None)
        self._flight = None
        # Something may have been half taken in; and who reads on in this process is not known yet.
        self.list = RevocationList(self.list.version + 1)
        self._reached = 0
        self.complete_at = self.complete_timer = self._failed_at = -math.inf
        self._tell(frozenset())


_making: Final = threading.Lock()
_feeds: Final[weakref.WeakValueDictionary[int, RevocationFeed]] = weakref.WeakValueDictionary()


def feed_of(store: Answers, clock: Callable[[], float] = time.time) -> RevocationFeed:
    """This process's one copy of the list of `store`, made with `clock` where there is none yet."""
    with _making:
        feed = _feeds.get(id(store))
        if feed is None:
            # It holds its store, so no other object can have that id as long as it is here.
            feed = _feeds[id(store)] = RevocationFeed(store, clock=clock)
        return feed


def unique(feeds: Iterable[object]) -> tuple[RevocationFeed, ...]:
    """The feeds among these, each once."""
    return tuple(dict.fromkeys(feed for feed in feeds if isinstance(feed, RevocationFeed)))
