"""Coroutines that never suspend, run as plain functions."""

import asyncio

import pytest

from guestpass.concurrency.coroutines import run_plain


async def answers(value: object) -> object:
    return value


async def fails() -> object:
    raise LookupError("as it came")


def test_the_answer_and_the_error_come_out_as_they_are() -> None:
    assert run_plain(answers(7)) == 7
    assert run_plain(answers(None)) is None
    with pytest.raises(LookupError, match="as it came"):
        run_plain(fails())


def test_one_that_suspends_is_ended_and_said() -> None:
    ended = []

    async def waits() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            ended.append(True)

    with pytest.raises(RuntimeError, match="not async ones"):
        run_plain(waits())
    assert ended == [True]


def test_it_works_beside_a_running_loop() -> None:
    async def main() -> object:
        return run_plain(answers(7))

    assert asyncio.run(main()) == 7
