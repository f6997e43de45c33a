"""Whether an account is a platform's own: asked of the platform's register before a platform-wide key names one.

Knows how to ask, and how long an answer is good for. Knows nothing of who asks why.
"""

import asyncio
import copy
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias, TypeVar, cast

import anyio.to_thread
from cachetools import TTLCache

from guestpass.concurrency.forking import begins_anew
from guestpass.inquiry import Inquiry, Question, ask, look_up_limiter

T = TypeVar("T")


class SinglePlatform(Enum):
    """There is one platform, and every account is its own."""

    SINGLE_PLATFORM = "SINGLE_PLATFORM"


SINGLE_PLATFORM: Final = SinglePlatform.SINGLE_PLATFORM

Owns: TypeAlias = Callable[[str, str], bool] | Callable[[str, str], Awaitable[bool]]
"""``owns(platform, account)``, plain or async: whether the account belongs to the platform."""


@dataclass(frozen=True, slots=True)
class OwnsAccount(Question[bool]):
    """Whether `account` belongs to `platform`."""

    platform: str
    account: str


class Ownership:
    """Asks `owns`, and remembers a yes for `seconds`; a no is asked again every time."""

    def __init__(
        self,
        owns: Owns | SinglePlatform,
        *,
        seconds: float = 30,
        size: int = 10_000,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._owns = owns
        self.single_platform: Final = isinstance(owns, SinglePlatform)
        self.after_fork()
        begins_anew(self)
        self._known: MutableMapping[OwnsAccount, bool] = TTLCache(size, seconds, timer)

    def after_fork(self) -> None:
        """In a forked child: another thread of the parent's may have held it."""
        self._lock = threading.Lock()

    def unnoticed(self) -> "Ownership":
        """The same register and what is known of it now; what is learnt meanwhile is not kept."""
        twin = copy.copy(self)
        twin.after_fork()
        with self._lock:
            twin._known = dict(self._known)
        return twin

    def known(self, question: OwnsAccount) -> bool | None:
        """The answer where it is known, None where it has to be asked for."""
        if isinstance(self._owns, SinglePlatform):
            return True
        with self._lock:
            return self._known.get(question)

    def answer(self, question: Question[T]) -> T:
        """Ask, in this thread."""
        return cast("T", self._remember(*self._call(question)))

    async def answer_async(self, question: Question[T]) -> T:
        """Ask without holding up the event loop: an async `owns` is awaited on it, a plain one runs in a thread."""
        if inspect.iscoroutinefunction(self._owns):
            asked = _own(question)
            return cast("T", self._remember(asked, await self._owns(asked.platform, asked.account)))
        return await anyio.to_thread.run_sync(self.answer, question, limiter=look_up_limiter())

    def _call(self, question: Question[T]) -> tuple[OwnsAccount, object]:
        asked = _own(question)
        if isinstance(self._owns, SinglePlatform):
            return asked, True
        answer = self._owns(asked.platform, asked.account)
        if inspect.iscoroutine(answer):
            # No event loop runs in this thread, so it gets one of its own.
            return asked, asyncio.run(answer)
        return asked, answer

    def _remember(self, asked: OwnsAccount, answer: object) -> bool:
        # Only True is a yes: a forgotten `return`, or a row where a bool should be, opens nothing.
        owned = answer is True
        if owned and not isinstance(self._owns, SinglePlatform):
            with self._lock:
                self._known[asked] = True
        return owned


def is_owned(ownership: Ownership | None, platform: str, account: str) -> Inquiry[bool]:
    """Whether an account is a platform's, asked after where that is not known; not so, where nobody can tell."""
    if ownership is None:
        return False
    question = OwnsAccount(platform, account)
    known = ownership.known(question)
    return (yield from ask(ownership, question)) if known is None else known


def _own(question: Question[T]) -> OwnsAccount:
    if not isinstance(question, OwnsAccount):
        raise TypeError(f"cannot answer {question!r}")
    return question
