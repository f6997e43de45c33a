"""Which task is running, as asyncio has it, whatever loops ran before and run beside it."""

import asyncio
import subprocess
import sys
import threading

import pytest

from guestpass.concurrency import tasks


async def ask() -> bool:
    """Whether it is known, now and again, within a task of its own too."""
    seen = [tasks.current_task(), tasks.current_task()]
    inner = asyncio.create_task(_inner())
    return seen == [asyncio.current_task()] * 2 and await inner


async def _inner() -> bool:
    return tasks.current_task() is asyncio.current_task()


def test_the_running_task_is_known_in_one_loop_after_another() -> None:
    for _ in range(3):
        assert asyncio.run(ask())


def test_it_is_known_in_loops_of_several_threads_at_once() -> None:
    known: list[bool] = []
    both = threading.Barrier(2)

    async def often() -> None:
        both.wait(5)
        for _ in range(200):
            known.append(await ask())
            await asyncio.sleep(0)

    threads = [threading.Thread(target=lambda: asyncio.run(often())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert known == [True] * 400


def test_outside_of_a_task_there_is_none() -> None:
    async def later() -> asyncio.Task[object] | None:
        assert tasks.current_task() is not None
        asked: asyncio.Future[asyncio.Task[object] | None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: asked.set_result(tasks.current_task()))
        return await asked

    assert asyncio.run(later()) is None


def test_without_a_loop_there_is_an_error() -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError):
            tasks.current_task()
        assert asyncio.run(ask())


FORKING = """
import asyncio, os
from guestpass.concurrency import tasks

async def fork():
    assert tasks.current_task() is not None
    child = os.fork()
    if child == 0:
        try:
            tasks.current_task()
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    return child

print(os.waitstatus_to_exitcode(os.waitpid(asyncio.run(fork()), 0)[1]))
"""


def test_a_child_knows_none_of_its_parents_tasks() -> None:
    # In a process of its own, which has no other thread that a fork could catch.
    run = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "7"
