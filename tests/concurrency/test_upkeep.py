"""Background work: what is due runs, what fails goes on, what nobody holds ends."""

import gc
import logging
import math
import os
import sys
import threading
import time

import pytest

from guestpass.concurrency.upkeep import Upkeep
from key_server import Clock


class Owner:
    def __init__(self) -> None:
        self.runs = 0
        self.ran = threading.Event()

    def work(self) -> None:
        self.runs += 1
        self.ran.set()


@pytest.fixture
def upkeep() -> Upkeep:
    return Upkeep(clock=Clock(0))


def test_a_job_runs_when_it_is_due_and_not_before(upkeep: Upkeep) -> None:
    owner = Owner()
    upkeep.every(10, owner.work)
    assert upkeep.run_due(9) == 1
    assert owner.runs == 0
    assert upkeep.run_due(10) == 10
    assert owner.runs == 1
    # What was missed is not made up for.
    assert upkeep.run_due(1000) == 10
    assert owner.runs == 2


def test_a_cancelled_job_does_not_run(upkeep: Upkeep) -> None:
    first, second = Owner(), Owner()
    job = upkeep.every(1, first.work)
    upkeep.every(1, second.work)
    upkeep.cancel(job)
    upkeep.cancel(job)
    upkeep.run_due(1)
    assert (first.runs, second.runs) == (0, 1)


def test_a_job_may_cancel_another_and_add_one(upkeep: Upkeep) -> None:
    owner = Owner()

    def work() -> None:
        upkeep.cancel(job)
        upkeep.every(1, owner.work)

    upkeep.every(1, work)
    job = upkeep.every(1, owner.work)
    upkeep.run_due(1)
    assert owner.runs == 0
    upkeep.run_due(2)
    assert owner.runs == 1


def test_the_jobs_of_an_owner_that_nobody_holds_end(upkeep: Upkeep) -> None:
    owner = Owner()
    upkeep.every(1, owner.work)
    assert upkeep.run_due(1) == 1
    del owner
    gc.collect()
    upkeep.run_due(2)
    assert upkeep.run_due(3) == math.inf


def test_a_plain_function_is_kept(upkeep: Upkeep) -> None:
    runs: list[int] = []
    upkeep.every(1, lambda: runs.append(1))
    gc.collect()
    upkeep.run_due(1)
    assert runs == [1]


def test_a_job_that_fails_is_logged_and_goes_on(upkeep: Upkeep, caplog: pytest.LogCaptureFixture) -> None:
    owner = Owner()

    def fail() -> None:
        raise LookupError("gone")

    upkeep.every(1, fail)
    upkeep.every(1, owner.work)
    with caplog.at_level(logging.ERROR, "guestpass"):
        upkeep.run_due(1)
        upkeep.run_due(2)
    assert owner.runs == 2
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_one_thread_runs_them_and_a_new_job_wakes_it() -> None:
    upkeep = Upkeep()
    owner = Owner()
    upkeep.start()
    upkeep.start()
    threads = [thread for thread in threading.enumerate() if thread is upkeep._thread]
    assert len(threads) == 1
    assert threads[0].daemon
    upkeep.every(0.001, owner.work)
    assert owner.ran.wait(5)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_was_ended_is_made_anew() -> None:
    upkeep, owner, ended = Upkeep(), Owner(), list[threading.Thread]()
    leaving = threading.Event()

    def leave() -> None:
        ended.append(threading.current_thread())
        leaving.set()
        sys.exit()

    job = upkeep.every(0.001, leave)
    upkeep.start()
    assert leaving.wait(5)
    ended[0].join(5)
    assert upkeep._thread is None
    upkeep.cancel(job)
    upkeep.start()
    upkeep.every(0.001, owner.work)
    assert owner.ran.wait(5)


class Ending(Upkeep):
    """One whose thread ends at the moment when somebody has looked at it."""

    held: threading.Thread | None = None
    looked_at = threading.Event()

    @property
    def _thread(self) -> threading.Thread | None:
        thread = self.held
        if thread is not None and thread.ident is not None:
            self.looked_at.set()
            thread.join(5)
        return thread

    @_thread.setter
    def _thread(self, thread: threading.Thread | None) -> None:
        self.held = thread


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_while_it_is_looked_at_holds_nothing_up() -> None:
    upkeep = Ending()

    def leave() -> None:
        assert upkeep.looked_at.wait(5)
        sys.exit()

    upkeep.every(0, leave)
    upkeep.start()
    assert upkeep.held is None
    assert not upkeep._lock.locked()


def test_where_no_thread_can_be_had_it_says_so(
    upkeep: Upkeep, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    upkeep.start()
    assert upkeep._thread is None
    assert "no thread for background work" in caplog.text


def test_nobody_waits_for_another_who_starts_it(upkeep: Upkeep) -> None:
    with upkeep._lock:
        upkeep.start()
    assert upkeep._thread is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_makes_a_thread_of_its_own() -> None:
    upkeep = Upkeep()
    upkeep.start()
    reading, writing = os.pipe()
    with upkeep._lock:
        child = os.fork()
    if child == 0:
        owner = Owner()
        upkeep.every(0.001, owner.work)
        upkeep.start()
        os.write(writing, b"1" if owner.ran.wait(5) else b"0")
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"1"
    os.close(reading)
    os.waitpid(child, 0)
    assert time.monotonic() > 0
