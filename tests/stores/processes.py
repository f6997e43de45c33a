"""What other processes do in the tests of stores: ``python -m stores.processes <program> <url>``.

Each program tells what was acknowledged, one line of JSON each. They fork here rather than in pytest, whose
process has threads and files of its own.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from itertools import count
from multiprocessing import get_context
from typing import TypeVar

from guestpass.errors import ConfigurationError, StoreUnavailable
from guestpass.inquiry import Question
from guestpass.records import AddSession, FindSession, RevokeSession, SessionRecord
from guestpass.stores import Store, open_store
from guestpass.testing.samples import NOW, asked, session

T = TypeVar("T")

WAIT = 10.0  # more patience than the default, so that a busy machine fails no test


def tell(what: object) -> None:
    """In one write, so that lines of several threads and processes stay whole."""
    os.write(1, json.dumps(what).encode() + b"\n")


def keep(store: Store, name: str) -> None:
    """Keep a session, then tell its id."""
    one = session(name)
    store.answer(AddSession(one, asked(one.id)))
    assert store.answer(FindSession(one.digest)) is not None
    tell(one.id)


def forked(work: Callable[[], None]) -> int:
    """The id of a new process that does `work` and ends as abruptly as one that is killed."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - told, and seen by `joined`
        traceback.print_exc()
    finally:
        os._exit(code)


def joined(pids: list[int]) -> None:
    """Wait for all; fail if one failed."""
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert not any(codes), codes


def write(url: str) -> None:
    """Four threads keep sessions until somebody kills them."""
    store = open_store(url, wait=WAIT)
    numbers = count()

    def work() -> None:
        while True:
            keep(store, str(next(numbers)))

    for _ in range(4):
        threading.Thread(target=work).start()


def create(url: str) -> None:
    """Four threads make the requests whose numbers follow the URL, each until it is acknowledged, and end some."""
    store = open_store(url, wait=WAIT)
    numbers = iter(range(*map(int, sys.argv[3:])))

    def work() -> None:
        for number in numbers:
            made = until_acknowledged(AddSession(session(f"{number} {os.getpid()}"), asked(str(number))))
            assert isinstance(made, SessionRecord)
            tell(["made", number, made.id])
            if number % 5 == 0:
                until_acknowledged(RevokeSession(made.id, NOW))
                tell(["ended", number, made.id])

    def until_acknowledged(question: Question[T]) -> T:
        while True:
            try:
                return store.answer(question)
            except StoreUnavailable as problem:
                tell(["unavailable", 0, str(problem)])
                time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()


def start(url: str) -> None:
    """Eight processes open a new store at the same instant, and keep a session each; ten times over."""
    together = get_context("fork").Barrier(8)
    open_store(f"{url}.other", wait=WAIT).close()  # so that nobody is late for having to import

    def work() -> None:
        for number in range(10):
            together.wait(WAIT)
            store = open_store(f"{url}.{number}", wait=WAIT)
            keep(store, f"{number} {os.getpid()}")
            store.close()

    joined([forked(work) for _ in range(8)])


def together(url: str) -> None:
    """Eight processes open one store at the same instant, and keep a session each."""
    barrier = get_context("fork").Barrier(8)

    def work() -> None:
        barrier.wait(WAIT)
        store = open_store(url, wait=WAIT)
        keep(store, str(os.getpid()))
        store.close()

    joined([forked(work) for _ in range(8)])


def half(url: str) -> None:
    """A process is killed when it has made all changes to the tables, and before they count."""
    from guestpass.stores import migrations

    def end(_: object) -> None:
        tell("changed")
        os.kill(os.getpid(), signal.SIGKILL)

    migrations.STEPS = (*migrations.STEPS, end)  # type: ignore[misc]
    open_store(url, wait=WAIT)


def same(url: str) -> None:
    """Two processes make the same forty requests at the same time."""
    together = get_context("fork").Barrier(2)
    open_store(url, wait=WAIT).close()

    def work() -> None:
        store = open_store(url, wait=WAIT)
        together.wait(WAIT)
        for number in range(40):
            made = store.answer(AddSession(session(f"{number} {os.getpid()}"), asked(str(number))))
            assert isinstance(made, SessionRecord)
            tell([number, made.id])
        store.close()

    joined([forked(work) for _ in range(2)])


def fork(url: str) -> None:
    """A process with an open store forks again and again while its threads write; its children write too."""
    store = open_store(url, wait=WAIT)
    keep(store, "first")
    done = threading.Event()
    numbers = count()

    def work() -> None:
        while not done.is_set():
            keep(store, f"parent {next(numbers)}")

    def child(number: int) -> None:
        for more in range(5):
            keep(store, f"child {number} {more}")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        joined([forked(lambda number=number: child(number)) for number in range(6)])  # type: ignore[misc]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    keep(store, "last")
    store.close()


def orphan(url: str) -> None:
    """A child goes on with the store that its parent opened, after the parent has closed it."""
    store = open_store(url, wait=WAIT)
    keep(store, "parent")
    waiting, go = os.pipe()
    used, use = os.pipe()

    def child() -> None:
        os.close(go)
        keep(store, "child before")
        os.write(use, b".")
        os.read(waiting, 1)
        keep(store, "child after")

    pid = forked(child)
    os.read(used, 1)
    store.close()
    os.close(go)
    joined([pid])


def refused(url: str) -> None:
    """Nobody in particular opens a store, and tells why that fails."""
    import sqlalchemy.dialects.sqlite.pysqlite  # noqa: F401 - while it can still be read

    import guestpass.stores.sql  # noqa: F401

    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        open_store(url).close()
    except ConfigurationError as error:
        tell(str(error))


PROGRAMS = {
    program.__name__: program for program in (write, create, start, together, half, same, fork, orphan, refused)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2])
