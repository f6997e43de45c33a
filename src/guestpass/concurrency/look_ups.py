"""Look-ups under way: no more at once than there are places, and one for each credential, however many present it.

Knows who leads, who waits and who is sent away. Knows nothing of what is looked up.
"""

import asyncio
import contextlib
import copy
import threading
from collections.abc import Hashable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

from guestpass.concurrency.forking import begins_anew
from guestpass.inquiry import Inquiry, Question, ask, in_single_flight, on_asyncio

T = TypeVar("T")
U = TypeVar("U")

PATIENCE: Final = 2.0
"""Seconds that one waits for another's look-up before looking up itself."""


class NoPlace(Exception):
    """As many look-ups as may be under way are."""


@dataclass(frozen=True, slots=True)
class AwaitLanding(Question[None]):
    """Wait until a look-up has ended, however it ended."""


class LookUps(Generic[T]):
    """At most `places` look-ups at once of what was never seen, and as many of what was: apart, so that a crowd of
    strangers never keeps out who was here a moment ago."""

    def __init__(self, places: int) -> None:
        self._places = places
        self.after_fork()
        begins_anew(self)

    def after_fork(self) -> None:
        """In a forked child: nothing is under way."""
        self._strangers = Places(self._places)
        self._acquaintances = Places(self._places)
        self._under_way: dict[bytes, _UnderWay[T]] = {}

    def apart(self) -> "LookUps[T]":
        """The same places, for somebody whose look-ups nobody is to wait for."""
        twin = copy.copy(self)
        twin._under_way = {}
        return twin

    def run(self, inquiry: Inquiry[T], *, key: bytes | None, known: bool, seen: Hashable) -> Inquiry[T]:
        """What `inquiry` finds, or what one finds that is under way for the same `key`.

        `seen` is what had been heard when it set out: nobody takes over what was found by one that may have looked
        before he did. Raises `NoPlace`.
        """
        places = self._acquaintances if known else self._strangers
        if key is None:
            return (yield from _in_place(inquiry, places))
        own: _UnderWay[T] = _UnderWay(seen)
        while (leader := self._under_way.setdefault(key, own)) is not own:
            if leader.seen != seen:
                return (yield from _in_place(inquiry, places))
            yield from ask(leader, AwaitLanding())
            if leader.found is not None:
                inquiry.close()
                return leader.found
            if self._under_way.get(key) is leader:
                # It takes too long, or stands still.
                return (yield from _in_place(inquiry, places))
        try:
            own.found = yield from _in_place(inquiry, places)
            return own.found
        finally:
            self._under_way.pop(key, None)
            own.land()


class Places:
    """So many, for whoever comes. Nobody waits for one, so it takes a fifth of the time of a semaphore."""

    __slots__ = ("_free", "_lock")

    def __init__(self, many: int) -> None:
        self._lock = threading.Lock()
        self._free = many

    def acquire(self) -> bool:
        """Take one, if there is one."""
        with self._lock:
            if not self._free:
                return False
            self._free -= 1
            return True

    def release(self) -> None:
        """Leave the one that was taken."""
        with self._lock:
            self._free += 1


class _UnderWay(Generic[T]):
    """One look-up; `found` is None until it has found something."""

    __slots__ = ("_landed", "_over", "_waiting", "found", "seen")

    single_flight: Final = True

    def __init__(self, seen: Hashable) -> None:
        self.seen = seen
        self.found: T | None = None
        self._over = False
        # Hardly ever does anybody wait.
        self._waiting: list[Future[None]] = []

    def land(self) -> None:
        self._over = True
        for future in list(self._waiting):
            _resolve(future)

    def answer(self, question: Question[U], /) -> U:
        if on_asyncio():
            # The one that is under way may need this very thread.
            return cast("U", None)
        with contextlib.suppress(TimeoutError):
            self._future(question).result(PATIENCE)
        return cast("U", None)

    async def answer_async(self, question: Question[U], /) -> U:
        landed = asyncio.wrap_future(self._future(question))
        await asyncio.wait((landed,), timeout=PATIENCE)
        return cast("U", None)

    def _future(self, question: Question[U]) -> "Future[None]":
        if not isinstance(question, AwaitLanding):
            raise TypeError(f"cannot answer {question!r}")
        future: Future[None] = Future()
        # One each, so that nobody's end is another's.
        self._waiting.append(future)
        if self._over:
            _resolve(future)
        return future


def _resolve(future: "Future[None]") -> None:
    # Whoever waited may have left, and two may do this at once.
    with contextlib.suppress(InvalidStateError):
        future.set_result(None)


def _in_place(inquiry: Inquiry[T], places: Places) -> Inquiry[T]:
    """`inquiry`, holding one of `places` while somebody is asked for whom each asker is work."""
    answer: object = None
    problem: Exception | None = None
    while True:
        try:
            asked = inquiry.send(answer) if problem is None else inquiry.throw(problem)
        except StopIteration as end:
            return cast("T", end.value)
        answer, problem = None, None
        counted = not in_single_flight(asked.of)
        if counted and not places.acquire():
            inquiry.close()
            raise NoPlace
        try:
            answer = yield asked
        except Exception as raised:  # noqa: BLE001 - the inquiry decides what it means
            problem = raised
        finally:
            if counted:
                places.release()
