"""Inquiries and their drivers: one pipeline under threads, asyncio and trio."""

import threading
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
import sniffio

from guestpass import StoreUnavailable, open_store
from guestpass.inquiry import Inquiry, Question, ask, drive, drive_async
from support import House, Recording, build, finish

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class Number(Question[int]):
    """A number."""

    value: int


class Numbers:
    """Answers with the number, or raises it."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def answer(self, question: Any, /) -> Any:
        self.threads.append(threading.get_ident())
        if question.value < 0:
            raise StoreUnavailable(str(question.value))
        return question.value


class BothWays(Numbers):
    """Also answers on an event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = 0

    async def answer_async(self, question: Any, /) -> Any:
        self.awaited += 1
        await anyio.lowlevel.checkpoint()
        if question.value < 0:
            raise StoreUnavailable(str(question.value))
        return question.value


def total(numbers: Numbers, *values: int) -> Inquiry[int]:
    result = 0
    for value in values:
        try:
            result += yield from ask(numbers, Number(value))
        except StoreUnavailable:
            result += 1_000
    return result


async def test_an_inquiry_gives_the_same_answer_under_every_driver() -> None:
    for numbers in (Numbers(), BothWays()):
        assert drive(total(numbers, 1, -2, 3)) == 1_004
        assert await drive_async(total(numbers, 1, -2, 3)) == 1_004
        assert drive(total(numbers)) == await drive_async(total(numbers)) == 0
    assert finish(total(Numbers(), 1, 2), 10, 20) == 30


async def test_on_an_event_loop_what_may_block_is_asked_in_a_thread() -> None:
    numbers = Numbers()
    await drive_async(total(numbers, 1, 2))
    assert threading.get_ident() not in numbers.threads


async def test_what_can_be_awaited_is_awaited_on_asyncio_alone() -> None:
    numbers = BothWays()
    await drive_async(total(numbers, 1, 2))
    assert numbers.awaited == (2 if sniffio.current_async_library() == "asyncio" else 0)


async def test_an_exception_that_the_inquiry_does_not_know_comes_out() -> None:
    class Broken(Numbers):
        def answer(self, question: Any, /) -> Any:
            raise KeyError("x")

    with pytest.raises(KeyError):
        drive(total(Broken(), 1))
    with pytest.raises(KeyError):
        await drive_async(total(Broken(), 1))


async def test_an_inquiry_that_is_cancelled_is_closed() -> None:
    closed: list[bool] = []
    entered = anyio.Event()

    class Slow(Numbers):
        def answer(self, question: Any, /) -> Any:
            anyio.from_thread.run_sync(entered.set)
            released.wait(5)
            return 1

    released = threading.Event()

    def inquiry() -> Inquiry[int]:
        try:
            return (yield from ask(Slow(), Number(1)))
        finally:
            closed.append(True)

    async with anyio.create_task_group() as group:
        group.start_soon(drive_async, inquiry())
        await entered.wait()
        group.cancel_scope.cancel()
        released.set()
    assert closed == [True]


async def test_a_look_up_that_is_cancelled_gives_its_place_back() -> None:
    house: House = build(lookups=1)
    secret = house.session()
    entered, released = anyio.Event(), threading.Event()

    class Slow(Recording):
        def answer(self, question: Any, /) -> Any:
            anyio.from_thread.run_sync(entered.set)
            released.wait(5)
            return super().answer(question)

    slow = build(lookups=1, store=Slow(house.store), clock=house.clock)
    async with anyio.create_task_group() as group:
        group.start_soon(slow.guard.check_async, secret)
        await entered.wait()
        group.cancel_scope.cancel()
        released.set()
    entered = anyio.Event()
    assert (await slow.guard.check_async(secret)).kind == "account_session"


async def test_a_script_that_is_too_short_is_an_error_of_the_test() -> None:
    with pytest.raises(AssertionError, match="more than the script"):
        finish(total(Numbers(), 1, 2, 3), 1)
    assert open_store("memory://") is not None
