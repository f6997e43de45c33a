"""What the pipeline asks of the outside when its caches do not know, and who carries the questions there.

An inquiry is a generator: it yields what it asks and of whom, is sent the answer, and returns the verdict. So the
pipeline is written once, reads top to bottom, is pure, and runs under threads and event loops alike. Tests
script one by sending answers.
"""

import asyncio
from collections.abc import Awaitable, Generator
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Question(Generic[T_co]):
    """The base of everything that can be asked; `T_co` is what the answer is. Subclasses are frozen dataclasses."""

    __slots__ = ()


class Answers(Protocol):
    """Whoever can be asked: a store, a key set, the platform's own `owns`.

    `answer` may block; it raises `guestpass.errors.Unavailable` where it cannot tell. Who has ``single_flight`` set to
    True asks once for however many wait, so that waiting for it takes up nobody's place.
    """

    def answer(self, question: Question[T], /) -> T: ...


@runtime_checkable
class AnswersAsync(Protocol):
    """Who can also be asked without a thread, on asyncio."""

    def answer_async(self, question: Question[T], /) -> Awaitable[T]: ...


class Ask(NamedTuple):
    """One question, and who is to answer it."""

    of: Answers
    question: Question[object]


Inquiry: TypeAlias = Generator[Ask, object, T]


def ask(of: Answers, question: Question[T]) -> Inquiry[T]:
    """The answer to one question: ``session = yield from ask(store, FindSession(digest))``."""
    answer = yield Ask(of, question)
    return cast("T", answer)


def drive(inquiry: Inquiry[T]) -> T:
    """Carry an inquiry to its end in this thread, which waits for each answer."""
    try:
        asked = next(inquiry)
        while True:
            try:
                answer = asked.of.answer(asked.question)
            except Exception as problem:  # noqa: BLE001 - the inquiry decides what it means
                asked = inquiry.throw(problem)
            else:
                asked = inquiry.send(answer)
    except StopIteration as end:
        answered: T = end.value
        return answered
    finally:
        # Also where a timeout of the thread's or greenlet's owner ends it in the middle.
        inquiry.close()


async def drive_async(inquiry: Inquiry[T]) -> T:
    """Carry an inquiry to its end on an event loop (asyncio or trio), which never waits for an answer itself."""
    try:
        asked = next(inquiry)
        while True:
            try:
                answer = await _answer(asked)
            except Exception as problem:  # noqa: BLE001 - the inquiry decides what it means
                asked = inquiry.throw(problem)
            else:
                asked = inquiry.send(answer)
    except StopIteration as end:
        answered: T = end.value
        return answered
    finally:
        inquiry.close()


async def _answer(asked: Ask) -> object:
    if isinstance(asked.of, AnswersAsync) and on_asyncio():
        return await asked.of.answer_async(asked.question)
    limiter = _waiting_limiter() if in_single_flight(asked.of) else look_up_limiter()
    return await anyio.to_thread.run_sync(asked.of.answer, asked.question, limiter=limiter)


def on_asyncio() -> bool:
    """Whether an asyncio event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def in_single_flight(answers: Answers) -> bool:
    """Whether many who wait for an answer cost no more than one."""
    return getattr(answers, "single_flight", False) is True


_limiters: RunVar[CapacityLimiter] = RunVar("guestpass_threads")
_waiting: RunVar[CapacityLimiter] = RunVar("guestpass_waiting_threads")


def look_up_limiter() -> CapacityLimiter:
    """The event loop's bound on threads for look-ups: its own, so that they never queue behind the application's
    threads, nor the other way round."""
    return _limiter(_limiters, 80)


def _waiting_limiter() -> CapacityLimiter:
    # For trio, where who waits for a flight waits in a thread: apart from those who look something up.
    return _limiter(_waiting, 400)


def _limiter(kept: RunVar[CapacityLimiter], size: int) -> CapacityLimiter:
    try:
        return kept.get()
    except LookupError:
        limiter = CapacityLimiter(size)
        kept.set(limiter)
        return limiter
