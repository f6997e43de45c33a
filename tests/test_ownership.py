"""Who is asked whose an account is, and what counts as a yes."""

import math
from typing import Any

import pytest

from guestpass import SINGLE_PLATFORM
from guestpass.inquiry import ask, drive, drive_async
from guestpass.ownership import Ownership, OwnsAccount
from guestpass.records import FindKeyById

pytestmark = pytest.mark.anyio
QUESTION = OwnsAccount("plat", "acct_1")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plain(platform: str, account: str) -> bool:
    return (platform, account) == ("plat", "acct_1")


async def coroutine(platform: str, account: str) -> bool:
    return plain(platform, account)


class Callable:
    async def __call__(self, platform: str, account: str) -> bool:
        return plain(platform, account)


REGISTERS: dict[str, Any] = {"plain": plain, "async": coroutine, "an async object": Callable()}


@pytest.mark.parametrize("name", REGISTERS)
def test_a_register_answers_in_a_thread(name: str) -> None:
    for account, owned in (("acct_1", True), ("acct_2", False)):
        ownership = Ownership(REGISTERS[name])
        assert drive(ask(ownership, OwnsAccount("plat", account))) is owned


@pytest.mark.parametrize("name", REGISTERS)
async def test_a_register_answers_on_an_event_loop(name: str) -> None:
    for account, owned in (("acct_1", True), ("acct_2", False)):
        ownership = Ownership(REGISTERS[name])
        assert await drive_async(ask(ownership, OwnsAccount("plat", account))) is owned


async def test_the_only_platform_owns_everything() -> None:
    ownership = Ownership(SINGLE_PLATFORM)
    assert ownership.known(QUESTION) is True
    assert ownership.answer(QUESTION) is True
    assert await drive_async(ask(ownership, QUESTION)) is True


def test_a_yes_is_remembered_for_a_while_and_a_no_is_not() -> None:
    clock = Clock()
    answers = [False, True, False]
    ownership = Ownership(lambda platform, account: answers.pop(0), seconds=30, timer=clock)
    assert ownership.known(QUESTION) is None
    assert ownership.answer(QUESTION) is False
    assert ownership.known(QUESTION) is None
    assert ownership.answer(QUESTION) is True
    clock.now = 29.9
    assert ownership.known(QUESTION) is True
    assert ownership.known(OwnsAccount("other", "acct_1")) is None
    clock.now = 30
    assert ownership.known(QUESTION) is None
    assert ownership.answer(QUESTION) is False


def test_what_is_remembered_is_bounded() -> None:
    ownership = Ownership(lambda platform, account: True, size=3)
    for number in range(10):
        ownership.answer(OwnsAccount("plat", str(number)))
    assert sum(ownership.known(OwnsAccount("plat", str(number))) is True for number in range(10)) == 3


@pytest.mark.parametrize("answer", [1, "true", math.inf, None, [True], object()])
def test_only_true_is_a_yes(answer: Any) -> None:
    ownership = Ownership(lambda platform, account: answer)
    assert ownership.answer(QUESTION) is False
    assert ownership.known(QUESTION) is None


async def test_another_question_is_a_mistake() -> None:
    for register in (plain, coroutine):
        ownership = Ownership(register)
        with pytest.raises(TypeError, match="cannot answer"):
            ownership.answer(FindKeyById("x"))
        with pytest.raises(TypeError, match="cannot answer"):
            await ownership.answer_async(FindKeyById("x"))
